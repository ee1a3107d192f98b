"""Layers that the networks share. Each convolution owns a `kernel` and a `bias`; how it convolves is `nets.conv`'s affair."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxgan.nets import conv
from jaxgan.nets.channels import add_bias, channel_mean, scale_and_shift
from jaxgan.types import Array

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
    """Halves an image by a 4x4 convolution with stride 2."""

    size: int = 4

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv_down(x, kernel)


class UpConv(Conv):
    """Doubles an image by a 4x4 transposed convolution with stride 2."""

    size: int = 4

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv_up(x, kernel)


class UpsampleConv(Conv):
    """Doubles an image by pixel repetition, then convolves 3x3."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.upsample_conv(x, kernel)


class ConvPool(Conv):
    """Convolves 3x3, then averages 2x2 blocks."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv_pool(x, kernel)


class BatchNorm(nn.Module):
    """Normalises each channel over the batch and, on several devices, over all of them.

    Attributes:
        axis_name: the axis devices stand on, or None.
        scale_init: how the scales start; shifts start at zero.
    """

    axis_name: str | None = None
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        channels = (x.shape[-1],)
        scale, bias = self.param("scale", self.scale_init, channels), self.param("bias", nn.initializers.zeros, channels)
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
        slope = scale * lax.rsqrt(now[1] + 1e-5)
        return scale_and_shift(x, slope, bias - now[0] * slope)
