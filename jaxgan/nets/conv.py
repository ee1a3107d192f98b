"""Convolutions: the only place of the library that calls one.

Images are `[batch, height, width, channels]`, kernels `[height, width, in, out]`; float32 or bfloat16.

`<dy, conv(x, w)>` is linear in each of x, w and dy, so the convolution, its gradient by the image and its gradient by the kernel
are one another's gradients. They are three primitives here: forward and reverse mode of any order, `vmap`, `scan` and `shard_map`
follow from that, and each has one plain form in `lax`, for every backend, and one form for CPUs, where XLA runs dilated
convolutions and large kernels slowly, up to a hundred times. Re-sampling is fused into the kernel where that is exact:
it saves 2.25 of the multiplications on every backend. The tests hold each form to plain `lax` convolutions.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad

from jaxgan.nets.primitives import primitive, same_axes
from jaxgan.types import Array

_NHWC = ("NHWC", "HWIO", "NHWC")
_PATCHES = 4096  # rows of patches held at a time, by measurement


def conv(x: Array, kernel: Array, stride: int = 1, padding: int = 0) -> Array:
    """Convolves (in the sense of the field: correlates, the kernel is not flipped).

    Args:
        x: `[batch, height, width, in]`.
        kernel: `[k, l, in, out]`, of the same dtype.
        stride: between the outputs, in pixels, along both axes.
        padding: zeros put around the image on each side.

    Returns:
        `[batch, (height + 2 padding - k) // stride + 1, (width + 2 padding - l) // stride + 1, out]`.
    """
    return _conv(*same_axes(x, kernel), stride=stride, padding=padding)


def conv_transpose(x: Array, kernel: Array, stride: int = 1, padding: int = 0, extra: int = 0) -> Array:
    """Convolves transposed: each pixel of `x` adds the kernel times its value to the output, `stride` pixels apart.

    Args:
        x: `[batch, height, width, in]`.
        kernel: `[k, l, in, out]`, of the same dtype. It is flipped against that of `conv`, as in `lax.conv_transpose`.
        stride: between the inputs, in pixels of the output.
        padding: pixels cut from the output on each side.
        extra: pixels put to the output's lower and right side, as torch's `output_padding`; less than `stride`.

    Returns:
        `[batch, (height - 1) stride + k - 2 padding + extra, (width - 1) stride + l - 2 padding + extra, out]`.
    """
    size = tuple((n - 1) * stride + k - 2 * padding + extra for n, k in zip(x.shape[1:3], kernel.shape[:2], strict=True))
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return _image_gradient(*same_axes(x, flipped), stride=stride, padding=padding, size=size)


def conv_down(x: Array, kernel: Array) -> Array:
    """Convolves a 4x4 kernel with stride 2 and padding 1: `[batch, h, w, in]` to `[batch, h // 2, w // 2, out]`."""
    return conv(x, kernel, stride=2, padding=1)


def conv_up(x: Array, kernel: Array) -> Array:
    """Convolves a 4x4 kernel transposed, with stride 2 and padding 1: `[batch, h, w, in]` to `[batch, 2 h, 2 w, out]`."""
    return conv_transpose(x, kernel, stride=2, padding=1)


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


# The plain forms ----------------------------------------------------------------------------------------------------------------


def _plain(x, w, *, stride, padding):
    return lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=_NHWC)


def _plain_image_gradient(dy, w, *, stride, padding, size):
    x = jax.ShapeDtypeStruct((dy.shape[0], *size, w.shape[2]), dy.dtype)
    return jax.linear_transpose(lambda x: _plain(x, w, stride=stride, padding=padding), x)(dy)[0]


def _plain_kernel_gradient(x, dy, *, stride, padding, size):
    w = jax.ShapeDtypeStruct((*size, x.shape[3], dy.shape[3]), dy.dtype)
    return jax.linear_transpose(lambda w: _plain(x, w, stride=stride, padding=padding), w)(dy)[0]


# The forms for CPUs: each becomes a convolution of stride 1 without padding, or matrix products ---------------------------------


def _blocks(x, step, low, count):
    """Lays pixels `step * i - low` to `step * (i + 1) - low` of both axes into the channels of block i < count, zeros outside."""
    high = [step * n - size - low for n, size in zip(count, x.shape[1:3], strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (low, high[0], 0), (low, high[1], 0), (0, 0, 0)))
    if step == 1:
        return x
    x = x.reshape(x.shape[0], count[0], step, count[1], step, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(x.shape[0], *count, -1)


def _kernel_blocks(w, step):
    """Lays a kernel out over the blocks of `_blocks`."""
    if step == 1:
        return w
    k, l, c, o = w.shape
    rows, columns = -(-k // step), -(-l // step)
    w = jnp.pad(w, ((0, rows * step - k), (0, columns * step - l), (0, 0), (0, 0)))
    return w.reshape(rows, step, columns, step, c, o).transpose(0, 2, 1, 3, 4, 5).reshape(rows, columns, -1, o)


def _count(size, k, stride, padding):
    """How many blocks of the image a strided convolution reads along both axes."""
    return tuple((n + 2 * padding - m) // stride + -(-m // stride) for n, m in zip(size, k, strict=True))


def _fast(x, w, *, stride, padding):
    count = _count(x.shape[1:3], w.shape[:2], stride, padding)
    return _valid(_blocks(x, stride, padding, count), _kernel_blocks(w, stride))


def _fast_image_gradient(dy, w, *, stride, padding, size):
    count = _count(size, w.shape[:2], stride, padding)
    x = jax.ShapeDtypeStruct((dy.shape[0], *size, w.shape[2]), dy.dtype)
    blocks = _kernel_blocks(w, stride)
    k, l = blocks.shape[:2]
    flipped = lax.optimization_barrier(jnp.flip(blocks, (0, 1)).swapaxes(2, 3))  # oneDNN refuses a kernel that is being reversed
    dx = _valid(jnp.pad(dy, ((0, 0), (k - 1, k - 1), (l - 1, l - 1), (0, 0))), flipped)
    return jax.linear_transpose(lambda x: _blocks(x, stride, padding, count), x)(dx)[0]


def _fast_kernel_gradient(x, dy, *, stride, padding, size):
    count = _count(x.shape[1:3], size, stride, padding)
    w = jax.ShapeDtypeStruct((*size, x.shape[3], dy.shape[3]), dy.dtype)
    dw = _valid_kernel_gradient(_blocks(x, stride, padding, count), dy)
    return jax.linear_transpose(lambda w: _kernel_blocks(w, stride), w)(dw)[0]


def _valid(x, w):
    return _plain(x, w, stride=1, padding=0)


def _patches(x, size):
    h, w = (n - k + 1 for n, k in zip(x.shape[1:3], size, strict=True))
    return jnp.concatenate([x[:, i : i + h, j : j + w] for i in range(size[0]) for j in range(size[1])], -1)


def _valid_kernel_gradient(x, dy):
    """Multiplies patches with `dy`, some images at a time, so that the patches stay near the processor.

    XLA's own form, a convolution with a kernel as large as the image, takes from two to a hundred times longer.
    """
    n, h, w, o = dy.shape
    k, l, c = x.shape[1] - h + 1, x.shape[2] - w + 1, x.shape[3]
    some = max(m for m in range(1, n + 1) if n % m == 0 and (m == 1 or m * h * w <= _PATCHES))

    def add(total, images):
        patches, gradients = _patches(images[0], (k, l)).reshape(-1, k * l * c), images[1].reshape(-1, o)
        return total + jnp.dot(gradients.T, patches, preferred_element_type=total.dtype), None

    start = jnp.zeros((o, k * l * c), jnp.promote_types(x.dtype, jnp.float32))
    total, _ = lax.scan(add, start, [images.reshape(-1, some, *images.shape[1:]) for images in (x, dy)])
    return total.T.reshape(k, l, c, o).astype(x.dtype)


# The primitives -----------------------------------------------------------------------------------------------------------------


_conv_p = primitive("conv", _plain, _fast)
_image_gradient_p = primitive("conv_image_gradient", _plain_image_gradient, _fast_image_gradient)
_kernel_gradient_p = primitive("conv_kernel_gradient", _plain_kernel_gradient, _fast_kernel_gradient)
_conv, _image_gradient, _kernel_gradient = _conv_p.bind, _image_gradient_p.bind, _kernel_gradient_p.bind

ad.defbilinear(
    _conv_p,
    lambda ct, x, w, **p: _image_gradient(ct, w, **p, size=x.aval.shape[1:3]),
    lambda ct, x, w, **p: _kernel_gradient(x, ct, **p, size=w.aval.shape[:2]),
)
ad.defbilinear(
    _image_gradient_p,
    lambda ct, dy, w, *, size, **p: _conv(ct, w, **p),
    lambda ct, dy, w, *, size, **p: _kernel_gradient(ct, dy, **p, size=w.aval.shape[:2]),
)
ad.defbilinear(
    _kernel_gradient_p,
    lambda ct, x, dy, *, size, **p: _image_gradient(dy, ct, **p, size=x.aval.shape[1:3]),
    lambda ct, x, dy, *, size, **p: _conv(x, ct, **p),
)
