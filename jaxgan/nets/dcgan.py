"""The networks of DCGAN (Radford et al., 2016, https://arxiv.org/abs/1511.06434), with 4x4 kernels and no biases."""

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
        widths: channels from the smallest map to the largest; the paper's are (1024, 512, 256, 128) for 64x64 pixels.
        axis_name: of the devices that share BatchNorm statistics.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 128, 64)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        height, width, channels = self.shape
        scale = 2 ** len(self.widths)
        bottom = (math.ceil(height / scale), math.ceil(width / scale), self.widths[0])
        # A transposed convolution of a single pixel is a matrix product.
        x = nn.Dense(math.prod(bottom), use_bias=False, kernel_init=KERNEL_INIT)(z).reshape(-1, *bottom)
        for features in (*self.widths[1:], channels):
            x = nn.relu(BatchNorm(self.axis_name, scale_init=_around_one)(x, train))
            x = UpConv(features, use_bias=False, kernel_init=KERNEL_INIT)(x)
        return jnp.tanh(x[:, :height, :width])


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]`: `[batch]`, halving once for each width.

    Attributes:
        widths: channels from the largest map to the smallest.
        axis_name: of the devices that share BatchNorm statistics.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for i, features in enumerate(self.widths):
            x = DownConv(features, use_bias=False, kernel_init=KERNEL_INIT)(x)
            if i > 0:
                x = BatchNorm(self.axis_name, scale_init=_around_one)(x, train)
            x = nn.leaky_relu(x, 0.2)
        return nn.Dense(1, use_bias=False, kernel_init=KERNEL_INIT)(x.reshape(x.shape[0], -1))[:, 0]


def _around_one(key, shape, dtype=jnp.float32):
    return 1 + KERNEL_INIT(key, shape, dtype)
