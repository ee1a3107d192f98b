"""What classifiers share: a network by the data's shape, AdamW, a game of one player, and how well they withstand attacks.

On the command line eps is in units of images in [0, 1], as papers state it; the library's images are in [-1, 1], where the same
ball is twice as wide. `ball` is the one place that converts.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import dataclasses
import functools
from typing import Literal

from experiments import labelled
from experiments.config import RunConfig

BOX = (-1.0, 1.0)  # of the library's images
PROBE_STEPS = 20  # of the PGD that the loop measures by; experiments/attack.py attacks harder


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(RunConfig):
    """A classifier, and the attack that the loop measures it by."""

    dataset: str = "digits"
    """Labelled images: digits, idx:DIR, folder:DIR, npz:FILE or tfds:NAME."""
    steps: int = 1_000
    """Rounds to train; the learning rate falls to zero over them."""
    batch_size: int = 64
    """Images a round, over all devices together."""
    eval_every: int = 250
    """Rounds between measurements; 0 for at the end alone."""
    eval_samples: int = 900
    """Held-out images to measure errors by, all attacked at once; as many as are held out if those are fewer."""
    sample_every: int = 250
    """Rounds between pictures; 0 for at the end alone."""
    checkpoint_every: int = 250
    """Rounds between checkpoints; 0 for at the end alone."""
    width: int = 32
    """Channels of the first convolutions."""
    learning_rate: float = 2e-3
    """At the start; it falls along a cosine."""
    weight_decay: float = 1e-3
    """AdamW's."""
    eps: float = 0.1
    """Radius of the perturbations, for images in [0, 1] as papers state it."""
    norm: Literal["linf", "l2"] = "linf"
    """What the radius is of: the greatest change of a pixel, or the Euclidean length of all changes."""

    @property
    def may_change(self) -> frozenset[str]:
        """A learning rate that falls with the steps fixes them."""
        return super().may_change - {"steps"}

    def validate(self) -> None:
        super().validate()
        validate_eps(self.eps, self.norm)
        if self.width < 1:
            raise ValueError(f"--width={self.width} must be at least 1")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning_rate={self.learning_rate} must be above 0")
        if self.weight_decay < 0:
            raise ValueError(f"--weight_decay={self.weight_decay} must not be negative")
        if self.metrics != RunConfig.metrics or self.stop_on_collapse:
            raise ValueError("--metrics and --stop_on_collapse are for samples, which a classifier has none of; leave them out")


def validate_eps(eps: float, norm: str) -> None:
    """Checks a radius that a user gives.

    Raises:
        ValueError: it is out of range.
    """
    if not eps > 0 or (norm == "linf" and eps > 1):
        most = "in (0, 1]" if norm == "linf" else "above 0"
        raise ValueError(f"--eps={eps:g} must be {most}: it is for images in [0, 1], 8/255 being 0.0314")


def ball(norm: str, eps):
    """Gives the perturbation set, for images in [-1, 1], of a radius for images in [0, 1]."""
    from jaxgan import attacks

    return {"linf": attacks.linf, "l2": attacks.l2}[norm](2 * eps, BOX)


def network(cfg: RunConfig, width: int, dataset):
    """Makes the classifier of images of the data's shape and classes: images to logits.

    Raises:
        UserError: images without labels, or smaller than 4 x 4.
    """
    from jaxgan.nets.classifier import Classifier
    from jaxgan.networks import compute_in, from_linen
    from jaxgan.types import Network, UserError

    count = labelled.classes(cfg, dataset)
    if min(dataset.shape[:2]) < 4:
        raise UserError(f"a classifier needs images of 4x4 pixels or more, not {dataset.shape[0]}x{dataset.shape[1]}")
    whole = compute_in(from_linen(Classifier(count, width)), cfg.precision)

    def apply(params, stats, x, train, key=None):
        (_, logits), stats = whole.apply(params, stats, x, train=train, key=key)
        return logits, stats

    return Network(whole.init, apply)


