"""Sums over everything but the channels, and their opposite: what biases and normalisations are made of.

XLA:CPU adds up columns about ten times slower than it multiplies matrices, so there a sum is a product with ones.
"""

import jax.numpy as jnp
from jax.interpreters import ad

from jaxgan.nets.primitives import primitive, same_axes
from jaxgan.types import Array


def channel_sum(x: Array) -> Array:
    """Sums `[..., channels]` to `[channels]`, in float32 at least."""
    return _sum_p.bind(x, dtype=jnp.promote_types(x.dtype, jnp.float32))


def channel_mean(x: Array) -> Array:
    """Averages `[..., channels]` to `[channels]`, in float32 at least."""
    return channel_sum(x) * (x.shape[-1] / x.size)


def add_bias(x: Array, bias: Array) -> Array:
    """Adds `[channels]` to every row of `[..., channels]`; the result has the dtype of `x`."""
    x, bias = same_axes(x, bias)
    return x + _spread_p.bind(bias, shape=x.shape, dtype=x.dtype)


def scale_and_shift(x: Array, scale: Array, shift: Array) -> Array:
    """Computes `x scale + shift` for `[..., channels]` and two `[channels]`, in their dtype; the result has that of `x`."""
    x, scale, shift = same_axes(x, scale, shift)
    wide = x.astype(scale.dtype)
    rows = [_spread_p.bind(v, shape=x.shape, dtype=scale.dtype) for v in (scale, shift)]
    return (wide * rows[0] + rows[1]).astype(x.dtype)


def _sum(x, *, dtype):
    return jnp.sum(x, tuple(range(x.ndim - 1)), dtype=dtype)


def _sum_by_product(x, *, dtype):
    x = x.reshape(-1, x.shape[-1])
    ones = jnp.ones((8, len(x)), x.dtype)  # a single row would be taken for a product with a vector, which is slow again
    return jnp.dot(ones, x, preferred_element_type=dtype)[0]


def _spread(v, *, shape, dtype):
    return jnp.broadcast_to(v.astype(dtype), shape)


_sum_p, _spread_p = primitive("channel_sum", _sum, _sum_by_product), primitive("channel_spread", _spread, _spread)
ad.deflinear2(_sum_p, lambda ct, x, *, dtype: [_spread_p.bind(ct, shape=x.aval.shape, dtype=x.aval.dtype)])
ad.deflinear2(_spread_p, lambda ct, v, *, shape, dtype: [_sum_p.bind(ct, dtype=v.aval.dtype)])
