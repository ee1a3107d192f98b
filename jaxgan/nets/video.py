"""Networks for clips: generators of the next frame, from past ones and noise, and from a source by an optical flow.

Clips are `[batch, frames, height, width, channels]`. A flow belongs to a frame and says of each pixel where it was in the frame
before: `[batch, height, width, 2]`, rows and columns relative to the pixel, in pixels.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets.layers import BatchNorm
from jaxgan.nets.translate import KERNEL_INIT, Conv, DownConv, Normalise, UpConv, join
from jaxgan.types import Array, UserError

SCALED = nn.initializers.he_normal()


def warp(image: Array, flow: Array) -> tuple[Array, Array]:
    """Looks up each pixel where the flow says it was, between pixels bilinearly.

    Args:
        image: `[batch, height, width, channels]`.
        flow: `[batch, height, width, 2]`.

    Returns:
        `(warped, visible)`: the image moved along, and `[batch, height, width, 1]`, 1 where the place looked up lies in the image
        and 0 outside, where the nearest border pixel is shown. A flow of whole pixels moves the image exactly.
    """
    batch, height, width, channels = image.shape
    flat = image.reshape(batch, height * width, channels)
    ends = [n - 1.0 for n in (height, width)]
    places = [jnp.arange(height)[None, :, None] + flow[..., 0], jnp.arange(width)[None, None] + flow[..., 1]]
    visible = functools.reduce(jnp.logical_and, ((p >= 0) & (p <= end) for p, end in zip(places, ends, strict=True)))
    places = [jnp.clip(p, 0, end) for p, end in zip(places, ends, strict=True)]
    low = [jnp.floor(p).astype(jnp.int32) for p in places]
    share = [(p - l)[..., None] for p, l in zip(places, low, strict=True)]

    def at(down, right):
        row, column = jnp.minimum(low[0] + down, height - 1), jnp.minimum(low[1] + right, width - 1)
        index = (row * width + column).reshape(batch, -1, 1)
        return jnp.take_along_axis(flat, index, axis=1, mode="clip").reshape(batch, height, width, channels)

    rows = [(1 - share[1]) * at(down, 0) + share[1] * at(down, 1) for down in (0, 1)]
    return (1 - share[0]) * rows[0] + share[0] * rows[1], visible[..., None].astype(image.dtype)


class Hourglass(nn.Module):
    """Turns images `[batch, height, width, channels]` into features `[batch, height, width, widths[0]]`.

    Halves the image once for each further width, and doubles it again beside what was seen at each size. The noise comes in at
    every size, or what little of it gets through the smallest map is unlearned before it is of use. Any size.

    Attributes:
        widths: channels from the largest map to the smallest.
        normalise: makes the normalisations, `functools.partial(BatchNorm, axis_name)` on several devices; None for none, with
            kernels that keep the scale.
        added: add a linear map of the noise to what it is told to, instead of laying the noise beside it.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    normalise: Normalise | None = BatchNorm
    added: bool = False

    @nn.compact
    def __call__(self, x: Array, noise: Array, train: bool) -> Array:
        kernel_init = SCALED if self.normalise is None else KERNEL_INIT
        conv, down, up = (functools.partial(layer, kernel_init=kernel_init) for layer in (Conv, DownConv, UpConv))
        normalised = lambda x: x if self.normalise is None else self.normalise()(x, train)

        def told(x):
            if self.added and noise.shape[1]:
                return x + nn.Dense(x.shape[-1])(noise)[:, None, None]
            return jnp.concatenate([x, jnp.broadcast_to(noise[:, None, None], (*x.shape[:3], noise.shape[1]))], axis=-1)

        height, width = x.shape[1:3]
        scale = 2 ** (len(self.widths) - 1)
        x = jnp.pad(x, ((0, 0), (0, -height % scale), (0, -width % scale), (0, 0)), mode="edge")
        seen = []
        for i, features in enumerate(self.widths):
            x = nn.leaky_relu(conv(features)(x) if i == 0 else normalised(down(features)(x)), 0.2)
            seen.append(x)
        x = told(seen.pop())
        for features in self.widths[-2::-1]:
            x = nn.relu(normalised(up(features)(x)))
            x = nn.relu(conv(features)(told(jnp.concatenate([seen.pop(), x], axis=-1))))
        return x[:, :height, :width]


