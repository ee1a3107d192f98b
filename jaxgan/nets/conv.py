"""Convolutions: the only place of the library that calls one.

Images are `[batch, height, width, channels]`, kernels `[height, width, in, out]`. Re-sampling is fused into the kernel where that
is exact: it saves 2.25 of the multiplications on every backend, and no backend is shown a dilated convolution, which XLA runs
slowly on CPUs. The tests hold each form to plain `lax` convolutions.
"""

import jax.numpy as jnp
from jax import lax

from jaxgan.types import Array


def conv(x: Array, kernel: Array, padding: int = 0) -> Array:
    """Convolves with stride 1.

    Args:
        x: `[batch, height, width, in]`.
        kernel: `[k, l, in, out]`.
        padding: zeros put around the image on each side.

    Returns:
        `[batch, height + 2 padding - k + 1, width + 2 padding - l + 1, out]`.
    """
    pads = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, kernel, (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def conv_down(x: Array, kernel: Array) -> Array:
    """Convolves a 4x4 kernel with stride 2 and padding 1: `[batch, h, w, in]` to `[batch, h // 2, w // 2, out]`.

    Each 2x2 block of pixels becomes channels, and the kernel a 2x2 kernel over blocks with stride 1.
    """
    blocks = jnp.reshape(kernel, (2, 2, 2, 2, *kernel.shape[2:])).transpose(0, 2, 1, 3, 4, 5)
    return conv(_blocks_to_channels(_pad(x)), blocks.reshape(2, 2, -1, kernel.shape[-1]))


def conv_up(x: Array, kernel: Array) -> Array:
    """Convolves a 4x4 kernel transposed, with stride 2 and padding 1: `[batch, h, w, in]` to `[batch, 2 h, 2 w, out]`.

    The kernel is not flipped: `y[2 q + a]` sums `kernel[k] x[p]` over `2 p + 3 - k = 2 q + a + 1`, as `lax.conv_transpose` does
    with SAME padding. Each input neighbourhood of 2x2 yields the four pixels of a block as channels.
    """
    phases = jnp.reshape(kernel, (2, 2, 2, 2, *kernel.shape[2:]))[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    blocks = conv(x, phases.reshape(2, 2, kernel.shape[2], -1), padding=1)
    return _channels_to_blocks(blocks)[:, 1:-1, 1:-1]


def upsample_conv(x: Array, kernel: Array) -> Array:
    """Doubles an image by pixel repetition, then convolves a 3x3 kernel with padding 1; computed as one `conv_up`."""
    for axis in (0, 1):
        a, b, c = jnp.split(kernel, 3, axis)
        kernel = jnp.concatenate([a, a + b, b + c, c], axis)
    return conv_up(x, kernel)


def conv_pool(x: Array, kernel: Array) -> Array:
    """Convolves a 3x3 kernel with padding 1, then averages 2x2 blocks; computed as one `conv_down`. A last odd row is dropped."""
    for axis in (0, 1):
        edge = jnp.zeros_like(lax.slice_in_dim(kernel, 0, 1, axis=axis))
        kernel = (jnp.concatenate([kernel, edge], axis) + jnp.concatenate([edge, kernel], axis)) / 2
    return conv_down(x, kernel)


def upsample(x: Array) -> Array:
    """Doubles an image by pixel repetition: `[batch, h, w, c]` to `[batch, 2 h, 2 w, c]`."""
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def pool(x: Array) -> Array:
    """Averages 2x2 blocks: `[batch, h, w, c]` to `[batch, h // 2, w // 2, c]`. A last odd row or column is dropped."""
    n, h, w, c = x.shape
    h, w = h // 2, w // 2
    return x[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).mean((2, 4))


def _pad(x: Array) -> Array:
    """Adds the zeros of padding 1, less the row or column that a stride of 2 never reaches in odd sizes."""
    odd_h, odd_w = x.shape[1] % 2, x.shape[2] % 2
    return jnp.pad(x, ((0, 0), (1, 1 - odd_h), (1, 1 - odd_w), (0, 0)))


def _blocks_to_channels(x: Array) -> Array:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def _channels_to_blocks(x: Array) -> Array:
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)
