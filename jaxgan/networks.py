"""From a Flax Linen module to a `Network`: the one door between Flax and the rest."""

import flax.linen as nn

from jaxgan.types import Network


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
