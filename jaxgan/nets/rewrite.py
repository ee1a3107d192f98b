"""Puts the plain convolutions and max pools of any function on a fast path, that of `nets.conv` for one."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

from jaxgan.nets.conv import conv, conv_transpose

_JITS = ("jit", "pjit")  # by version of JAX
_LARGE = 16  # numbers in a window; larger ones are left to XLA, since each is compared by itself


def accelerate(f: Callable) -> Callable:
    """Makes a function compute its plain convolutions as `nets.conv` does, on CPUs many times faster, and its max pools likewise.

    It is for networks that were not written for this library: Flax's `nn.Conv` and `nn.ConvTranspose` of images, and what calls
    `lax.conv_general_dilated` likewise. Left as they are: convolutions with groups, dilated kernels, strides that differ along
    the axes, other layouts than NHWC or a `precision` of their own, and those inside of `scan`, `while`, `cond`, `remat` and
    functions with derivatives of their own. Max pools, `nn.max_pool` for one, are taken where their windows do not overlap and
    are not padded. Numbers and derivatives stay as they are, but for the rounding of convolutions and the slope at a NaN.

    Args:
        f: pure, from trees of arrays to a tree of arrays.

    Returns:
        The same function, which traces `f` when it is called.
    """

    @functools.wraps(f)
    def accelerated(*args):
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        if not _to_do(closed.jaxpr):
            return f(*args)
        return jax.tree.unflatten(jax.tree.structure(shape), _run(closed, jax.tree.leaves(args)))

    return accelerated


def _to_do(jaxpr) -> bool:
    """Whether there is anything to do, here or in a function that is jitted inside."""
    return any(
        eqn.primitive in _FASTER or (eqn.primitive.name in _JITS and _to_do(eqn.params["jaxpr"].jaxpr)) for eqn in jaxpr.eqns
    )


def _run(closed, args):
    """Evaluates a jaxpr, equation by equation."""
    jaxpr = closed.jaxpr
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *args), strict=True))
    read = lambda variable: variable.val if isinstance(variable, Literal) else known[variable]
    for eqn in jaxpr.eqns:
        inputs = [read(variable) for variable in eqn.invars]
        if eqn.primitive in _FASTER:
            outputs = [_FASTER[eqn.primitive](*inputs, eqn.params)]
        elif eqn.primitive.name in _JITS and _to_do(eqn.params["jaxpr"].jaxpr):
            outputs = _run(eqn.params["jaxpr"], inputs)
        else:
            outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
            outputs = outputs if eqn.primitive.multiple_results else [outputs]
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _convolve(x, kernel, params):
    """Computes one convolution by `nets.conv` if it is of the kind that is there, and as it stands if not."""
    strides, padding, spread = params["window_strides"], params["padding"], params["lhs_dilation"]
    ours = (
        x.ndim == 4
        and x.dtype == kernel.dtype
        and params["dimension_numbers"] == lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and params["rhs_dilation"] == (1, 1)
        and params["precision"] is None
        and params["preferred_element_type"] in (None, x.dtype)
    )
    if ours and spread == (1, 1) and strides[0] == strides[1]:
        if len({*padding[0], *padding[1]}) == 1 and padding[0][0] >= 0:
            return conv(x, kernel, strides[0], padding[0][0])
        return conv(_pad(x, padding), kernel, strides[0])
    if ours and strides == (1, 1) and spread[0] == spread[1]:
        around = [(low - k + 1, high - k + 1) for k, (low, high) in zip(kernel.shape[:2], padding, strict=True)]
        if len({*around[0], *around[1]}) == 1 and around[0][0] <= 0:
            return conv_transpose(x, kernel, spread[0], -around[0][0])
        return _pad(conv_transpose(x, kernel, spread[0]), around)
    return lax.conv_general_dilated_p.bind(x, kernel, **params)


def _pad(x, around):
    """Puts zeros around images, or cuts from them where `around`, in pixels before and after along either axis, is negative."""
    return lax.pad(x, x.dtype.type(0), ((0, 0, 0), *((*ends, 0) for ends in around), (0, 0, 0)))


def _pool(x, params):
    """Takes the largest number of each window if windows stand side by side; XLA:CPU runs the general derivative slowly."""
    window, every = params["window_dimensions"], (1,) * x.ndim
    apart = params["window_strides"] == window and params["window_dilation"] == params["base_dilation"] == every
    if not apart or any(low or high for low, high in params["padding"]) or math.prod(window) > _LARGE:
        return lax.reduce_window_max_p.bind(x, **params)
    counts = [size // k for size, k in zip(x.shape, window, strict=True)]
    x = lax.slice(x, (0,) * x.ndim, [count * k for count, k in zip(counts, window, strict=True)])
    return _largest(x.reshape([size for pair in zip(counts, window, strict=True) for size in pair]))


@jax.custom_jvp
def _largest(x):
    """Takes the largest number over every second axis."""
    return _find(x)[0]


@_largest.defjvp
def _(primals, tangents):
    (x,), (slope,) = primals, tangents
    largest, first = _find(x)
    axes, window = tuple(range(1, x.ndim, 2)), x.shape[1::2]
    here = jnp.arange(math.prod(window), dtype=first.dtype).reshape([size for k in window for size in (1, k)])
    return largest, jnp.sum(jnp.where(jnp.expand_dims(first, axes) == here, slope, 0), axes)


def _find(x):
    """Gives the largest number of each window and, where several are, the place of the first, whose derivative it has."""
    numbers = []
    for place in np.ndindex(*x.shape[1::2]):
        number = x
        for axis, i in enumerate(place, 1):
            number = lax.index_in_dim(number, i, axis, keepdims=False)
        numbers.append(number)
    largest, first = numbers[0], jnp.zeros(numbers[0].shape, jnp.int8)
    for i, number in enumerate(numbers[1:], 1):
        stays = (largest >= number) | (largest != largest)
        largest, first = jnp.where(stays, largest, number), jnp.where(stays, first, jnp.int8(i))
    return largest, first


_FASTER = {lax.conv_general_dilated_p: _convolve, lax.reduce_window_max_p: _pool}
