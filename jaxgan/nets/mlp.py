"""Fully connected networks, for points and for small images."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets.layers import drop
from jaxgan.types import Array, UserError


class Generator(nn.Module):
    """Maps latents `[batch, size]` to examples `[batch, *shape]`: images in [-1, 1], or points without bounds.

    Attributes:
        shape: of one example.
        widths: of the hidden layers.
        dropout: chance in [0, 1) that a hidden unit is dropped, in training and in sampling alike: the noise of pix2pix. So that
            examples stay a pure function of latents, the last `mask_size` components of these, standard normal, decide the masks.
        normalise: makes what stands in for the bias of each hidden layer, `nets.layers.BatchNorm` for one.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128, 128)
    dropout: float = 0.0
    normalise: Callable[[], nn.Module] | None = None

    @property
    def mask_size(self) -> int:
        """How many latent components decide over dropout; draw `latents.normal(size + mask_size)`."""
        return sum(self.widths) if self.dropout else 0

    @nn.compact
    def __call__(self, z: Array, train: bool) -> Array:
        if not 0 <= self.dropout < 1:
            raise UserError(f"a dropout of {self.dropout} is no chance in [0, 1)")
        if self.dropout:
            own = z.shape[1] - self.mask_size
            if own < 1:
                raise UserError(f"latents of {z.shape[1]} components leave none beside {self.mask_size} for dropout; draw more")
            z, noise = z[:, :own], z[:, own:]
        for width in self.widths:
            z = nn.Dense(width, use_bias=self.normalise is None)(z)
            z = nn.relu(z if self.normalise is None else self.normalise()(z, train))
            if self.dropout:
                z, noise = drop(z, noise[:, :width], self.dropout), noise[:, width:]
        x = nn.Dense(math.prod(self.shape))(z).reshape(-1, *self.shape)
        return jnp.tanh(x) if len(self.shape) == 3 else x


class Discriminator(nn.Module):
    """Scores examples `[batch, ...]`: `[batch]`.

    Attributes:
        widths: of the hidden layers.
        minibatch: what the last layer is also told of the batch, `nets.layers.MinibatchStddev()` for one.
        outputs: numbers for an example: 1 gives scores `[batch]`, more give logits `[batch, outputs]`; 0 leaves the last layer
            out and gives what it would see, `[batch, features]`, by the same parameters.
    """

    widths: tuple[int, ...] = (128, 128, 128)
    minibatch: nn.Module | None = None
    outputs: int = 1

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.leaky_relu(nn.Dense(width)(x), 0.2)
        if self.minibatch is not None:
            x = self.minibatch(x)
        if self.outputs == 0:
            return x
        x = nn.Dense(self.outputs)(x)
        return x[:, 0] if self.outputs == 1 else x
