"""Networks that turn one image into another: pix2pix's U-Net and patch critic, CycleGAN's residual generator.

Images are `[batch, height, width, channels]`, those that are made lie in [-1, 1]. Layers and counts of parameters are those of
the authors' code; kernels start normal with deviation 0.02, as theirs.

Reference:
    Isola et al., 2017, appendix 6.1 (https://arxiv.org/abs/1611.07004); Zhu et al., 2017, appendix 7.2
    (https://arxiv.org/abs/1703.10593).
"""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxgan.nets import conv, layers
from jaxgan.nets.layers import BatchNorm, drop
from jaxgan.types import Array, UserError

KERNEL_INIT = nn.initializers.normal(0.02)
DROPOUT = 0.5  # chance that the U-Net drops a number

Normalise = Callable[[], nn.Module]  # makes a layer `(x, train) -> x`
Conv = functools.partial(layers.Conv, kernel_init=KERNEL_INIT)
DownConv = functools.partial(layers.DownConv, kernel_init=KERNEL_INIT)
UpConv = functools.partial(layers.UpConv, kernel_init=KERNEL_INIT)


class InstanceNorm(nn.Module):
    """Normalises each channel of each example over its own pixels; nothing is learned and nothing carried.

    Reference:
        Ulyanov et al., 2016 (https://arxiv.org/abs/1607.08022).
    """

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # training and sampling are the same
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = wide - jnp.mean(wide, (1, 2), keepdims=True)
        return (centred * lax.rsqrt(jnp.mean(jnp.square(centred), (1, 2), keepdims=True) + 1e-5)).astype(x.dtype)


