"""The residual networks of SN-GAN (Miyato et al., 2018, appendix B.4, https://arxiv.org/abs/1802.05957), for labels as well.

With classes they are those of the projection critic (Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637); with attention,
those of SAGAN (Zhang et al., 2019, https://arxiv.org/abs/1805.08318). Defaults are for 32x32 pixels; larger sizes are settings:

    64 pixels: Generator(shape, 64, (True,) * 4, multipliers=(16, 8, 4, 2, 1))
               Discriminator(64, (True,) * 5, multipliers=(1, 2, 4, 8, 16), wide=False)
    128        Generator(shape, 64, (True,) * 5, multipliers=(16, 16, 8, 4, 2, 1))
               Discriminator(64, (True,) * 5 + (False,), multipliers=(1, 2, 4, 8, 16, 16), wide=False)
    SAGAN 128  the same two with attention=32 (their code) or 64 (BigGAN's); a wide critic, `biggan.Discriminator(64)`
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets import conv
from jaxgan.nets.attention import SelfAttention
from jaxgan.nets.conditional import AuxiliaryHead, ConditionalBatchNorm, ProjectionHead, check_labels
from jaxgan.nets.layers import BatchNorm, Conv, ConvPool, Initializer, UpsampleConv
from jaxgan.types import Array, UserError

RESIDUAL_INIT = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # Glorot uniform with gain sqrt(2)
KERNEL_INIT = nn.initializers.glorot_uniform()


class GeneratorBlock(nn.Module):
    """Adds to its input what two normalised convolutions make of it; with `up`, at twice the size.

    Attributes:
        features: channels out.
        up: double height and width.
        axis_name: of the devices that share BatchNorm statistics.
        num_classes: how many, where conditions are labels int `[batch]`; 0 where they are vectors `[batch, size]`, or None.
        residual_init: how the 3x3 kernels start.
        kernel_init: how all others start, those of conditions among them.
    """

    features: int
    up: bool = True
    axis_name: str | None = None
    num_classes: int = 0
    residual_init: Initializer = RESIDUAL_INIT
    kernel_init: Initializer = KERNEL_INIT

    @nn.compact
    def __call__(self, x: Array, train: bool, condition: Array | None = None) -> Array:
        def normalise(h):
            if condition is None:
                return BatchNorm(self.axis_name)(h, train)
            start = nn.initializers.zeros if self.num_classes else self.kernel_init
            return ConditionalBatchNorm(self.axis_name, self.num_classes, start)(h, condition, train)

        first, skip = (UpsampleConv if self.up else Conv), x
        h = first(self.features, kernel_init=self.residual_init)(nn.relu(normalise(x)))
        h = Conv(self.features, kernel_init=self.residual_init)(nn.relu(normalise(h)))
        if self.up or x.shape[-1] != self.features:
            skip = Conv(self.features, 1, self.kernel_init)(x)  # commutes with pixel repetition, and is cheaper before it
        return h + (conv.upsample(skip) if self.up else skip)


class Generator(nn.Module):
    """Maps latents `[batch, size]`, and labels int `[batch]` if there are classes, to images `[batch, *shape]` in [-1, 1].

    Attributes:
        shape: height, width and channels of an image. Any size: one that does not halve evenly is cut from a larger one.
        width: channels of every block; 256 in the paper.
        ups: a block for each entry, doubling the size where True; three doublings from 4x4 in the paper.
        axis_name: of the devices that share BatchNorm statistics.
        remat: keep the inputs of blocks alone for the gradient, and compute their insides anew: less memory, more work.
        num_classes: how many classes choose gain and shift of the blocks' BatchNorm; 0 for none.
        multipliers: of the width, for the smallest map and then for every block; () for 1 everywhere.
        attention: height of the map that self-attention is put at, after the first block that gives it; 0 for none.
        residual_init: how the 3x3 kernels of blocks start.
        kernel_init: how all others start.

    Raises:
        UserError: labels without classes or the opposite; multipliers that are not one more than blocks; no map of the height
            that attention asks for.
    """

    shape: tuple[int, int, int]
    width: int = 256
    ups: tuple[bool, ...] = (True, True, True)
    axis_name: str | None = None
    remat: bool = False
    num_classes: int = 0
    multipliers: tuple[int, ...] = ()
    attention: int = 0
    residual_init: Initializer = RESIDUAL_INIT
    kernel_init: Initializer = KERNEL_INIT

    def tell(self, z: Array, label: Array | None) -> tuple[Array, Sequence[Array | None], int]:
        """Says what the smallest map is made of, what each block is told, and of how many classes if that is a label."""
        return z, [label] * len(self.ups), self.num_classes

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        check_labels(label, self.num_classes)
        height, width, channels = self.shape
        below, *widths = _widths(self.width, self.multipliers, 1 + len(self.ups))
        scale = 2 ** sum(self.ups)
        bottom = (math.ceil(height / scale), math.ceil(width / scale), below)
        heights = [bottom[0] * 2 ** sum(self.ups[: i + 1]) for i in range(len(self.ups))]
        attentive = _attentive(self.attention, heights)
        z, conditions, num_classes = self.tell(z, label)
        x = nn.Dense(math.prod(bottom), kernel_init=self.kernel_init)(z).reshape(-1, *bottom)
        block = nn.remat(GeneratorBlock, static_argnums=2) if self.remat else GeneratorBlock
        for i, (features, up, condition) in enumerate(zip(widths, self.ups, conditions, strict=True)):
            inits = (self.residual_init, self.kernel_init)
            x = block(features, up, self.axis_name, num_classes, *inits, name=f"GeneratorBlock_{i}")(x, train, condition)
            if i == attentive:
                x = SelfAttention(self.kernel_init)(x)
        x = Conv(channels, kernel_init=self.kernel_init)(nn.relu(BatchNorm(self.axis_name)(x, train)))
        return jnp.tanh(x[:, :height, :width])


class DiscriminatorBlock(nn.Module):
    """Adds to its input what two convolutions make of it; with `down`, at half the size.

    Attributes:
        features: channels out.
        down: halve height and width.
        first: the input is an image, on which no ReLU may act first.
        wide: between the convolutions are as many channels as go out, else as many as come in: for the first block those of an
            image, as in BigGAN's code; in SN-GAN's own, the first block is always wide.
        residual_init: how the 3x3 kernels start.
        kernel_init: how the 1x1 kernel starts.
    """

    features: int
    down: bool = True
    first: bool = False
    wide: bool = True
    residual_init: Initializer = RESIDUAL_INIT
    kernel_init: Initializer = KERNEL_INIT

    @nn.compact
    def __call__(self, x: Array) -> Array:
        last, between = (ConvPool if self.down else Conv), (self.features if self.wide else x.shape[-1])
        h = Conv(between, kernel_init=self.residual_init)(x if self.first else nn.relu(x))
        h = last(self.features, kernel_init=self.residual_init)(nn.relu(h))
        skip = conv.pool(x) if self.down else x
        if self.down or x.shape[-1] != self.features:
            skip = Conv(self.features, 1, self.kernel_init)(skip)  # commutes with the mean, and is cheaper after it
        return h + skip


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]`: `[batch]`, without a bias at the end.

    With classes it also takes labels int `[batch]` and judges by projection; with an auxiliary head it takes none, guesses them
    and gives `(scores [batch], logits [batch, num_classes])`.

    Attributes:
        width: channels of every block; 128 in the paper.
        downs: a block for each entry, halving the size where True; (True, True, False, False) in the paper.
        remat: as in the generator.
        num_classes: how many classes there are labels of; 0 for none.
        auxiliary: guess labels instead of being told them.
        multipliers: of the width, for every block; () for 1 everywhere.
        attention: height of the map that self-attention is put at, after the first block that gives it; 0 for none.
        wide: as in the blocks.
        use_bias: add a number to every score.
        residual_init: how the 3x3 kernels of blocks start.
        kernel_init: how all others start.

    Raises:
        UserError: labels without classes or the opposite, which an auxiliary head is, too; multipliers that are not as many as
            blocks; no map of the height that attention asks for.
    """

    width: int = 128
    downs: tuple[bool, ...] = (True, True, False, False)
    remat: bool = False
    num_classes: int = 0
    auxiliary: bool = False
    multipliers: tuple[int, ...] = ()
    attention: int = 0
    wide: bool = True
    use_bias: bool = False
    residual_init: Initializer = RESIDUAL_INIT
    kernel_init: Initializer = KERNEL_INIT

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array | tuple[Array, Array]:
        del train  # no layer here behaves differently
        if self.auxiliary and not self.num_classes:
            raise UserError("an auxiliary head guesses among num_classes=0 classes; say how many there are")
        check_labels(label, 0 if self.auxiliary else self.num_classes)
        widths = _widths(self.width, self.multipliers, len(self.downs))
        attentive = _attentive(self.attention, [x.shape[1] // 2 ** sum(self.downs[: i + 1]) for i in range(len(self.downs))])
        block = nn.remat(DiscriminatorBlock) if self.remat else DiscriminatorBlock
        for i, (features, down) in enumerate(zip(widths, self.downs, strict=True)):
            settings = (i == 0, self.wide, self.residual_init, self.kernel_init)
            x = block(features, down, *settings, name=f"DiscriminatorBlock_{i}")(x)
            if i == attentive:
                x = SelfAttention(self.kernel_init)(x)
        features = jnp.sum(nn.relu(x), axis=(1, 2))
        if self.auxiliary:
            return AuxiliaryHead(self.num_classes, self.use_bias, self.kernel_init)(features)
        if self.num_classes:
            return ProjectionHead(self.num_classes, self.use_bias, self.kernel_init)(features, label)
        return nn.Dense(1, use_bias=self.use_bias, kernel_init=self.kernel_init)(features)[:, 0]


def _widths(width, multipliers, count):
    """Gives the channels of `count` maps."""
    if len(multipliers) not in (0, count):
        raise UserError(f"{len(multipliers)} multipliers do not fit {count} maps; give one for each, or none")
    return [width * m for m in multipliers or (1,) * count]


def _attentive(height, heights):
    """Finds the first block whose map has this height; -1 where none is asked for."""
    if height and height not in heights:
        raise UserError(f"attention={height} fits no map; they are {', '.join(map(str, heights))} pixels high")
    return heights.index(height) if height else -1
