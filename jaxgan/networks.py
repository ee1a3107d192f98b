"""From a Flax Linen module to a `Network`, the one door between Flax and the rest; and what a `Network` can be wrapped in."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.nets.rewrite import accelerate
from jaxgan.types import Array, Key, Net, Network, PyTree, Sampler, UserError


def from_linen(module: nn.Module) -> Network:
    """Wraps a Linen module as two pure functions.

    Args:
        module: its `__call__(*inputs, train)` takes arrays `[batch, ...]` and a static bool.

    Returns:
        A `Network`: parameters are the collection `params`; all other collections (BatchNorm averages) are stats. With
        `train=True` stats are updated and `key` feeds every random stream (dropout, noise); with `train=False` both stand still.
        Flax's own convolutions take the fast path of `nets.conv`, as `nets.rewrite` tells.
    """

    def init(key, *inputs):
        variables = dict(module.init(key, *inputs, train=False))
        return variables.pop("params", {}), variables

    def apply(params, stats, *inputs, train, key=None):
        variables = {"params": params, **stats}
        if not train:
            return infer(variables, *inputs), stats
        return learn(variables, key, *inputs)

    def infer(variables, *inputs):
        return module.apply(variables, *inputs, train=False)

    def learn(variables, key, *inputs):
        return module.apply(variables, *inputs, train=True, rngs=key, mutable=[name for name in variables if name != "params"])

    if not type(module).__module__.startswith("jaxgan."):  # whose networks are on the fast path as they are
        infer, learn = accelerate(infer), accelerate(learn)
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


def concat_labels(network: Network, num_classes: int) -> Network:
    """Tells a network that knows nothing of classes the label of each example: a one-hot row beside its first input.

    Latents, points and features get one more component for each class, images one more channel: a plane of ones for the
    example's class, planes of zeros for the others. So any generator and any critic becomes one of a conditional GAN.

    Args:
        network: its first input, `[batch, ..., size + num_classes]`, is wider than what it is called with by `num_classes`.
        num_classes: labels are 0 .. num_classes - 1; one outside, -1 for one, stands for no known class and is told as zeros.

    Returns:
        A `Network` of `[batch, ..., size]` and labels int `[batch]`.

    Reference:
        Mirza and Osindero, 2014, section 3.2 (https://arxiv.org/abs/1411.1784).
    """

    def init(key, x, label):
        return network.init(key, _beside(x, _one_hot(label, num_classes)))

    def apply(params, stats, x, label, train, key=None):
        return network.apply(params, stats, _beside(x, _one_hot(label, num_classes)), train=train, key=key)

    return Network(init, apply)


def embed_labels(network: Network, num_classes: int, size: int) -> Network:
    """Tells a network the label of each example by a learned vector: `concat_labels` for classes that are many or akin.

    Args:
        network: its first input is wider than what it is called with by `size`.
        num_classes: as in `concat_labels`.
        size: of the vectors, which start standard normal.

    Returns:
        A `Network` of `[batch, ..., n]` and labels int `[batch]`; params are `{"network": ..., "classes": {"embedding": ...}}`.
    """

    def told(classes, x, label):
        return _beside(x, _one_hot(label, num_classes) @ classes["embedding"])

    def init(key, x, label):
        own, theirs = jax.random.split(key)
        classes = {"embedding": jax.random.normal(own, (num_classes, size))}
        params, stats = network.init(theirs, told(classes, x, label))
        return {"network": params, "classes": classes}, stats

    def apply(params, stats, x, label, train, key=None):
        return network.apply(params["network"], stats, told(params["classes"], x, label), train=train, key=key)

    return Network(init, apply)


def _one_hot(label: Array, num_classes: int) -> Array:
    if label.ndim != 1 or not jnp.issubdtype(label.dtype, jnp.integer):
        raise UserError(f"labels are {label.dtype} {list(label.shape)}; give integers [batch], the number of each one's class")
    return jax.nn.one_hot(label, num_classes)


def _beside(x: Array, rows: Array) -> Array:
    """Joins `[batch, ..., n]` and a row for each example, `[batch, k]`, to `[batch, ..., n + k]`."""
    planes = jnp.broadcast_to(rows.reshape(len(x), *(1,) * (x.ndim - 2), -1), (*x.shape[:-1], rows.shape[-1]))
    return jnp.concatenate([x, planes.astype(x.dtype)], axis=-1)


def accumulate(network: Network, rows: int) -> Network:
    """Makes a network take a large batch `rows` examples at a time in training, so that memory grows with `rows` alone.

    The loss still sees the whole batch: latents, penalties and means over examples are those of the whole, and so is the
    gradient, for any loss, as the gradients of the parts are added up inside one `scan`. Going backwards, a part is computed once
    more, which adds about a third to the time of a network that is differentiated.

    BatchNorm alone makes a difference. It normalises each part by that part (over all devices), as any accumulation must, and
    carries the mean over the parts, once a turn. Masks of dropout are drawn by part.

    Args:
        network: any; wrap it in `with_pool` or `augmented` afterwards, not before.
        rows: examples on a device at a time; batches of no more are taken whole. Packs and groups of neighbours divide it.

    Raises:
        UserError: `rows` below 1, and in `apply`, a larger batch on a device that `rows` does not divide.

    Reference:
        Brock et al., 2019, section 3 (https://arxiv.org/abs/1809.11096), for large batches; Chen et al., 2016
        (https://arxiv.org/abs/1604.06174), for computing anew.
    """
    if rows < 1:
        raise UserError(f"a batch cannot be taken {rows} examples at a time; take 1 or more")

    def apply(params, stats, *inputs, train, key=None):
        count = len(inputs[0])
        if not train or count <= rows:
            return network.apply(params, stats, *inputs, train=train, key=key)
        if count % rows:
            raise UserError(f"{count} examples on a device cannot be taken {rows} at a time; take a divisor of {count}")

        def part(given):
            own, noise = given
            return network.apply(params, stats, *own, train=True, key=noise)

        split = jax.tree.map(lambda x: x.reshape(-1, rows, *x.shape[1:]), inputs)
        keys = None if key is None else jax.random.split(key, count // rows)
        output, carried = jax.lax.map(jax.checkpoint(part, prevent_cse=False), (split, keys))
        whole = jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), output)
        return whole, jax.tree.map(lambda values: jnp.mean(values, axis=0), carried)

    return Network(network.init, apply)


def standing_statistics(network: Network, net: Net, inputs: Sampler, key: Key, batches: int = 16, size: int = 64) -> Net:
    """Measures what a generator's BatchNorm is to normalise by when it samples: means over many batches of its own.

    The average that training carries is of other weights, the moving average's or earlier ones, and of latents that were not
    truncated. These statistics belong to these weights and these inputs.

    Args:
        network: every leaf of its stats follows `s <- a s + (1 - a) now` in training, as those of BatchNorm do; a is found from
            two passes that start from different `s`.
        net: its weights, `game.look(player, state, averaged=True)` for one, and stats, whose values do not matter.
        inputs: `(key, count)` to its input, or to a tuple of inputs: `latents.with_labels(latents.truncated(128, 0.5), 10)`.
        key: of the inputs.
        batches: how many.
        size: of a batch; larger is better than more, as a small batch understates the variance.

    Returns:
        The same weights with new stats.

    Reference:
        Brock et al., 2019, "standing statistics" (https://arxiv.org/abs/1809.11096); the number of batches is that of their code.
    """
    draw_key, noise_key = jax.random.split(key)
    drawn = inputs(draw_key, batches * size)  # at once: labels that come in turn go on from batch to batch
    parts = jax.tree.map(lambda x: x.reshape(batches, size, *x.shape[1:]), drawn if isinstance(drawn, tuple) else (drawn,))

    def after(start, batch):
        given, key = batch
        stats = jax.tree.map(lambda s: jnp.full_like(s, start), net.stats)
        return network.apply(net.weights, stats, *given, train=True, key=key)[1]

    every = parts, jax.random.split(noise_key, batches)
    first = jax.tree.map(lambda x: x[0], every)
    share = jax.tree.map(lambda one, zero: 1 - (one - zero), after(1.0, first), after(0.0, first))  # 1 - a
    add = lambda total, batch: (jax.tree.map(jnp.add, total, after(0.0, batch)), None)
    total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, net.stats), every)
    return net._replace(stats=jax.tree.map(lambda sum, own: sum / (batches * own), total, share))
