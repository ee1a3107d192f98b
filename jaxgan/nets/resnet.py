"""The residual networks of SN-GAN (Miyato et al., 2018, appendix B.4, https://arxiv.org/abs/1802.05957)."""

import math

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets import conv
from jaxgan.nets.layers import BatchNorm, Conv, ConvPool, UpsampleConv
from jaxgan.types import Array

RESIDUAL_INIT = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # Glorot uniform with gain sqrt(2)


class GeneratorBlock(nn.Module):
    """Adds to its input what two normalised convolutions make of it; with `up`, at twice the size.

    Attributes:
        features: channels out.
        up: double height and width.
        axis_name: of the devices that share BatchNorm statistics.
    """

    features: int
    up: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        first, skip = (UpsampleConv if self.up else Conv), x
        h = first(self.features, kernel_init=RESIDUAL_INIT)(nn.relu(BatchNorm(self.axis_name)(x, train)))
        h = Conv(self.features, kernel_init=RESIDUAL_INIT)(nn.relu(BatchNorm(self.axis_name)(h, train)))
        if self.up or x.shape[-1] != self.features:
            skip = Conv(self.features, size=1)(x)  # commutes with pixel repetition, and is cheaper before it
        return h + (conv.upsample(skip) if self.up else skip)


class Generator(nn.Module):
    """Maps latents `[batch, size]` to images `[batch, *shape]` in [-1, 1].

    Attributes:
        shape: height, width and channels of an image. Any size: one that does not halve evenly is cut from a larger one.
        width: channels of every block; 256 in the paper.
        ups: a block for each entry, doubling the size where True; three doublings from 4x4 in the paper.
        axis_name: of the devices that share BatchNorm statistics.
        remat: keep the inputs of blocks alone for the gradient, and compute their insides anew: less memory, more work.
    """

    shape: tuple[int, int, int]
    width: int = 256
    ups: tuple[bool, ...] = (True, True, True)
    axis_name: str | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        height, width, channels = self.shape
        scale = 2 ** sum(self.ups)
        bottom = (math.ceil(height / scale), math.ceil(width / scale), self.width)
        x = nn.Dense(math.prod(bottom), kernel_init=nn.initializers.glorot_uniform())(z).reshape(-1, *bottom)
        block = nn.remat(GeneratorBlock, static_argnums=2) if self.remat else GeneratorBlock
        for i, up in enumerate(self.ups):
            x = block(self.width, up, self.axis_name, name=f"GeneratorBlock_{i}")(x, train)
        x = Conv(channels)(nn.relu(BatchNorm(self.axis_name)(x, train)))
        return jnp.tanh(x[:, :height, :width])


class DiscriminatorBlock(nn.Module):
    """Adds to its input what two convolutions make of it; with `down`, at half the size.

    Attributes:
        features: channels out.
        down: halve height and width.
        first: the input is an image, on which no ReLU may act first.
    """

    features: int
    down: bool = True
    first: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        last = ConvPool if self.down else Conv
        h = Conv(self.features, kernel_init=RESIDUAL_INIT)(x if self.first else nn.relu(x))
        h = last(self.features, kernel_init=RESIDUAL_INIT)(nn.relu(h))
        skip = conv.pool(x) if self.down else x
        if self.down or x.shape[-1] != self.features:
            skip = Conv(self.features, size=1)(skip)  # commutes with the mean, and is cheaper after it
        return h + skip


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]`: `[batch]`, without a bias at the end.

    Attributes:
        width: channels of every block; 128 in the paper.
        downs: a block for each entry, halving the size where True; (True, True, False, False) in the paper.
        remat: as in the generator.
    """

    width: int = 128
    downs: tuple[bool, ...] = (True, True, False, False)
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        block = nn.remat(DiscriminatorBlock) if self.remat else DiscriminatorBlock
        for i, down in enumerate(self.downs):
            x = block(self.width, down, first=i == 0, name=f"DiscriminatorBlock_{i}")(x)
        features = jnp.sum(nn.relu(x), axis=(1, 2))
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.glorot_uniform())(features)[:, 0]
