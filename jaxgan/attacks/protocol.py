"""What all attacks have in common: their signature, what they refuse, how they take steps and how they are repeated."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.attacks.sets import PerturbationSet
from jaxgan.types import Array, Key, PyTree, UserError

PARTS, LEAST = 8, 64  # a batch is worked on in so many parts at most, of so many examples at least
Score = Callable[[Array], Array]  # [batch, ...] -> [batch], each from its own example: what an attack raises
Classifier = Callable[[Array], Array]  # [batch, ...] -> logits [batch, classes]


class Aim(NamedTuple):
    """What an attack raises and when it is content, from one pass of the model; `untargeted` and `targeted` make such.

    Where an attack succeeds, the example stays as it is from then on, at once if it needs no attack, and steps are taken for the
    others alone, in parts of some dozens. A loss that is no Aim is raised to the end for every example. Under `jit` make the Aim
    inside, of labels that are arguments; in reverse mode differentiate through attacks on plain losses only.

    Attributes:
        judge: `(z [count, ...], *given) -> (loss [count], success bool [count])`, each example from its own numbers alone.
        given: what belongs to the examples, labels for one: trees of arrays `[batch, ...]`.
        divisible: whether `judge` can be asked about some of the batch. It cannot if its closure has labels of them all; then
            every step is for every example.
    """

    judge: Callable[..., tuple[Array, Array]]
    given: tuple[PyTree, ...] = ()
    divisible: bool = True

    def loss(self, z: Array) -> Array:
        """Computes the loss of the whole batch: what an attack raises that is not told of success."""
        return self.judge(z, *self.given)[0]

    __call__ = loss  # an Aim is a Score

    def success(self, z: Array) -> Array:
        """Tells which examples of the whole batch need no more attack, bool `[batch]`."""
        return self.judge(z, *self.given)[1]

    def sparing(self, spared: Array) -> "Aim":
        """Makes the same aim, but for examples that need no attack, by bool `[batch]`."""

        def judge(z, spared, *given):
            value, done = self.judge(z, *given)
            return value, done | spared

        return Aim(judge, (spared, *self.given), self.divisible)


Attack = Callable[..., Array]  # (loss: Score | Aim, x, key) -> x_adv of x's shape


def aim_of(loss: Score | Aim) -> Aim:
    """Gives every loss the form of an Aim; one that is none is content with no example."""
    if isinstance(loss, Aim):
        if not isinstance(loss.given, tuple):
            raise UserError(f"an Aim's given is a tuple, as (labels,), and no {type(loss.given).__name__}")
        return loss
    return Aim(lambda z: (loss(z), jnp.zeros_like(z.reshape(len(z), -1)[:, 0], bool)), divisible=False)


def prepare(allowed: PerturbationSet, loss: Score | Aim, x: Array, key: Key) -> tuple[Aim, Array, Array]:
    """Refuses what no attack in a set can work with, and gives every example a key of its own.

    Values can be looked at only outside of `jit`: inside, that `x` lies in the box is the caller's word.

    Args:
        allowed: the set the attack chooses from.
        loss, x, key: as in `examine`; x in the box.

    Returns:
        As `examine`.

    Raises:
        UserError: x outside of the box, besides what `examine` refuses.
    """
    aim, x, keys = examine(loss, x, key)
    look_inside(allowed, x)
    return aim, x, keys


def look_inside(allowed: PerturbationSet, x: Array) -> None:
    """Refuses examples outside of the box, if their values can be looked at."""
    low, high = allowed.box
    if not isinstance(x, jax.core.Tracer):
        least, greatest = np.min(np.asarray(x)), np.max(np.asarray(x))
        if not low <= least <= greatest <= high:
            raise UserError(f"examples from {least:.6g} to {greatest:.6g} leave the box ({low:g}, {high:g}); scale them to it")


def examine(loss: Score | Aim, x: Array, key: Key) -> tuple[Aim, Array, Array]:
    """Refuses what no attack can work with.

    Args:
        loss: as for any attack.
        x: float `[batch, ...]`.
        key: one, or `[batch]` of them, one for each example; `parallel.draw` makes such on several devices.

    Returns:
        `(aim, x, keys [batch])`.

    Raises:
        UserError: x of another type, a key of the wrong kind, or a loss or an Aim that is not per example.
    """
    x, aim = jnp.asarray(x), aim_of(loss)
    if x.ndim < 2 or not len(x) or not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(f"attacks take floating-point examples [batch, ...], not {x.dtype}{list(x.shape)}")
    aim = aim._replace(given=jax.tree.map(jnp.asarray, aim.given))
    for given in jax.tree.leaves(aim.given):
        if given.shape[:1] != x.shape[:1]:
            raise UserError(f"what an Aim is given belongs to examples, [{len(x)}, ...], and has no shape {list(given.shape)}")
    found = jax.eval_shape(aim.judge, x, *aim.given)
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(part, jax.ShapeDtypeStruct) for part in found):
        raise UserError("a loss gives an array [batch]; an Aim judges examples by a pair, (loss [batch], success bool [batch])")
    for what, kind, per_example in zip(("loss", "success"), (jnp.floating, jnp.bool_), found, strict=True):
        if per_example.shape != x.shape[:1]:
            raise UserError(
                f"the {what} must give one value an example, [{len(x)}], not an array of shape {list(per_example.shape)}"
            )
        if not jnp.issubdtype(per_example.dtype, kind):
            raise UserError(f"the {what} must be {kind.__name__.strip('_')}, not {per_example.dtype}")
    if aim.divisible and not _stands_alone(aim, x):
        raise UserError(
            "this Aim cannot judge one example of the batch by itself: give it labels as `given`, or say divisible=False"
        )
    return aim, x, for_each(key, len(x))


def _stands_alone(aim, x):
    """Whether the first example can be judged without the others."""
    first = jax.tree.map(lambda a: a[:1], (x, *aim.given))
    try:
        return all(found.shape == (1,) for found in jax.eval_shape(aim.judge, *first))
    except Exception:  # whatever a model says that takes the whole batch and no less
        return False


def march(step: Callable, state: PyTree, done: Array, own: PyTree, steps: PyTree, divisible: bool) -> PyTree:
    """Takes steps one after the other, for examples that are not done.

    Those still at it come first, and the batch is worked on part by part, so far as they go; a part may end in others, whose
    outcome is the same as before. Where some are left out, this cannot be differentiated in reverse.

    Args:
        step: `(state, done, own, at) -> (state, done)`, of any examples; leaves those that are done as they are.
        state: tree of arrays `[batch, ...]`, what steps change.
        done: bool `[batch]`.
        own: tree of arrays `[batch, ...]`, what belongs to examples and stays.
        steps: tree of arrays `[steps, ...]`; a step sees one slice, `at`.
        divisible: as for an Aim; otherwise every step is for the whole batch.

    Returns:
        The state after all steps.
    """
    if not divisible:
        return jax.lax.scan(lambda carried, at: (step(*carried, own, at), None), (state, done), steps)[0][0]
    count = len(done)
    parts = max(1, min(PARTS, count // LEAST))
    size = math.ceil(count / parts)
    filled = jnp.arange(parts * size)
    rows = jnp.where(filled < count, filled, 0)
    state, done, own = jax.tree.map(lambda a: a[rows], (state, done, own))
    done |= filled >= count
    place = jnp.cumsum(jnp.ones_like(done, jnp.int32)) - 1

    def order(whole):
        by_done = jnp.argsort(whole[1], stable=True)
        return jax.tree.map(lambda a: a[by_done], whole)

    def advance(whole, at):
        left = -(-jnp.sum(~whole[1]) // size)
        beyond = jnp.any(~whole[1] & (filled >= left * size))
        state, done, own, place = jax.lax.cond(beyond, order, lambda whole: whole, whole)

        def work(part, changing):
            take = lambda a: jax.lax.dynamic_slice_in_dim(a, part * size, size)
            put = lambda a, new: jax.lax.dynamic_update_slice_in_dim(a, new, part * size, 0)
            return jax.tree.map(put, changing, step(*jax.tree.map(take, changing), jax.tree.map(take, own), at))

        return (*jax.lax.fori_loop(0, left, work, (state, done)), own, place), None

    (state, _, _, place), _ = jax.lax.scan(advance, (state, done, own, place), steps)
    back = jnp.argsort(place)[:count]
    return jax.tree.map(lambda a: a[back], state)


def for_each(key: Key, count: int) -> Array:
    """Gives `[count]` keys: those there are, or as many from one. An example's key does not depend on how many come with it."""
    if not jnp.issubdtype(jnp.result_type(key), jax.dtypes.prng_key) or key.shape not in ((), (count,)):
        raise UserError(
            f"attacks take jax.random.key(seed), or {count} such keys, not {jnp.result_type(key)}{list(jnp.shape(key))}"
        )
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


def restarts(attack: Attack, count: int) -> Attack:
    """Runs an attack that starts at random several times, and keeps each example's worst outcome: a success, or the highest loss.

    Args:
        attack: any that can be jitted. It is not run again for an example on which it has succeeded.
        count: at least 1.
    """
    positive("count", count)

    def attack_again(loss, x, key):
        aim, x, keys = examine(loss, x, key)

        def run(carried, i):
            best, worst, done = carried
            z = attack(aim.sparing(done), x, fold(keys, i))
            value, succeeds = aim.judge(z, *aim.given)
            value = value.astype(worst.dtype)
            better = ~done & (succeeds | (value > worst))
            return (where(better, z, best), jnp.where(better, value, worst), done | succeeds), None

        first = x.reshape(len(x), -1)[:, 0]
        start = (x, jnp.full_like(first, -jnp.inf), jnp.zeros_like(first, bool))
        (best, _, _), _ = jax.lax.scan(run, start, jnp.arange(count))
        return best

    return attack_again
