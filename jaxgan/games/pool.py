"""A memory of earlier examples, so that a critic does not forget what the generator has unlearned."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.games.adversarial import adversarial
from jaxgan.types import Array, Key, Loss, Network, Objective, Outcome, Sampler, UserError


class Pool(NamedTuple):
    """Earlier examples.

    Attributes:
        examples: `[size, ...]`; zeros where none has come yet.
        filled: how many rows are taken, the first ones; a float, as all that a network carries is averaged over devices.
    """

    examples: Array
    filled: Array


def init(size: int, example: Array) -> Pool:
    """Builds an empty pool for `size` examples like the given one, `[...]`."""
    return Pool(jnp.zeros((size, *example.shape), example.dtype), jnp.zeros(()))


def exchange(pool: Pool, examples: Array, key: Key, axis_name: str | None = None) -> tuple[Array, Pool]:
    """Trades about half of a batch for earlier examples.

    While there is room the pool keeps copies and trades nothing. Then a coin is tossed for each example: by heads it changes
    places with a random member of the pool, by tails it is shown itself. No member is asked for twice by one batch.

    Args:
        pool: the same on every device.
        examples: `[batch, ...]`; on several devices the own slice of them.
        key: the same on every device.
        axis_name: of the devices.

    Returns:
        `(shown, pool)`: what to show instead, `[batch, ...]`, and the pool afterwards, again the same on every device.

    Raises:
        UserError: a pool smaller than the whole batch.

    Reference:
        Shrivastava et al., 2017, section 2.3 (https://arxiv.org/abs/1612.07828), who trade exactly half; Zhu et al., 2017,
        section 4 (https://arxiv.org/abs/1703.10593), one by one with a coin.
    """
    count = len(examples)
    everything = examples if axis_name is None else jax.lax.all_gather(examples, axis_name, tiled=True)
    size, whole = len(pool.examples), len(everything)
    if whole > size:
        raise UserError(f"a pool of {size} cannot serve batches of {whole}; make it at least as large")
    toss, choose = jax.random.split(key)
    full = pool.filled == size
    filled = pool.filled.astype(jnp.int32)
    row = jnp.where(full, jax.random.choice(choose, size, (whole,), replace=False), filled + jnp.arange(whole))
    trades = (full & jax.random.bernoulli(toss, shape=(whole,))).reshape(-1, *(1,) * (examples.ndim - 1))
    earlier = pool.examples.at[row].get(mode="clip")
    shown = jnp.where(trades, earlier, everything)
    kept = jnp.where(trades | ~full, everything, earlier)
    after = Pool(pool.examples.at[row].set(kept, mode="drop"), jnp.minimum(pool.filled + whole, size))
    if axis_name is not None:
        shown = jax.lax.dynamic_slice_in_dim(shown, jax.lax.axis_index(axis_name) * count, count)
    return shown, after


def with_pool(disc: Network, size: int) -> Network:
    """Makes a critic carry a pool of examples beside its own stats: `{"network": stats, "pool": Pool}`.

    Args:
        disc: `examples -> scores`.
        size: of the pool.
    """

    def start(key, x):
        params, stats = disc.init(key, x)
        return params, {"network": stats, "pool": init(size, x[0])}

    def apply(params, stats, x, train, key=None):
        output, carried = disc.apply(params, stats["network"], x, train=train, key=key)
        return output, {**stats, "network": carried}

    return Network(start, apply)


def replayed(
    gen: Network, disc: Network, objective: Objective, latent: Sampler, axis_name: str | None = None
) -> tuple[Loss, Loss]:
    """Pairs the adversarial losses, with a critic that sees earlier generated examples for about half of the present ones.

    Args:
        gen, objective, latent: as in `adversarial`.
        disc: from `with_pool`, with a pool at least as large as the batch.
        axis_name: of the devices, whose examples all go into one pool.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen".

    Reference:
        Shrivastava et al., 2017, section 2.3 (https://arxiv.org/abs/1612.07828).
    """

    def disc_loss(nets, turn):
        latent_key, gen_key, pool_key, *noise = jax.random.split(turn.key, 5)
        real, (weights, stats) = turn.batch["real"], nets["disc"]
        fake, _ = gen.apply(*nets["gen"], latent(latent_key, len(real)), train=True, key=gen_key)
        shown, pool = exchange(stats["pool"], fake, pool_key, axis_name)
        on_real, stats = disc.apply(weights, stats, real, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, shown, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        return loss, Outcome({**stats, "pool": pool}, {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)})

    return disc_loss, adversarial(gen, disc, objective, latent)[1]