class ReflectConv(layers.Conv):
    """Convolves with stride 1 and keeps the image size; beyond its border the image is mirrored, so that no frame shows."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        edge = (self.size // 2, self.size // 2)
        return conv.conv(jnp.pad(x, ((0, 0), edge, edge, (0, 0)), mode="reflect"), kernel)


class PatchConv(layers.Conv):
    """Convolves 4x4 with stride 1 and padding 1: the image loses a row and a column."""

    size: int = 4

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv(x, kernel, padding=1)


def join(*inputs: Array) -> Array:
    """Joins images `[batch, h, w, c]` and clips `[batch, frames, h, w, c]` of one size along their channels, in order of time."""
    return jnp.concatenate([x if x.ndim == 4 else jnp.concatenate(list(x.swapaxes(0, 1)), axis=-1) for x in inputs], axis=-1)


class UNet(nn.Module):
    """Translates images, given noise `[batch, noise_size(height, width)]`, by a U-Net.

    Each width halves the image; on the way back each doubled map is laid beside the one that was seen at its size. The noise is
    dropout in the first layers of the way back, in training and in sampling alike. So that an image is a pure function of what
    the network is given, standard normal numbers decide the masks. The authors' networks have eight widths for 256x256 pixels
    and seven for 128x128. A size that does not halve evenly is padded by its border pixels and the result is cut.

    Attributes:
        channels: of the images made.
        widths: channels from the largest map to the smallest, at least two.
        dropped: how many layers have dropout, from the smallest map on; three of seven in the authors' network. With 0, the noise
            is `[batch, 0]`.
        normalise: makes the normalisations, `functools.partial(BatchNorm, axis_name)` on several devices; `InstanceNorm` suits
            batches of one image.
        use_bias: of all convolutions; otherwise of the last alone, as BatchNorm brings biases.
    """

    channels: int
    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512, 512)
    dropped: int = 3
    normalise: Normalise = BatchNorm
    use_bias: bool = False

    def noise_size(self, height: int, width: int) -> int:
        """How many numbers decide over dropout for images of this size; draw `latents.normal` of so many."""
        scale = 2 ** len(self.widths)
        bottom = math.ceil(height / scale) * math.ceil(width / scale)
        dropped = self.widths[-2::-1][: self.dropped]
        return sum(features * bottom * 4**i for i, features in enumerate(dropped, start=1))

    @nn.compact
    def __call__(self, source: Array, noise: Array, train: bool) -> Array:
        height, width = source.shape[1:3]
        needed = self.noise_size(height, width)
        if noise.shape[1] != needed:
            raise UserError(f"images of {height}x{width} take {needed} numbers of noise each, not {noise.shape[1]}; draw as many")
        down, up = (functools.partial(layer, use_bias=self.use_bias) for layer in (DownConv, UpConv))
        scale = 2 ** len(self.widths)
        x = jnp.pad(source, ((0, 0), (0, -height % scale), (0, -width % scale), (0, 0)), mode="edge")
        x = down(self.widths[0])(x)
        seen = [x]
        for features in self.widths[1:-1]:
            x = self.normalise()(down(features)(nn.leaky_relu(x, 0.2)), train)
            seen.append(x)
        x = down(self.widths[-1])(nn.leaky_relu(x, 0.2))  # a single pixel, normalised, would be zero
        for i, features in enumerate(self.widths[-2::-1]):
            x = self.normalise()(up(features)(nn.relu(x)), train)
            if i < self.dropped:
                size = math.prod(x.shape[1:])
                x, noise = drop(x, noise[:, :size].reshape(x.shape), DROPOUT), noise[:, size:]
            x = jnp.concatenate([seen.pop(), x], axis=-1)
        return jnp.tanh(UpConv(self.channels)(nn.relu(x)))[:, :height, :width]


class ResNetGenerator(nn.Module):
    """Translates images by residual blocks at a quarter of their height and width, with `InstanceNorm`.

    Attributes:
        channels: of the images made.
        width: channels at full size, a quarter of those of the blocks.
        blocks: nine for 256x256 pixels, six for 128x128 in the paper.
    """

    channels: int
    width: int = 64
    blocks: int = 9

    @nn.compact
    def __call__(self, source: Array, train: bool) -> Array:
        height, width = source.shape[1:3]
        reflect = functools.partial(ReflectConv, kernel_init=KERNEL_INIT)
        norm = lambda x: InstanceNorm()(x, train)
        x = nn.relu(norm(reflect(self.width, size=7)(source)))
        for features in (2 * self.width, 4 * self.width):
            x = nn.relu(norm(DownConv(features, size=3)(x)))
        for _ in range(self.blocks):
            x = x + norm(reflect(4 * self.width)(nn.relu(norm(reflect(4 * self.width)(x)))))
        for features in (2 * self.width, self.width):
            x = nn.relu(norm(UpConv(features, size=3)(x)))
        return jnp.tanh(reflect(self.channels, size=7)(x)[:, :height, :width])


class PatchDiscriminator(nn.Module):
    """Scores each patch of images by itself: a map of scores `[batch, rows, columns]`.

    Takes one image or several, or clips, which are joined along their channels: pix2pix's critic judges source and result
    together. Patches overlap; their height and width are 16, 34, 70, 142 and 286 pixels for 1 to 5 layers, and 256x256 pixels
    have 30x30 patches of 70.

    Attributes:
        n_layers: convolutions that halve the image, at least 1.
        width: channels of the first; the next ones have two, four and at most eight times as many.
        normalise: as in `UNet`; CycleGAN's critics have `InstanceNorm` and biases.
        use_bias: of all convolutions; otherwise of the first and the last alone.

    Raises:
        UserError: images that are smaller than a patch without its padding.
    """

    n_layers: int = 3
    width: int = 64
    normalise: Normalise = BatchNorm
    use_bias: bool = False

    @nn.compact
    def __call__(self, *images: Array, train: bool) -> Array:
        x = join(*images)
        least = 3 * 2**self.n_layers
        if min(x.shape[1:3]) < least:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels are too small for a patch critic of {self.n_layers} layers, which "
                f"needs {least}x{least}; take fewer layers or larger images"
            )
        x = nn.leaky_relu(DownConv(self.width)(x), 0.2)
        for i in range(1, self.n_layers + 1):
            kind = DownConv if i < self.n_layers else functools.partial(PatchConv, kernel_init=KERNEL_INIT)
            x = kind(min(2**i, 8) * self.width, use_bias=self.use_bias)(x)
            x = nn.leaky_relu(self.normalise()(x, train), 0.2)
        return PatchConv(1, kernel_init=KERNEL_INIT)(x)[..., 0]


class PixelDiscriminator(nn.Module):
    """Scores each pixel by itself: `[batch, height, width]`. Takes images and clips as `PatchDiscriminator` does.

    Attributes:
        width: channels of the first layer, half of those of the second.
        normalise: as in `UNet`.
        use_bias: of all convolutions; otherwise of the first alone.
    """

    width: int = 64
    normalise: Normalise = BatchNorm
    use_bias: bool = False

    @nn.compact
    def __call__(self, *images: Array, train: bool) -> Array:
        x = nn.leaky_relu(Conv(self.width, size=1)(join(*images)), 0.2)
        x = nn.leaky_relu(self.normalise()(Conv(2 * self.width, size=1, use_bias=self.use_bias)(x), train), 0.2)
        return Conv(1, size=1, use_bias=self.use_bias)(x)[..., 0]
