"""What all attacks have in common: their signature, what they refuse, and how they are repeated."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.attacks.sets import PerturbationSet
from jaxgan.types import Array, Key, UserError

Score = Callable[[Array], Array]  # [batch, ...] -> [batch], each from its own example: what an attack raises
Success = Callable[[Array], Array]  # [batch, ...] -> bool [batch]: where nothing more needs to be done
Attack = Callable[..., Array]  # (loss: Score, x, key, success: Success = never) -> x_adv of x's shape


def never(z: Array) -> Array:
    """Is satisfied with no example: the attack takes all its steps."""
    return jnp.zeros_like(z.reshape(len(z), -1)[:, 0], bool)


def prepare(allowed: PerturbationSet, loss: Score, x: Array, key: Key, success: Success) -> tuple[Array, Array]:
    """Refuses what no attack can work with, and gives every example a key of its own.

    Values can be looked at only outside of `jit`: inside, that `x` lies in the box is the caller's word.

    Args:
        allowed: the set the attack chooses from.
        loss: as for any attack.
        x: float `[batch, ...]`, in the box.
        key: one, or `[batch]` of them, one for each example; `parallel.draw` makes such on several devices.
        success: as for any attack.

    Returns:
        `(x, keys [batch])`.

    Raises:
        UserError: x of another type or outside of the box, a key of the wrong kind, or a loss or success that is not per example.
    """
    x = jnp.asarray(x)
    if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(f"attacks take floating-point examples [batch, ...], not {x.dtype}{list(x.shape)}")
    low, high = allowed.box
    if not isinstance(x, jax.core.Tracer):
        least, greatest = np.min(np.asarray(x)), np.max(np.asarray(x))
        if not low <= least <= greatest <= high:
            raise UserError(f"examples from {least:.6g} to {greatest:.6g} leave the box ({low:g}, {high:g}); scale them to it")
    for what, of_each in {"loss": loss, "success": success}.items():
        found = jax.eval_shape(of_each, x)
        if found.shape != x.shape[:1]:
            raise UserError(f"the {what} must give one value an example, [{len(x)}], not an array of shape {list(found.shape)}")
    return x, for_each(key, len(x))


def for_each(key: Key, count: int) -> Array:
    """Gives `[count]` keys: those there are, or as many from one. An example's key does not depend on how many come with it."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.shape not in ((), (count,)):
        raise UserError(f"attacks take jax.random.key(seed), or {count} such keys, not {key.dtype}{list(key.shape)}")
    return key if key.shape else fold(jnp.broadcast_to(key, (count,)), jnp.arange(count))


def fold(keys: Array, number) -> Array:
    """Makes new keys from `[batch]` keys and a number, or a number for each."""
    return jax.vmap(jax.random.fold_in)(keys, jnp.broadcast_to(jnp.asarray(number), keys.shape))


def where(chosen: Array, then: Array, other: Array) -> Array:
    """Takes whole examples from one batch or the other, by bool `[batch]`."""
    return jnp.where(over(chosen, then), then, other)


def over(values: Array, x: Array) -> Array:
    """Shapes `[batch]` values so that they spread over examples `[batch, ...]`."""
    return values.reshape(-1, *(1,) * (x.ndim - 1))


def positive(name: str, value: int) -> int:
    """Hands a count back, or refuses it if it is below 1."""
    if value < 1:
        raise UserError(f"{name}={value} must be at least 1")
    return value


def rank(loss: Score, success: Success, z: Array) -> Array:
    """Orders candidates `[batch]`: a success before all else, and then a greater loss."""
    return jnp.where(success(z), jnp.inf, loss(z).astype(z.dtype))


def restarts(attack: Attack, count: int) -> Attack:
    """Runs an attack that starts at random several times, and keeps each example's worst outcome: a success, or the highest loss.

    Args:
        attack: any.
        count: at least 1.
    """
    positive("count", count)

    def attack_again(loss, x, key, success=never):
        x, keys = jnp.asarray(x), for_each(key, len(x))

        def run(carried, i):
            best, best_rank = carried
            z = attack(loss, x, fold(keys, i), success)
            z_rank = rank(loss, success, z)
            return (where(z_rank > best_rank, z, best), jnp.maximum(z_rank, best_rank)), None

        none_yet = jnp.full_like(x.reshape(len(x), -1)[:, 0], -jnp.inf)
        (best, _), _ = jax.lax.scan(run, (x, none_yet), jnp.arange(count))
        return best

    return attack_again
