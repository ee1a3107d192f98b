"""A small convolutional classifier, whose last hidden layer metrics can look through."""

import flax.linen as nn

from jaxgan.nets.layers import Conv, ConvPool
from jaxgan.types import Array


class Classifier(nn.Module):
    """Maps images `[batch, height, width, channels]` to `(features [batch, features], logits [batch, classes])`.

    Two convolutions a resolution, halved until at most 4 pixels are left, then two dense layers.

    Attributes:
        classes: how many.
        width: channels at the first resolution; doubled with each halving.
        features: units of the last hidden layer.
    """

    classes: int
    width: int = 32
    features: int = 128

    @nn.compact
    def __call__(self, x: Array, train: bool) -> tuple[Array, Array]:
        del train  # nothing is carried: no normalisation, no dropout
        width = self.width
        while True:
            x = nn.relu(Conv(width)(x))
            if min(x.shape[1:3]) < 8:
                break
            x = nn.relu(ConvPool(width)(x))
            width = min(2 * width, 8 * self.width)
        x = x.reshape(len(x), -1)
        hidden = nn.relu(nn.Dense(self.features)(x))
        return hidden, nn.Dense(self.classes)(hidden)
