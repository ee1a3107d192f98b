"""Attacks that see the gradient: FGSM, PGD and APGD.

    attack = pgd(linf(8 / 255, box=(0, 1)), steps=40)
    x_adv = attack(lambda z: cross_entropy(classify(z), labels), x, key)

All are pure and can be jitted and vmapped. Jit them with labels and parameters as arguments, so that they compile once. The
model's own convolutions take the fast path of `nets.conv`, whoever wrote it; `compiler_options=parallel.compiler_options()` for
`jax.jit` helps on CPUs.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.attacks.protocol import Attack, Score, never, over, positive, prepare, where
from jaxgan.attacks.sets import PerturbationSet
from jaxgan.nets.rewrite import accelerate
from jaxgan.types import Array, UserError


def slope(loss: Score):
    """Makes `z -> d loss / d z` `[batch, ...]` of a loss that takes each example by itself."""
    return jax.grad(accelerate(lambda z: jnp.sum(loss(z))))


def fgsm(allowed: PerturbationSet) -> Attack:
    """Goes where the loss, taken for linear, is greatest; for l-infinity that is `x + eps sign(gradient)`.

    For a loss that is linear in `x`, or a monotone function of something linear, no attack is stronger; for any other it is one
    step of an ascent.

    Reference:
        Goodfellow et al., 2015, section 4 (https://arxiv.org/abs/1412.6572).
    """

    def attack(loss, x, key, success=never):
        x, _ = prepare(allowed, loss, x, key, success)
        return where(success(x), x, jax.vmap(allowed.linear_maximiser)(slope(loss)(x), x))

    return attack


def pgd(
    allowed: PerturbationSet,
    steps: int = 40,
    step: float | None = None,
    momentum: float = 0.0,
    random_start: bool = True,
) -> Attack:
    """Climbs the loss by steepest steps, each projected back into the set. The last iterate is the answer.

    Where `success` is given, an example stays as it is from the first success on, at once if it needs no attack.

    Args:
        allowed: the set.
        steps: at least 1.
        step: length of a step, in units of the set's radius; None for 2.5 / steps, which reaches any point from any other.
        momentum: in [0, 1), how much of earlier gradients, each scaled to unit l1 norm, stays (MI-FGSM).
        random_start: begin at a random point of the set instead of at x.

    Reference:
        Madry et al., 2018, section 2.1 (https://arxiv.org/abs/1706.06083); Dong et al., 2018, equations 6 and 7 for the momentum
        (https://arxiv.org/abs/1710.06081).
    """
    length = 2.5 / positive("steps", steps) if step is None else step
    if not 0 < length < math.inf or not 0 <= momentum < 1:
        raise UserError(f"a step must be positive and momentum in [0, 1), not {length} and {momentum}")

    def attack(loss, x, key, success=never):
        x, keys = prepare(allowed, loss, x, key, success)
        start = jax.vmap(allowed.random_point)(keys, x) if random_start else x
        gradient = slope(loss)
        return ascend(allowed, lambda z, i: gradient(z), x, start, accelerate(success), steps, length, momentum)

    return attack


def ascend(allowed, gradient, x: Array, start: Array, success, steps: int, length: float, momentum=0.0) -> Array:
    """Takes projected steps along `gradient(z, i)` from `start`, for the i-th step; those who succeed stand still."""
    project, stride = jax.vmap(allowed.project), jax.vmap(allowed.stride)
    axes = tuple(range(1, x.ndim))

    def climb(carried, i):
        z, velocity = carried
        g = gradient(z, i)
        size = jnp.sum(jnp.abs(g), axis=axes, keepdims=True)
        velocity = momentum * velocity + g / jnp.where(size > 0, size, 1)
        return (where(success(z), z, project(z + length * stride(velocity), x)), velocity), None

    carried = (where(success(x), x, start), jnp.zeros_like(x))
    (z, _), _ = jax.lax.scan(climb, carried, jnp.arange(steps))
    return z


def apgd(allowed: PerturbationSet, steps: int = 100, random_start: bool = True) -> Attack:
    """Climbs the loss with momentum and a step that is halved where progress stalls: no step size is to be chosen.

    At checkpoints that come ever more often, an example goes back to its best point and halves its step if fewer than three
    quarters of the last steps raised its loss, or if neither its step nor its best loss changed since the last checkpoint. The
    best point is the answer. With `dlr` for a loss it is the second member of AutoAttack.

    Args:
        allowed: the set.
        steps: at least 1.
        random_start: as for `pgd`.

    Reference:
        Croce and Hein, 2020, algorithm 1 (https://arxiv.org/abs/2003.01690).
    """
    looks_back = dict(checkpoints(positive("steps", steps)))
    spans = np.array([looks_back.get(i, 0) for i in range(1, steps + 1)])  # steps since the last checkpoint; 0 at none

    def attack(loss, x, key, success=never):
        x, keys = prepare(allowed, loss, x, key, success)
        project, stride = jax.vmap(allowed.project), jax.vmap(allowed.stride)
        score, succeeds = accelerate(loss), accelerate(success)

        def look(z):
            value, pull = jax.vjp(score, z)
            return Point(z, value, pull(jnp.ones_like(value))[0], succeeds(z))

        def climb(carried, at):
            here, before, best, length, rises, (old_length, old_value) = carried
            i, span = at
            ahead = project(here.z + over(length, x) * stride(here.slope), x)
            share = jnp.where(i == 0, 1, 0.75).astype(x.dtype)  # alpha in the paper; there is no inertia yet at first
            step = share * (ahead - here.z) + (1 - share) * (here.z - before)
            there = choose(here.done, here, look(project(here.z + step, x)))
            rises += there.value > here.value
            best = choose(there.done | (there.value > best.value), there, best)
            stalled = (rises < 0.75 * span) | ((old_length == length) & (old_value == best.value))
            back, checked = (span > 0) & stalled, jnp.broadcast_to(span > 0, stalled.shape)
            mark = choose(checked, (length, best.value), (old_length, old_value))
            length = jnp.where(back, length / 2, length)
            return (choose(back, best, there), here.z, best, length, jnp.where(checked, 0, rises), mark), None

        start = jax.vmap(allowed.random_point)(keys, x) if random_start else x
        first = look(where(success(x), x, start))
        length, rises = jnp.full_like(first.value, 2), jnp.zeros_like(first.value, jnp.int32)
        carried = (first, first.z, first, length, rises, (length, first.value))
        (_, _, best, *_), _ = jax.lax.scan(climb, carried, (jnp.arange(steps), spans))
        return best.z

    return attack


class Point(NamedTuple):
    """Where an ascent stands: points `[batch, ...]`, their loss and its slope, and whether they have succeeded."""

    z: Array
    value: Array
    slope: Array
    done: Array


def choose(chosen: Array, then, other):
    """Takes all that belongs to an example from one tree or the other, by bool `[batch]`."""
    return jax.tree.map(lambda a, b: where(chosen, a, b), then, other)


def checkpoints(steps: int):
    """Yields `(step, steps since the last one)` where APGD looks back: after 22% of the steps, then ever sooner."""
    here, percent, gap = 0, 22, 22
    while (then := math.ceil(percent * steps / 100)) <= steps:
        if then > here:
            yield then, then - here
        here, gap = then, max(gap - 3, 6)
        percent += gap
