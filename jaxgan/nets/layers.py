"""Layers that the networks share. Each convolution owns a `kernel` and a `bias`; how it convolves is `nets.conv`'s affair."""

import statistics

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.nets import conv
from jaxgan.nets.channels import add_bias, channel_mean, scale_and_shift
from jaxgan.types import Array, UserError

Initializer = nn.initializers.Initializer


class Conv(nn.Module):
    """Convolves with stride 1 and keeps the image size.

    Attributes:
        features: output channels.
        size: height and width of the kernel, odd.
        kernel_init: how the kernel starts; biases start at zero.
        use_bias: add a number to each channel.
    """

    features: int
    size: int = 3
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    use_bias: bool = True

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv(x, kernel, padding=self.size // 2)

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        y = self.convolve(x, kernel)
        return add_bias(y, self.param("bias", nn.initializers.zeros, (self.features,))) if self.use_bias else y


class DownConv(Conv):
    """Halves an image by a stride 2 convolution; kernels from 2x2 on. Half an odd size is rounded down, by odd kernels up."""

    size: int = 4

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv(x, kernel, stride=2, padding=(self.size - 1) // 2)


class UpConv(Conv):
    """Doubles an image by a transposed stride 2 convolution; kernels from 2x2 on."""

    size: int = 4

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv_transpose(x, kernel, stride=2, padding=(self.size - 1) // 2, extra=self.size % 2)


class UpsampleConv(Conv):
    """Doubles an image by pixel repetition, then convolves 3x3."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.upsample_conv(x, kernel)


class ConvPool(Conv):
    """Convolves 3x3, then averages 2x2 blocks."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv_pool(x, kernel)


class BatchStatistics(nn.Module):
    """What batch normalisations have in common: the mean of each channel and how much it varies.

    Attributes:
        axis_name: the axis devices stand on, or None.
    """

    axis_name: str | None = None

    def measure(self, x: Array, train: bool) -> tuple[Array, Array]:
        """Gives mean and `1 / standard deviation` `[channels]`: of the batch on all devices in training, else those carried."""
        channels = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        var = self.variable("batch_stats", "var", jnp.ones, channels)
        if train:
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            now = channel_mean(x), channel_mean(jnp.square(wide))
            now = now if self.axis_name is None else lax.pmean(now, self.axis_name)
            now = (now[0], jnp.maximum(now[1] - jnp.square(now[0]), 0))
            if not self.is_initializing():
                for kept, new in zip((mean, var), now, strict=True):
                    kept.value = 0.9 * kept.value + 0.1 * new
        else:
            now = (mean.value, var.value)
        return now[0], lax.rsqrt(now[1] + 1e-5)


class BatchNorm(BatchStatistics):
    """Normalises each channel over the batch and, on several devices, over all of them.

    Attributes:
        axis_name: the axis devices stand on, or None.
        scale_init: how the scales start; shifts start at zero.
    """

    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        channels = (x.shape[-1],)
        scale, bias = self.param("scale", self.scale_init, channels), self.param("bias", nn.initializers.zeros, channels)
        mean, rate = self.measure(x, train)
        slope = scale * rate
        return scale_and_shift(x, slope, bias - mean * slope)


class VirtualBatchNorm(nn.Module):
    """Normalises each example by itself and a fixed batch, which no other example of its own batch has a say in.

    The network runs inside `networks.with_reference`, which puts the reference's rows first. They are normalised by their own
    statistics, every other row by those of the reference and itself, where it counts as one example of `reference + 1`.
    The same on any number of devices, and fit for penalties on slopes; the price is the reference's way through the network.

    Attributes:
        reference: how many of the first rows are the reference batch.
        scale_init: how the scales start; shifts start at zero.

    Reference:
        Salimans et al., 2016, section 3.5 (https://arxiv.org/abs/1606.03498); the example's own share is from their code.
    """

    reference: int
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # nothing is carried, so that training and sampling are the same
        if len(x) <= self.reference:
            raise UserError(f"{len(x)} rows hold no reference batch of {self.reference}; wrap the network by with_reference")
        row = (x.shape[-1],)
        scale, bias = self.param("scale", self.scale_init, row), self.param("bias", nn.initializers.zeros, row)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        own = (jnp.arange(len(x)) >= self.reference).reshape(-1, *(1,) * (x.ndim - 1)) / (self.reference + 1)

        def blend(values):
            each = jnp.mean(values, tuple(range(1, x.ndim - 1)), keepdims=True)
            fixed = jnp.mean(each[: self.reference], 0, keepdims=True)
            return fixed + own * (each - fixed)

        mean = blend(wide)
        var = jnp.maximum(blend(jnp.square(wide)) - jnp.square(mean), 0)
        lift = lambda v: v.reshape(*(1,) * (x.ndim - 1), -1)
        return ((wide - mean) * lax.rsqrt(var + 1e-5) * lift(scale) + lift(bias)).astype(x.dtype)


class MinibatchDiscrimination(nn.Module):
    """Tells a critic how close each example is to the others of its batch: `[batch, size]` to `[batch, size + kernels]`.

    Each kernel maps the features to `depth` numbers; appended is the sum over all other examples of `exp(-distance)`, in the L1
    norm. Takes time by the square of the batch. Real and generated examples must come in separate passes, and on
    several devices each compares within its own slice. No critic for penalties on slopes, which take examples one by one.

    Attributes:
        kernels: how many numbers to append, B in the paper.
        depth: of each kernel, C in the paper. Both defaults are those of its code.

    Reference:
        Salimans et al., 2016, section 3.2 (https://arxiv.org/abs/1606.03498).
    """

    kernels: int = 100
    depth: int = 5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        rows = nn.Dense(self.kernels * self.depth, use_bias=False)(x).astype(jnp.promote_types(x.dtype, jnp.float32))

        def closeness(m):  # [depth, batch] of one kernel, so that all its pairs stay in the cache: 5 times faster on CPUs
            distances = jnp.sum(jnp.abs(m[:, :, None] - m[:, None]), axis=0)
            return jnp.sum(jnp.exp(-distances), axis=1) - 1  # each is at distance zero from itself

        others = lax.map(jax.checkpoint(closeness), rows.T.reshape(self.kernels, self.depth, len(x))).T
        return jnp.concatenate([x, others.astype(x.dtype)], axis=-1)


class MinibatchStddev(nn.Module):
    """Tells a critic how much the examples of a group vary, by one more channel: `[batch, ..., c]` to `[batch, ..., c + 1]`.

    The standard deviation over the group, averaged over pixels and channels. Groups are neighbours in the batch, so that they are
    the same on any number of devices and in joint passes, where `group` divides the batch of a device.

    Attributes:
        group: examples in a group; a smaller batch is one group.

    Reference:
        Karras et al., 2018, section 3, groups from their code (https://arxiv.org/abs/1710.10196).
    """

    group: int = 4

    @nn.compact
    def __call__(self, x: Array) -> Array:
        group = min(self.group, len(x))
        if len(x) % group:
            raise UserError(f"a batch of {len(x)} examples on a device has no groups of {group}; take a multiple of {group}")
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(-1, group, *x.shape[1:])
        spread = jnp.mean(jnp.sqrt(jnp.var(wide, axis=1) + 1e-8), axis=tuple(range(1, x.ndim)))
        column = jnp.repeat(spread, group).reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.concatenate([x, jnp.broadcast_to(column, (*x.shape[:-1], 1)).astype(x.dtype)], axis=-1)


def drop(x: Array, noise: Array, rate: float) -> Array:
    """Drops each number of `x` with chance `rate` and scales up the rest, as dropout does, by randomness that is given.

    Args:
        x: any shape.
        noise: standard normal, of that shape; the lowest share `rate` is dropped.
        rate: in (0, 1).
    """
    threshold = statistics.NormalDist().inv_cdf(rate)
    return jnp.where(noise > threshold, x / (1 - rate), 0)
