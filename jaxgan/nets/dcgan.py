"""The networks of DCGAN (Radford et al., 2016, section 3, https://arxiv.org/abs/1511.06434).

Strided convolutions up and down, no pooling, no hidden dense layers, no biases; kernels start as N(0, 0.02^2) and the scales of
BatchNorm as N(1, 0.02^2). Kernels are 4x4, as in PyTorch's example; the paper's networks for 64x64 pixels have `kernel_size=5`
and widths (1024, 512, 256, 128), in the critic the other way round.
"""

import math

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets.layers import BatchNorm, DownConv, UpConv
from jaxgan.types import Array

KERNEL_INIT = nn.initializers.normal(0.02)


class Generator(nn.Module):
    """Maps latents `[batch, size]` to images `[batch, *shape]` in [-1, 1], doubling once for each width.

    Attributes:
        shape: height, width and channels of an image; a size that does not halve evenly is cut from a larger one.
        widths: channels from the smallest map to the largest; three for 32x32 pixels, four for 64x64.
        axis_name: of the devices that share BatchNorm statistics.
        kernel_size: of the convolutions, at least 2.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 128, 64)
    axis_name: str | None = None
    kernel_size: int = 4

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        height, width, channels = self.shape
        scale = 2 ** len(self.widths)
        bottom = (math.ceil(height / scale), math.ceil(width / scale), self.widths[0])
        # A transposed convolution of a single pixel is a matrix product.
        x = nn.Dense(math.prod(bottom), use_bias=False, kernel_init=KERNEL_INIT)(z).reshape(-1, *bottom)
        for features in (*self.widths[1:], channels):
            x = nn.relu(BatchNorm(self.axis_name, scale_init=_around_one)(x, train))
            x = UpConv(features, self.kernel_size, KERNEL_INIT, use_bias=False)(x)
        return jnp.tanh(x[:, :height, :width])


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]`: `[batch]`, halving once for each width.

    Attributes:
        widths: channels from the largest map to the smallest.
        axis_name: of the devices that share BatchNorm statistics.
        kernel_size: of the convolutions, at least 2.
        slope: of the leaky ReLU below zero; 0 makes it a ReLU, which lets no gradient through there.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    axis_name: str | None = None
    kernel_size: int = 4
    slope: float = 0.2

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for i, features in enumerate(self.widths):
            x = DownConv(features, self.kernel_size, KERNEL_INIT, use_bias=False)(x)
            if i > 0:
                x = BatchNorm(self.axis_name, scale_init=_around_one)(x, train)
            x = nn.leaky_relu(x, self.slope)
        return nn.Dense(1, use_bias=False, kernel_init=KERNEL_INIT)(x.reshape(x.shape[0], -1))[:, 0]


def _around_one(key, shape, dtype=jnp.float32):
    return 1 + KERNEL_INIT(key, shape, dtype)