class NextFrame(nn.Module):
    """Predicts the frame after past ones, given noise: `(past, noise [batch, size])` to `[batch, height, width, channels]`.

    Without noise it can only give one future; with it, G(x, z), a distribution of futures. Both are joined side by side, or added
    after a linear map. A regressor is given noise `[batch, 0]`. What is made is the change, at most 2 either way, to the last
    frame, whose range is [-1, 1]: the tanh of a whole frame has no slope left on even ground, and where a figure is never painted
    it would never learn to be. So a frame may leave [-1, 1].

    Attributes:
        channels: of the frame.
        widths, added: as in `Hourglass`, without normalisation.

    Reference:
        Mirza and Osindero, 2014, section 3.2 (https://arxiv.org/abs/1411.1784); Mathieu et al., 2016
        (https://arxiv.org/abs/1511.05440).
    """

    channels: int
    widths: tuple[int, ...] = (32, 64, 128)
    added: bool = False

    @nn.compact
    def __call__(self, past: Array, noise: Array, train: bool) -> Array:
        x = Hourglass(self.widths, None, self.added)(join(past), noise, train)
        return past[:, -1] + 2 * jnp.tanh(Conv(self.channels, kernel_init=SCALED)(x))


class FrameGenerator(nn.Module):
    """Paints a frame for its source, given noise: `(source, noise [batch, size])` to `[batch, height, width, channels]`.

    Attributes:
        channels: of the frame.
        widths, normalise: as in `Hourglass`.
    """

    channels: int
    widths: tuple[int, ...] = (32, 64, 128)
    normalise: Normalise = BatchNorm

    @nn.compact
    def __call__(self, source: Array, noise: Array, train: bool) -> Array:
        return jnp.tanh(Conv(self.channels)(Hourglass(self.widths, self.normalise)(source, noise, train)))


class Painted(NamedTuple):
    """A frame of a translated clip, and what it was made of.

    Attributes:
        frame: `[batch, height, width, channels]` in [-1, 1].
        flow: `[batch, height, width, 2]`, where each pixel was in the frame before, as the network believes.
        fresh: `[batch, height, width, 1]` in [0, 1], the share of what is painted anew; the rest was moved along the flow.
    """

    frame: Array
    flow: Array
    fresh: Array


class FlowGenerator(nn.Module):
    """Paints a clip's next frame for its source, moving what it painted before: `(before, sources, noise)` to `Painted`.

    `before` `[batch, height, width, channels]` is the frame painted last, zeros at first; `sources` `[batch, 2, ...]` are those
    of it and of the frame to paint. What the flow fetches from outside the image is always painted anew.

    Attributes:
        channels: of the frames.
        widths, normalise: as in `Hourglass`.

    Reference:
        Wang et al., 2018, section 3.1, equation 4 (https://arxiv.org/abs/1808.06601).
    """

    channels: int
    widths: tuple[int, ...] = (32, 64, 128)
    normalise: Normalise = BatchNorm

    @nn.compact
    def __call__(self, before: Array, sources: Array, noise: Array, train: bool) -> Painted:
        x = Hourglass(self.widths, self.normalise)(join(before, sources), noise, train)
        painted, flow, fresh = jnp.tanh(Conv(self.channels)(x)), Conv(2)(x), nn.sigmoid(Conv(1)(x))
        moved, visible = warp(before, flow)
        fresh = 1 - visible * (1 - fresh)
        return Painted(fresh * painted + (1 - fresh) * moved, flow, fresh)


class Discriminator(nn.Module):
    """Scores examples as a whole: `[batch]`. Takes images and clips of one size, which are joined along their channels.

    A patch critic sees no two ends of an image at once; that a figure is on the left or on the right but not on both sides is for
    this one to see.

    Attributes:
        widths: channels from the largest map to the smallest; each halves the image.

    Raises:
        UserError: images too small to be halved so often.
    """

    widths: tuple[int, ...] = (32, 64, 128)

    @nn.compact
    def __call__(self, *images: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        x = join(*images)
        if min(x.shape[1:3]) < 2 ** len(self.widths):
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels cannot be halved {len(self.widths)} times; give fewer widths"
            )
        for features in self.widths:
            x = nn.leaky_relu(DownConv(features)(x), 0.2)
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]
