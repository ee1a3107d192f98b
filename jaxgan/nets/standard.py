"""The standard CNN of SN-GAN (Miyato et al., 2018, table 3, https://arxiv.org/abs/1802.05957)."""

import math

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets.layers import BatchNorm, Conv, DownConv, UpConv
from jaxgan.types import Array


class Generator(nn.Module):
    """Maps latents `[batch, size]` to images `[batch, *shape]` in [-1, 1] by three doublings.

    Attributes:
        shape: height, width and channels of an image; a size that eight does not divide is cut from a larger one.
        axis_name: of the devices that share BatchNorm statistics.
    """

    shape: tuple[int, int, int]
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        height, width, channels = self.shape
        bottom = (math.ceil(height / 8), math.ceil(width / 8), 512)
        x = nn.Dense(math.prod(bottom))(z).reshape(-1, *bottom)
        for features in (256, 128, 64):
            x = UpConv(features)(nn.relu(BatchNorm(self.axis_name)(x, train)))
        x = Conv(channels)(nn.relu(BatchNorm(self.axis_name)(x, train)))
        return jnp.tanh(x[:, :height, :width])


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]` of at least 8x8: `[batch]`."""

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        for features in (64, 128, 256):
            x = nn.leaky_relu(Conv(features)(x), 0.1)
            x = nn.leaky_relu(DownConv(features)(x), 0.1)
        x = nn.leaky_relu(Conv(512)(x), 0.1)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]
