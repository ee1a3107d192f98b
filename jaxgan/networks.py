"""From a Flax Linen module to a `Network`: the one door between Flax and the rest."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.types import Network, PyTree


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
