"""Layers that the networks share. Each convolution owns a `kernel` and a `bias`; how it convolves is `nets.conv`'s affair."""

import flax.linen as nn

from jaxgan.nets import conv
from jaxgan.types import Array

Initializer = nn.initializers.Initializer


class Conv(nn.Module):
    """Convolves with stride 1 and keeps the image size.

    Attributes:
        features: output channels.
        size: height and width of the kernel, odd.
        kernel_init: how the kernel starts; biases start at zero.
    """

    features: int
    size: int = 3
    kernel_init: Initializer = nn.initializers.glorot_uniform()

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv.conv(x, kernel, padding=self.size // 2)

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.convolve(x, kernel) + bias.reshape(1, 1, 1, -1)


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
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        return nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