def player(classifier, shape: tuple[int, ...], loss, steps: int, learning_rate: float = 2e-3, weight_decay: float = 1e-3):
    """Makes the player "classifier", with AdamW and a learning rate that falls to zero along a cosine."""
    import jax.numpy as jnp
    import optax

    from jaxgan.types import Player

    return Player(
        init=lambda key: classifier.init(key, jnp.zeros((1, *shape))),
        loss=loss,
        optimizer=optax.adamw(optax.cosine_decay_schedule(learning_rate, steps), weight_decay=weight_decay),
    )


def experiment(cfg: ClassifierConfig, dataset, axis_name: str | None, classifier, loss, deciding: str = "pgd_error"):
    """Makes a classifier and its loss the experiment that the loop trains, shows and judges.

    It infers logits of held-out images. A probe judges it by its error on them as they are, under FGSM and under PGD.

    Args:
        cfg: what the run is told.
        dataset: a `data.Dataset`.
        axis_name: what the devices stand on.
        classifier: images to logits.
        loss: of the player "classifier".
        deciding: which error decides the best checkpoint.
    """
    from jaxgan import attacks, data, game
    from jaxgan.games import robust as defences
    from jaxgan.types import Experiment, Phase

    players = {"classifier": player(classifier, dataset.shape, loss, cfg.steps, cfg.learning_rate, cfg.weight_decay)}
    play = game.play_round(players, (("classifier", 1),), axis_name)
    made = game.make_game(players, play, defences.classify(classifier))
    held = held_out(cfg, dataset)
    allowed = ball(cfg.norm, cfg.eps)
    tried = {"fgsm": attacks.fgsm(allowed), "pgd": attacks.pgd(allowed, PROBE_STEPS)}
    measure = defences.robustness(made.infer, tried, held["real"], held["label"])

    def probe(state, key):
        found = measure(state, key)
        return {deciding: found[deciding], **found}

    return Experiment(
        phases=(Phase(cfg.steps, made, data.batches(dataset, cfg.batch_size, seed=cfg.seed, flips=cfg.flips)),),
        inputs=in_turn(held["real"]),
        picture=functools.partial(guesses, held["real"], held["label"]),
        probes=(probe,),
    )


def held_out(cfg: RunConfig, dataset) -> dict:
    """Gives the held-out images, with labels, that the loop measures by."""
    from jaxgan import data

    return data.held_out(dataset, min(cfg.eval_samples, len(dataset.held_out.images)))


def in_turn(images):
    """Makes `Experiment.inputs` of fixed images, which come in their order, and again from the first."""
    import numpy as np

    return lambda key, count: images[np.arange(count) % len(images)]


def guesses(images, labels, logits):
    """Draws each image beside a bar for each class, as high as its probability; the label's class stands on grey.

    Args:
        images, labels: that come in turn.
        logits: `[n, classes]`, of the first n.
    """
    import numpy as np
    from scipy.special import softmax

    from jaxgan import pictures

    (count, classes), (height, width, channels) = logits.shape, images.shape[1:]
    index = np.arange(count) % len(images)
    bar = max(1, width // classes)  # pixels
    full = np.rint(height * softmax(np.asarray(logits, np.float64), axis=1)).astype(int)
    lit = np.arange(height)[::-1][None, :, None] < full[:, None, :]
    own = np.arange(classes)[None, None, :] == labels[index][:, None, None]
    panels = np.where(lit, 1.0, np.where(own, -0.4, -1.0)).repeat(bar, axis=2)[..., None]
    shown = np.concatenate([images[index], panels.repeat(channels, axis=-1)], axis=2)
    return pictures.grid(shown, scale=max(1, pictures.CELL // height))


def beside(x, x_adv):
    """Lays images, ten times their perturbations, and the adversarial ones side by side: `[3 n, height, width, channels]`."""
    import numpy as np

    return np.stack([x, 10 * (x_adv - x), x_adv], axis=1).reshape(-1, *x.shape[1:])
