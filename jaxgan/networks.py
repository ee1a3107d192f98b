"""From a Flax Linen module to a `Network`: the one door between Flax and the rest."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.types import Array, Network, PyTree, UserError


def from_linen(module: nn.Module) -> Network:
    """Wraps a Linen module as two pure functions.

    Args:
        module: its `__call__(*inputs, train)` takes arrays `[batch, ...]` and a static bool.

    Returns:
        A `Network`: parameters are the collection `params`; all other collections (BatchNorm averages) are stats. With
        `train=True` stats are updated and `key` feeds every random stream (dropout, noise); with `train=False` both stand still.
    """

    def init(key, *inputs):
        variables = dict(module.init(key, *inputs, train=False))
        return variables.pop("params", {}), variables

    def apply(params, stats, *inputs, train, key=None):
        variables = {"params": params, **stats}
        if not train:
            return module.apply(variables, *inputs, train=False), stats
        return module.apply(variables, *inputs, train=True, rngs=key, mutable=list(stats))

    return Network(init, apply)


def compute_in(network: Network, dtype: jax.typing.DTypeLike) -> Network:
    """Makes a network compute in another floating type, for speed and memory.

    Parameters, their gradients and what the network carries keep their type, and so do sums over a batch; the output is float32.

    Args:
        network: any.
        dtype: "bfloat16"; "float32" changes nothing.
    """
    if jnp.dtype(dtype) == jnp.float32:
        return network

    def cast(tree: PyTree, to) -> PyTree:
        return jax.tree.map(lambda x: x.astype(to) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)

    def apply(params, stats, *inputs, train, key=None):
        output, stats = network.apply(cast(params, dtype), stats, *cast(inputs, dtype), train=train, key=key)
        return cast(output, jnp.float32), stats

    return Network(network.init, apply)


def pack(disc: Network, m: int) -> Network:
    """Makes a critic judge `m` examples of one kind together, so that it sees how much they vary.

    Neighbours in a batch are joined along their last axis: coordinates of points, channels of images. All else is as ever; a
    penalty on slopes measures them by each example of a pack.

    Args:
        disc: takes examples with `m` times as many channels.
        m: examples in a pack, at least 1.

    Returns:
        A `Network` from examples `[batch, ...]` to what `disc` gives `[batch / m, ...]`. Its `init` is given one example.

    Raises:
        UserError: `m` below 1, and in `apply`, a batch that packs do not divide.

    Reference:
        Lin et al., 2018 (https://arxiv.org/abs/1712.04086).
    """
    if m < 1:
        raise UserError(f"packs of {m} examples cannot be; take 1 or more")

    def join(x: Array) -> Array:
        if len(x) % m:
            raise UserError(f"a batch of {len(x)} examples on a device cannot be put into packs of {m}; take a multiple of {m}")
        packs = jnp.moveaxis(x.reshape(-1, m, *x.shape[1:]), 1, -2)
        return packs.reshape(*packs.shape[:-2], -1)

    def init(key, x):
        return disc.init(key, join(jnp.repeat(x, m, axis=0)))

    def apply(params, stats, x, train, key=None):
        return disc.apply(params, stats, join(x), train=train, key=key)

    return Network(init, apply)


def with_reference(network: Network, *reference: Array) -> Network:
    """Shows a network a fixed batch before every other, for its `nets.layers.VirtualBatchNorm` to measure by.

    Args:
        network: its virtual batch norms know how many rows are the reference's.
        reference: one array `[rows, ...]` for each of the network's inputs, chosen once: latents for a generator, real examples
            for a critic. Not part of the state: draw it from the seed alone, so that a resumed run has the same.

    Returns:
        A `Network` whose outputs are those of its own inputs alone.

    Reference:
        Salimans et al., 2016, section 3.5 (https://arxiv.org/abs/1606.03498).
    """

    def join(inputs):
        return [jnp.concatenate([fixed.astype(x.dtype), x]) for fixed, x in zip(reference, inputs, strict=True)]

    def init(key, *inputs):
        return network.init(key, *join(inputs))

    def apply(params, stats, *inputs, train, key=None):
        output, stats = network.apply(params, stats, *join(inputs), train=train, key=key)
        return jax.tree.map(lambda y: y[len(reference[0]) :], output), stats

    return Network(init, apply)
