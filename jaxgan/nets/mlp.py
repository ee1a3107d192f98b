"""Fully connected networks, for points and for small images."""

import math

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.types import Array


class Generator(nn.Module):
    """Maps latents `[batch, size]` to examples `[batch, *shape]`: images in [-1, 1], or points without bounds.

    Attributes:
        shape: of one example.
        widths: of the hidden layers.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128, 128)

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        for width in self.widths:
            z = nn.relu(nn.Dense(width)(z))
        x = nn.Dense(math.prod(self.shape))(z).reshape(-1, *self.shape)
        return jnp.tanh(x) if len(self.shape) == 3 else x


class Discriminator(nn.Module):
    """Scores examples `[batch, ...]`: `[batch]`.

    Attributes:
        widths: of the hidden layers.
    """

    widths: tuple[int, ...] = (128, 128, 128)

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.leaky_relu(nn.Dense(width)(x), 0.2)
        return nn.Dense(1)(x)[:, 0]
