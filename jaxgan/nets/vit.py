"""A critic that is a transformer over patches (Dosovitskiy et al., 2021, https://arxiv.org/abs/2010.11929)."""

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets.attention import attend
from jaxgan.types import Array, UserError


class MultiHeadAttention(nn.Module):
    """Lets every token attend to all: `[batch, tokens, width]` to the same.

    Attributes:
        heads: how many attend side by side, each with its part of the channels.

    Reference:
        Vaswani et al., 2017, section 3.2.2 (https://arxiv.org/abs/1706.03762).
    """

    heads: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, tokens, width = x.shape
        if width % self.heads:
            raise UserError(f"{width} channels cannot be split among {self.heads} heads; take a multiple of {self.heads}")
        split = lambda name: nn.Dense(width, name=name)(x).reshape(n, tokens, self.heads, -1).swapaxes(1, 2)
        query, key, value = split("query"), split("key"), split("value")
        seen = attend(query * query.shape[-1] ** -0.5, key, value)
        return nn.Dense(width, name="out")(seen.swapaxes(1, 2).reshape(n, tokens, width))


class Block(nn.Module):
    """Adds to tokens `[batch, tokens, width]` what attention, then a small network of one hidden layer, make of them.

    Attributes:
        heads: of the attention.
        expansion: hidden units for each channel.

    Reference:
        Dosovitskiy et al., 2021, equations 2 and 3: normalised before each (https://arxiv.org/abs/2010.11929).
    """

    heads: int
    expansion: int = 4

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x + MultiHeadAttention(self.heads)(nn.LayerNorm()(x))
        h = nn.gelu(nn.Dense(self.expansion * x.shape[-1])(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(h)


class Discriminator(nn.Module):
    """Scores images `[batch, height, width, channels]`: `[batch]`, from the mean over the last layer's tokens.

    Something must hold its slope, `penalties.r1` for one: attention has no Lipschitz constant, whatever the norms of its kernels
    (Kim et al., 2021, https://arxiv.org/abs/2006.04710). Its position embeddings belong to one image size.

    Attributes:
        patch: height and width of a patch, in pixels; an image that patches do not fill is filled up with zeros.
        width: channels of a token.
        depth: blocks.
        heads: of the attention, which divide the width.

    Reference:
        Dosovitskiy et al., 2021, section 3.1 (https://arxiv.org/abs/2010.11929); as a critic, Lee et al., 2022
        (https://arxiv.org/abs/2107.04589), who add more to it for stability.
    """

    patch: int = 4
    width: int = 64
    depth: int = 4
    heads: int = 4

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train  # no layer here behaves differently
        p = self.patch
        x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % p), (0, -x.shape[2] % p), (0, 0)))
        n, h, w, c = x.shape
        patches = x.reshape(n, h // p, p, w // p, p, c).swapaxes(2, 3).reshape(n, -1, p * p * c)
        tokens = nn.Dense(self.width, name="patches")(patches)
        tokens += self.param("position", nn.initializers.normal(0.02), tokens.shape[1:])[None]
        for i in range(self.depth):
            tokens = Block(self.heads, name=f"Block_{i}")(tokens)
        return nn.Dense(1)(jnp.mean(nn.LayerNorm()(tokens), axis=1))[:, 0]
