"""Classifiers that are trained to withstand attacks, and a generator that is trained to attack one.

A defence is the loss of one player, "classifier", whose network maps examples `[batch, ...]` to logits `[batch, classes]`.
Batches hold examples under "real" and int `[batch]` under "label". The attack inside is the inner maximum of a min-max game: it
plays against the classifier as it will be used (`train=False`), and no gradient goes through it, as at a maximum none needs to.

Perturbation sets are in the units of the examples. Papers state eps for images in [0, 1]; the library's images are in [-1, 1],
where the same set is twice as wide.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxgan import attacks
from jaxgan.attacks import Attack, Box, PerturbationSet
from jaxgan.games.adversarial import fields
from jaxgan.parallel import draw
from jaxgan.types import Array, GameState, Loss, Network, Objective, Outcome, Probe, UserError


def classification(classifier: Network) -> Loss:
    """Makes the loss of no defence, the mean cross-entropy; with a network from `games.augmented`, that of augmentation.

    Args:
        classifier: `examples -> logits`.

    Returns:
        The loss of a player named "classifier", which also reports "accuracy", on the batch.

    Raises:
        UserError: a batch without labels. So do all defences below.
    """

    def loss(nets, turn):
        x, label = fields(turn, ("real", "label"))
        value, accuracy, stats = _learn(classifier, *nets["classifier"], x, label, turn.key)
        return value, Outcome(stats, {"accuracy": accuracy})

    return loss


def mixed_training(classifier: Network, attack: Attack, alpha: float = 0.5, axis_name: str | None = None) -> Loss:
    """Makes the loss of clean and attacked examples side by side, `alpha J(x) + (1 - alpha) J(x_adv)`.

    A compromise between two errors, and another objective than `min_max`, which bounds the error on the whole set: a classifier
    that is best for one is not for the other.

    Args:
        classifier: as in `classification`.
        attack: raises the cross-entropy; `attacks.fgsm` in the paper.
        alpha: weight in (0, 1) of the clean examples, 0.5 in the paper.
        axis_name: of the devices, on which an example is attacked with the same random numbers whatever their count.

    Returns:
        The loss of a player named "classifier", which also reports "accuracy" and "adv_accuracy".

    Raises:
        UserError: `alpha` out of its range, besides what `classification` refuses.

    Reference:
        Goodfellow et al., 2015, section 6 (https://arxiv.org/abs/1412.6572).
    """
    if not 0 < alpha < 1:
        raise UserError(f"a mixture needs alpha in (0, 1), not {alpha}; its ends are `min_max` and `classification`")
    find = _finder(classifier, attack, axis_name)

    def loss(nets, turn):
        attack_key, *noise = jax.random.split(turn.key, 3)
        (x, label), (weights, stats) = fields(turn, ("real", "label")), nets["classifier"]
        x_adv = find(nets, lambda logits: attacks.cross_entropy(logits, label), x, attack_key)
        clean, accuracy, stats = _learn(classifier, weights, stats, x, label, noise[0])
        attacked, adv_accuracy, stats = _learn(classifier, weights, stats, x_adv, label, noise[1])
        metrics = {"accuracy": accuracy, "adv_accuracy": adv_accuracy}
        return alpha * clean + (1 - alpha) * attacked, Outcome(stats, metrics)

    return loss


def min_max(classifier: Network, attack: Attack, axis_name: str | None = None) -> Loss:
    """Makes the loss of attacked examples alone, `max J(x_adv)` over the perturbation set: robust optimisation.

    With `pgd` it is Madry's adversarial training. With one step that starts at random, `pgd(allowed, steps=1, step=1.25)`, it is
    the fast one of Wong et al., at a fraction of the cost; all at once, that may overfit catastrophically: it withstands one step
    and nothing else. `robustness` under FGSM and PGD shows it.

    Args:
        classifier, axis_name: as in `mixed_training`.
        attack: raises the cross-entropy.

    Returns:
        The loss of a player named "classifier", which also reports "adv_accuracy".

    Reference:
        Madry et al., 2018, equation 2.1 (https://arxiv.org/abs/1706.06083); Wong et al., 2020, algorithm 3 and section 5
        (https://arxiv.org/abs/2001.03994).
    """
    find = _finder(classifier, attack, axis_name)

    def loss(nets, turn):
        attack_key, noise = jax.random.split(turn.key)
        x, label = fields(turn, ("real", "label"))
        x_adv = find(nets, lambda logits: attacks.cross_entropy(logits, label), x, attack_key)
        value, accuracy, stats = _learn(classifier, *nets["classifier"], x_adv, label, noise)
        return value, Outcome(stats, {"adv_accuracy": accuracy})

    return loss


def trades(classifier: Network, attack: Attack, beta: float = 6.0, axis_name: str | None = None) -> Loss:
    """Makes the loss of TRADES, `CE(f(x), y) + beta max KL(f(x) || f(x_adv))`: be right, and be of one mind around each example.

    The attack raises the KL divergence, not the cross-entropy: it needs no label. `beta` is 1 / lambda of the paper, and trades
    accuracy for robustness.

    Args:
        classifier, axis_name: as in `mixed_training`.
        attack: starts off the example, where the divergence has no slope: `pgd(near(allowed, spread), steps=10)`.
        beta: at least 0; 1 to 6 in the paper.

    Returns:
        The loss of a player named "classifier", which also reports "cross_entropy", "kl" and "accuracy".

    Raises:
        UserError: `beta` negative, besides what `classification` refuses.

    Reference:
        Zhang et al., 2019, equation 5 and algorithm 1 (https://arxiv.org/abs/1901.08573).
    """
    if not beta >= 0:
        raise UserError(f"TRADES needs a weight of at least 0, not beta={beta}")
    find = _finder(classifier, attack, axis_name)

    def loss(nets, turn):
        attack_key, *noise = jax.random.split(turn.key, 3)
        (x, label), (weights, stats) = fields(turn, ("real", "label")), nets["classifier"]
        centre, _ = classifier.apply(*jax.lax.stop_gradient(nets["classifier"]), x, train=False)
        x_adv = find(nets, lambda logits: attacks.kl(centre, logits), x, attack_key)
        clean, stats = classifier.apply(weights, stats, x, train=True, key=noise[0])
        attacked, stats = classifier.apply(weights, stats, x_adv, train=True, key=noise[1])
        cross_entropy, kl = jnp.mean(attacks.cross_entropy(clean, label)), jnp.mean(attacks.kl(clean, attacked))
        metrics = {"cross_entropy": cross_entropy, "kl": kl, "accuracy": _accuracy(clean, label)}
        return cross_entropy + beta * kl, Outcome(stats, metrics)

    return loss


def near(allowed: PerturbationSet, spread: float) -> PerturbationSet:
    """Makes attacks that start at random start close by, at `x + spread N(0, 1)`; the set itself stays as it is.

    Args:
        allowed: any set.
        spread: positive; the code of TRADES has 0.001 for images in [0, 1].
    """

    def random_point(key, x):
        return allowed.project(x + spread * jax.random.normal(key, x.shape, x.dtype), x)

    return allowed._replace(random_point=random_point)


def robustness(infer: Callable[[GameState, Array], Array], tried: Mapping[str, Attack], x: Array, labels: Array) -> Probe:
    """Makes a probe of how often a classifier errs, on examples as they are and under attacks on its cross-entropy.

    Args:
        infer: of the game, examples to logits.
        tried: attacks by name; FGSM beside PGD shows catastrophic overfitting, where the first hardly ever fools the classifier
            and the second almost always.
        x: `[n, ...]`, not trained on; all are attacked at once.
        labels: int `[n]`.

    Returns:
        A probe that gives shares in [0, 1]: "error", and for each attack "NAME_error".
    """

    @jax.jit
    def errors(state, x, labels, key):
        aim = attacks.untargeted(functools.partial(infer, state), labels)
        found = {f"{name}_error": jnp.mean(aim.success(attack(aim, x, key))) for name, attack in tried.items()}
        return {"error": jnp.mean(aim.success(x)), **found}

    def probe(state, key):
        found = jax.device_get(errors(state, x, labels, key))
        return {name: float(found[name]) for name in ("error", *(f"{name}_error" for name in tried))}

    return probe


def classify(classifier: Network):
    """Builds the `infer` of a game whose player "classifier" holds one network: `({name: Net}, examples) -> logits`."""

    def infer(nets, x):
        return classifier.apply(*nets["classifier"], x, train=False)[0]

    return infer


def advgan(
    gen: Network,
    disc: Network,
    classifier: Network,
    objective: Objective,
    gan_weight: float = 1.0,
    hinge_weight: float = 1.0,
    bound: float = 0.0,
) -> tuple[Loss, Loss]:
    """Pairs losses for a generator of adversarial examples: one pass of a network instead of an attack's many steps.

    The generator lowers `relu(own logit - best other logit)` of the attacked classifier, its GAN loss, so that the examples look
    real to a critic, and a hinge on how far they are from the real ones.

    Args:
        gen: `examples -> adversarial examples`, from `perturbing`.
        disc: `examples -> scores [batch]`.
        classifier: `examples -> logits`, of a player "classifier" who stands still.
        objective: the curves of the scores.
        gan_weight: of the GAN loss, alpha in the paper.
        hinge_weight: of the hinge, beta in the paper.
        bound: Euclidean distance that costs nothing, c in the paper.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". The critic reports "real" and "fake"; the generator "fooled",
        the share of the batch that is misclassified, and "distance", the mean Euclidean one.

    Reference:
        Xiao et al., 2018, equations 1 to 4 (https://arxiv.org/abs/1801.02610).
    """

    def disc_loss(nets, turn):
        gen_key, *noise = jax.random.split(turn.key, 3)
        real, (weights, stats) = turn.batch["real"], nets["disc"]
        fake, _ = gen.apply(*nets["gen"], real, train=True, key=gen_key)
        on_real, stats = disc.apply(weights, stats, real, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, fake, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        return loss, Outcome(stats, {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)})

    def gen_loss(nets, turn):
        gen_key, noise = jax.random.split(turn.key)
        real, label = fields(turn, ("real", "label"))
        fake, stats = gen.apply(*nets["gen"], real, train=True, key=gen_key)
        score, _ = disc.apply(*nets["disc"], fake, train=True, key=noise)
        logits, _ = classifier.apply(*nets["classifier"], fake, train=False)
        squared = jnp.sum(jnp.square(fake - real), axis=tuple(range(1, real.ndim)))
        distance = jnp.sqrt(jnp.maximum(squared, 1e-12))  # no slope where nothing has moved
        loss = (
            jnp.mean(jax.nn.relu(-attacks.margin(logits, label)))
            + gan_weight * jnp.mean(objective.gen(score))
            + hinge_weight * jnp.mean(jax.nn.relu(distance - bound))
        )
        metrics = {"fooled": 1 - _accuracy(logits, label), "distance": jnp.mean(distance)}
        return loss, Outcome(stats, metrics)

    return disc_loss, gen_loss


def perturbing(network: Network, eps: float, box: Box) -> Network:
    """Makes a network propose perturbations: `x + eps network(x)`, clipped to the box, which is a point of `attacks.linf`.

    Args:
        network: examples to moves of the same shape, in [-1, 1].
        eps: the radius.
        box: as for `attacks.linf`.
    """
    project = jax.vmap(attacks.linf(eps, box).project)

    def apply(params, stats, x, train, key=None):
        moves, stats = network.apply(params, stats, x, train=train, key=key)
        return project(x + eps * moves, x), stats

    return Network(network.init, apply)


def _finder(classifier: Network, attack: Attack, axis_name: str | None):
    """Makes `(nets, objective, x, key) -> x_adv`, where the objective `logits [batch, classes] -> [batch]` is raised."""
    keys = draw(jax.random.split, axis_name)

    def find(nets, objective, x, key):
        fixed = jax.lax.stop_gradient(nets["classifier"])
        loss = lambda z: objective(classifier.apply(*fixed, z, train=False)[0])
        return jax.lax.stop_gradient(attack(loss, x, keys(key, len(x))))

    return find


def _learn(classifier: Network, weights, stats, x: Array, label: Array, key):
    """Gives mean cross-entropy, accuracy and new stats."""
    logits, stats = classifier.apply(weights, stats, x, train=True, key=key)
    return jnp.mean(attacks.cross_entropy(logits, label)), _accuracy(logits, label), stats


def _accuracy(logits: Array, label: Array) -> Array:
    return 1 - jnp.mean(attacks.misclassified(logits, label), dtype=jnp.float32)
