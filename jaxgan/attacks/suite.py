"""Several attacks together: the worst case over all of them, transfer between models, and signs of masked gradients."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.attacks import losses
from jaxgan.attacks.gradient import apgd, fgsm, pgd
from jaxgan.attacks.protocol import Aim, Attack, Classifier, fold, for_each, look_inside, restarts, where
from jaxgan.attacks.query import square
from jaxgan.attacks.sets import PerturbationSet, anywhere
from jaxgan.types import Array, Key, UserError


class Member(NamedTuple):
    """One attack of a suite.

    Attributes:
        attack: any.
        objective: `(logits, labels) -> [batch]`, what it raises.
        targets: how many of the clean example's likeliest wrong classes it is aimed at, one after the other, by lowering the
            objective for them as labels; 0 for none in particular.
    """

    attack: Attack
    objective: Callable[[Array, Array], Array]
    targets: int = 0


def ensemble(allowed: PerturbationSet, classes: int, steps: int = 100, queries: int = 1000) -> dict[str, Member]:
    """Gathers attacks that fail in different ways, after AutoAttack: with and without gradients, of loss and of logits.

    AutoAttack's FAB is not among them; PGD with restarts and, besides `dlr`, the margin stand in for it. As there, APGD is also
    aimed at up to nine classes, each by the margin over its label alone.

    Args:
        allowed: the set that all attack within.
        classes: of the classifier; with two there is no `dlr`, and nothing to aim at.
        steps: of each attack with gradients.
        queries: of the one without.

    Reference:
        Croce and Hein, 2020, section 5 (https://arxiv.org/abs/2003.01690).
    """
    members = {
        "fgsm": Member(fgsm(allowed), losses.cross_entropy),
        "pgd": Member(restarts(pgd(allowed, steps), 2), losses.cross_entropy),
        "apgd": Member(apgd(allowed, steps), losses.cross_entropy),
        "apgd_dlr": Member(apgd(allowed, steps), losses.dlr),
        "apgd_margin": Member(apgd(allowed, steps), losses.margin),
        "apgd_targeted": Member(apgd(allowed, steps), losses.margin, min(9, classes - 1)),
        "square": Member(square(allowed, queries), losses.margin),
    }
    idle = () if classes > 2 else ("apgd_dlr", "apgd_targeted")
    return {name: member for name, member in members.items() if name not in idle}


class Found(NamedTuple):
    """What a suite found.

    Attributes:
        x_adv: `[batch, ...]`, each example's worst: a misclassified one, or that of the highest cross-entropy.
        fooled: bool `[batch]` for each member, where it succeeded by itself.
    """

    x_adv: Array
    fooled: dict[str, Array]


def worst_case(members: Mapping[str, Member], classify: Classifier, x: Array, labels: Array, key: Key) -> Found:
    """Runs every member on every example, and keeps each example's worst outcome.

    Robust accuracy is `1 - mean(misclassified(classify(x_adv), labels))`. Jit it with `x`, `labels` and `key` as arguments.

    Args:
        members: at least one, as `ensemble` gives.
        classify: the model.
        x: float `[batch, ...]`.
        labels: int `[batch]`.
        key: one, or `[batch]`.
    """
    if not members:
        raise UserError("a suite without attacks finds nothing; give at least one")
    keys = for_each(key, len(x))
    worst, highest, fooled = x, jnp.full_like(x.reshape(len(x), -1)[:, 0], -jnp.inf), {}
    for i, (name, member) in enumerate(members.items()):
        z = outcome(member, classify, x, labels, fold(keys, i))
        logits = classify(z)
        fooled[name] = losses.misclassified(logits, labels)
        harm = jnp.where(fooled[name], jnp.inf, losses.cross_entropy(logits, labels).astype(highest.dtype))
        worst, highest = where(harm > highest, z, worst), jnp.maximum(harm, highest)
    return Found(worst, fooled)


def outcome(member: Member, classify: Classifier, x: Array, labels: Array, keys: Array) -> Array:
    """Runs one member of a suite; of several targets an example keeps the first that succeeds, or the last."""
    if not member.targets:
        return member.attack(losses.untargeted(classify, labels, member.objective), x, keys)

    def judge(z, targets, labels):
        logits = classify(z)
        return -member.objective(logits, targets), losses.misclassified(logits, labels)

    def aim(carried, numbered):
        (z, done), (i, targets) = carried, numbered
        tried = member.attack(Aim(judge, (targets, labels)).sparing(done), x, fold(keys, i))
        return (where(done, z, tried), done | losses.misclassified(classify(tried), labels)), None

    logits = classify(x)
    if member.targets >= logits.shape[1]:
        raise UserError(f"targets={member.targets} is more than the {logits.shape[1] - 1} wrong classes there are")
    targets = losses.rivals(logits, labels, member.targets).T
    start = (x, losses.misclassified(logits, labels))
    return jax.lax.scan(aim, start, (jnp.arange(member.targets), targets))[0][0]


def transfer(attack: Attack, aims: Sequence[Aim], x: Array, key: Key) -> Array:
    """Measures how often examples made against one model succeed against another, of which the attacker knows nothing.

    Args:
        attack: any. It is not told of successes: examples that only just cross one model's boundary do not transfer.
        aims: one a model, as `untargeted` makes.
        x: float `[batch, ...]`.
        key: one, or `[batch]`.

    Returns:
        `[models, models]`: in row i, column j, the share of examples made against model i that succeed against model j.

    Reference:
        Papernot et al., 2016, section 3 (https://arxiv.org/abs/1605.07277).
    """
    if not all(isinstance(aim, Aim) for aim in aims):
        raise UserError("transfer takes an Aim of each model, as `untargeted` makes, which tells of success")
    made = [attack(aim.loss, x, key) for aim in aims]
    return jnp.array([[jnp.mean(aim.success(z)) for aim in aims] for z in made])


class Masking(NamedTuple):
    """Whether gradients tell the truth about a model.

    Attributes:
        passed: by check; all True for a model whose gradients hide nothing from these attacks.
        success: shares of examples that are misclassified, by attack.
    """

    passed: dict[str, bool]
    success: dict[str, float]


def masking(
    ball: Callable[[float], PerturbationSet],
    eps: float,
    classify: Classifier,
    x: Array,
    labels: Array,
    key: Key,
    steps: Sequence[int] = (5, 20, 80),
    queries: int = 1000,
    slack: float = 0.02,
) -> Masking:
    """Looks for signs that a model withstands attacks only because its gradients are of no use.

    The checks are: more steps never lower success ("more_steps"), nor does a larger eps ("larger_eps"); with no bound but the box
    nearly all examples are fooled ("unbounded"); without gradients no more are than with them ("gradient_free"), nor by one step
    more than by many ("multi_step").

    Args:
        ball: makes the set of a radius, as `lambda eps: linf(eps, (0, 1))`; its box must be finite.
        eps: positive; a quarter, half and twice of it are tried, too.
        classify: the model.
        x: float `[batch, ...]`.
        labels: int `[batch]`.
        key: one, or `[batch]`.
        steps: of PGD, in increasing order; the last count is the reference for all other checks.
        queries: of the attack without gradients.
        slack: how much a share may be on the wrong side, for chance's sake.

    Reference:
        Athalye et al., 2018, section 3.1 (https://arxiv.org/abs/1802.00420).
    """
    if not eps > 0 or not steps:
        raise UserError(f"eps={eps} must be positive and steps={tuple(steps)} not empty for gradients to be judged")
    allowed, longest = ball(eps), steps[-1]
    look_inside(allowed, x)

    def success_of(attack, objective, x, labels, keys):
        aim = losses.untargeted(classify, labels, objective)
        return jnp.mean(aim.success(attack(aim, x, keys)))

    def of_radius(radius, *data):
        return success_of(pgd(ball(radius), longest), losses.cross_entropy, *data)

    @jax.jit
    def measure(x, labels, keys):
        data = (x, labels, keys)
        radii = jax.lax.map(lambda radius: of_radius(radius, *data), eps * jnp.array([0.25, 0.5, 1.0, 2.0], x.dtype))
        return {
            "clean": jnp.mean(losses.misclassified(classify(x), labels)),
            "fgsm": success_of(fgsm(allowed), losses.cross_entropy, *data),
            **{f"pgd_{n}": success_of(pgd(allowed, n), losses.cross_entropy, *data) for n in steps[:-1]},
            f"pgd_{longest}": radii[2],
            **{f"eps_x{factor:g}": radii[i] for i, factor in ((0, 0.25), (1, 0.5), (3, 2.0))},
            "unbounded": success_of(pgd(anywhere(allowed.box), longest), losses.cross_entropy, *data),
            "square": success_of(square(allowed, queries), losses.margin, *data),
        }

    found = {name: float(value) for name, value in measure(x, labels, for_each(key, len(x))).items()}
    best = found[f"pgd_{longest}"]
    rises = lambda *values: all(b >= a - slack for a, b in itertools.pairwise(values))
    passed = {
        "more_steps": rises(*(found[f"pgd_{n}"] for n in steps)),
        "larger_eps": rises(found["clean"], found["eps_x0.25"], found["eps_x0.5"], best, found["eps_x2"]),
        "unbounded": found["unbounded"] >= 1 - slack,
        "gradient_free": found["square"] <= best + slack,
        "multi_step": best >= found["fgsm"] - slack,
    }
    return Masking(passed, found)
