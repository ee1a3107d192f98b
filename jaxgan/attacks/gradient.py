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

from jaxgan.attacks.protocol import Aim, Attack, march, over, positive, prepare, where
from jaxgan.attacks.sets import PerturbationSet
from jaxgan.nets.rewrite import accelerate
from jaxgan.types import Array, UserError


def looking(aim: Aim):
    """Makes `(z, given) -> (loss [batch], d loss / d z [batch, ...], success [batch])`, each example by itself."""
    judge = accelerate(aim.judge)

    def look(z, given):
        value, pull, done = jax.vjp(lambda z: judge(z, *given), z, has_aux=True)
        return value, pull(jnp.ones_like(value))[0], done

    return look


def fgsm(allowed: PerturbationSet) -> Attack:
    """Goes where the loss, taken for linear, is greatest; for l-infinity that is `x + eps sign(gradient)`.

    For a loss that is linear in `x`, or a monotone function of something linear, no attack is stronger; for any other it is one
    step of an ascent.

    Reference:
        Goodfellow et al., 2015, section 4 (https://arxiv.org/abs/1412.6572).
    """

    def attack(loss, x, key):
        aim, x, _ = prepare(allowed, loss, x, key)
        _, slope, done = looking(aim)(x, aim.given)
        return where(done, x, jax.vmap(allowed.linear_maximiser)(slope, x))

    return attack


def pgd(
    allowed: PerturbationSet,
    steps: int = 40,
    step: float | None = None,
    momentum: float = 0.0,
    random_start: bool = True,
) -> Attack:
    """Climbs the loss by steepest steps, each projected back into the set. The last iterate is the answer.

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

    def attack(loss, x, key):
        aim, x, keys = prepare(allowed, loss, x, key)
        start = jax.vmap(allowed.random_point)(keys, x) if random_start else x
        look = looking(aim)
        return ascend(allowed, aim, lambda z, keys, given, i: look(z, given)[1:], x, start, keys, steps, length, momentum)

    return attack


def ascend(allowed, aim: Aim, look, x: Array, start: Array, keys: Array, steps: int, length: float, momentum=0.0) -> Array:
    """Takes projected steps from `start` by `look(z, keys, given, i) -> (slope, success)`; those who succeed stand still."""
    project, stride = jax.vmap(allowed.project), jax.vmap(allowed.stride)
    axes = tuple(range(1, x.ndim))

    def climb(state, done, own, i):
        (z, velocity), (x, keys, given) = state, own
        slope, succeeds = look(z, keys, given, i)
        size = jnp.sum(jnp.abs(slope), axis=axes, keepdims=True)
        velocity = momentum * velocity + slope / jnp.where(size > 0, size, 1)
        done |= succeeds
        return (where(done, z, project(z + length * stride(velocity), x)), velocity), done

    done = aim.success(x)
    state, own = (where(done, x, start), jnp.zeros_like(x)), (x, keys, aim.given)
    return march(climb, state, done, own, jnp.arange(steps), aim.divisible)[0]


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

    def attack(loss, x, key):
        aim, x, keys = prepare(allowed, loss, x, key)
        project, stride, look = jax.vmap(allowed.project), jax.vmap(allowed.stride), looking(aim)

        def climb(state, done, own, at):
            (here, before, best, length, rises, (old_length, old_value)), (x, given), (i, span) = state, own, at
            ahead = project(here.z + over(length, x) * stride(here.slope), x)
            share = jnp.where(i == 0, 1, 0.75).astype(x.dtype)  # alpha in the paper; there is no inertia yet at first
            z = project(here.z + share * (ahead - here.z) + (1 - share) * (here.z - before), x)
            value, slope, succeeds = look(z, given)
            there = choose(done, here, Point(z, value, slope))
            rises += there.value > here.value
            best = choose(done | succeeds | (there.value > best.value), there, best)
            stalled = (rises < 0.75 * span) | ((old_length == length) & (old_value == best.value))
            back, checked = (span > 0) & stalled, jnp.broadcast_to(span > 0, stalled.shape)
            mark = choose(checked, (length, best.value), (old_length, old_value))
            length = jnp.where(back, length / 2, length)
            return (choose(back, best, there), here.z, best, length, jnp.where(checked, 0, rises), mark), done | succeeds

        start = jax.vmap(allowed.random_point)(keys, x) if random_start else x
        start = where(aim.success(x), x, start)
        value, slope, done = look(start, aim.given)
        first, length, rises = Point(start, value, slope), jnp.full_like(value, 2, x.dtype), jnp.zeros_like(value, jnp.int32)
        state = (first, start, first, length, rises, (length, value))
        _, _, best, *_ = march(climb, state, done, (x, aim.given), (jnp.arange(steps), spans), aim.divisible)
        return best.z

    return attack


class Point(NamedTuple):
    """Where an ascent stands: points `[batch, ...]`, their loss and its slope."""

    z: Array
    value: Array
    slope: Array


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
