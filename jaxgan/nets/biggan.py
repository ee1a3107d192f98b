"""The networks of BigGAN (Brock et al., 2019, https://arxiv.org/abs/1809.11096), as in the authors' PyTorch code.

The residual networks of SN-GAN with orthogonal kernels, self-attention, and a generator whose blocks are told the class, by one
embedding, and a part of the latent. Spectral norm is no part of them: give both players `transforms.spectral_norm()`, which by
default leaves that embedding alone, as the code does. Defaults are for 128x128 pixels; other sizes are settings:

    32 pixels: Generator(shape, 64, (True,) * 3, multipliers=(4, 4, 4, 4), attention=0, num_classes=10)
               Discriminator(64, (True, True, False, False), multipliers=(4, 4, 4, 4), attention=0, num_classes=10)
               (that code's CIFAR-10 generator splits and embeds nothing: it is `resnet.Generator` with these settings)
    64         Generator(shape, ups=(True,) * 4, multipliers=(16, 16, 8, 4, 2), num_classes=K)
               Discriminator(downs=(True,) * 4 + (False,), multipliers=(1, 2, 4, 8, 16), attention=32, num_classes=K)
    256        Generator(shape, ups=(True,) * 6, multipliers=(16, 16, 8, 8, 4, 2, 1), num_classes=K)
               Discriminator(downs=(True,) * 6 + (False,), multipliers=(1, 2, 4, 8, 8, 16, 16), num_classes=K)
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets import resnet
from jaxgan.nets.conditional import pick
from jaxgan.nets.layers import Initializer
from jaxgan.types import Array, UserError


class Generator(resnet.Generator):
    """Maps latents `[batch, size]` and labels int `[batch]` to images `[batch, *shape]` in [-1, 1].

    The latent is split into equal chunks: one makes the smallest map, and each block is told its own (hierarchical latents, or
    skip-z) beside an embedding of the class that all blocks share. Without classes it takes no labels, and blocks are told their
    chunks alone.

    Attributes:
        shared: length of the class's embedding.

    The other attributes are those of `resnet.Generator`.

    Raises:
        UserError: as there, and latents that cannot be split into one chunk more than there are blocks.
    """

    width: int = 96
    ups: tuple[bool, ...] = (True,) * 5
    multipliers: tuple[int, ...] = (16, 16, 8, 4, 2, 1)
    attention: int = 64
    residual_init: Initializer = nn.initializers.orthogonal()
    kernel_init: Initializer = nn.initializers.orthogonal()
    shared: int = 128

    def tell(self, z: Array, label: Array | None) -> tuple[Array, Sequence[Array | None], int]:
        """Gives the first chunk to the smallest map, and each block one of the others beside the class's embedding."""
        parts = 1 + len(self.ups)
        if z.shape[1] % parts:
            raise UserError(f"latents of {z.shape[1]} components cannot be split into {parts} chunks; take a multiple of {parts}")
        first, *chunks = jnp.split(z, parts, axis=1)
        if label is not None:
            # Not called a kernel or an embedding, so that spectral norm and orthogonal penalties pass it over.
            table = self.param("shared_classes", self.kernel_init, (self.num_classes, self.shared))
            chunks = [jnp.concatenate([pick(table, label), chunk], axis=1) for chunk in chunks]
        return first, chunks, 0


class Discriminator(resnet.Discriminator):
    """Scores images `[batch, height, width, channels]` with labels int `[batch]`: `[batch]`.

    A projection critic with a bias at the end; attributes are those of `resnet.Discriminator`.
    """

    width: int = 96
    downs: tuple[bool, ...] = (True,) * 5 + (False,)
    multipliers: tuple[int, ...] = (1, 2, 4, 8, 16, 16)
    attention: int = 64
    use_bias: bool = True
    residual_init: Initializer = nn.initializers.orthogonal()
    kernel_init: Initializer = nn.initializers.orthogonal()
