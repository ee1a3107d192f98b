"""Attention, by plain matrix products."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.nets.layers import Conv, Initializer
from jaxgan.types import Array, UserError


def attend(query: Array, key: Array, value: Array) -> Array:
    """Averages values by how well their keys answer each query: `softmax(query key^T) value`, the softmax over keys.

    Args:
        query: `[..., queries, size]`; who wants scores divided by `sqrt(size)` divides the queries.
        key: `[..., keys, size]`.
        value: `[..., keys, features]`.

    Returns:
        `[..., queries, features]`. The softmax is computed in float32 at least.

    Reference:
        Vaswani et al., 2017, section 3.2.1 (https://arxiv.org/abs/1706.03762).
    """
    scores = query @ key.swapaxes(-1, -2)
    weights = jax.nn.softmax(scores.astype(jnp.promote_types(scores.dtype, jnp.float32)), axis=-1)
    return weights.astype(value.dtype) @ value


class SelfAttention(nn.Module):
    """Adds to each pixel what it attends to in the image, `x + gamma o(attention)`: `[batch, height, width, c]` to the same.

    `gamma` is learned from 0 on, so that the layer begins as the identity. Queries and keys have `c / 8` channels and values
    `c / 2`, at least one; keys and values are the largest of 2x2 pixels, a last odd row or column left out. This is the authors'
    code, which is cheaper than the paper's text: there, nothing is pooled and values have `c / 8` channels.

    Attributes:
        kernel_init: how the four 1x1 convolutions start; they have no biases.

    Raises:
        UserError: a map of a single row or column.

    Reference:
        Zhang et al., 2019, section 3 (https://arxiv.org/abs/1805.08318).
    """

    kernel_init: Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, h, w, c = x.shape
        if min(h, w) < 2:
            raise UserError(f"a map of {h}x{w} pixels is too small for self-attention; put it at a larger one")
        project = lambda features, name: Conv(features, 1, self.kernel_init, use_bias=False, name=name)
        query = project(max(c // 8, 1), "query")(x)
        key, value = _peak(project(max(c // 8, 1), "key")(x)), _peak(project(max(c // 2, 1), "value")(x))
        seen = attend(*(y.reshape(n, -1, y.shape[-1]) for y in (query, key, value))).reshape(n, h, w, -1)
        return x + self.param("gamma", nn.initializers.zeros, ()) * project(c, "out")(seen)


def _peak(x):
    """Takes the largest of 2x2 blocks: `[batch, h, w, c]` to `[batch, h // 2, w // 2, c]`."""
    n, h, w, c = x.shape
    h, w = h // 2, w // 2
    return x[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).max((2, 4))
