"""Classifier trained against attacks: augmentation, a mixture, the min-max game, or a fast stand-in for it.

    --defence=augmented     random shifts, brightness and contrast, and no attack: for comparison
    --defence=mixed         alpha J(x) + (1 - alpha) J(x + FGSM), Goodfellow et al., 2015 (https://arxiv.org/abs/1412.6572)
    --defence=madry         max J over the ball, by PGD, Madry et al., 2018 (https://arxiv.org/abs/1706.06083)
    --defence=fast          the same by one step from a random start, Wong et al., 2020 (https://arxiv.org/abs/2001.03994)

The mixture and the min-max game are different objectives. Where pgd_error leaps to 1 and fgsm_error stays low, the fast one has
overfitted catastrophically; the best checkpoint is the one with the lowest pgd_error.

    python experiments/run.py --variant=adv_training --defence=madry --eps=.1
"""

import dataclasses
from typing import Literal

from experiments import robust


@dataclasses.dataclass(frozen=True)
class Config(robust.ClassifierConfig):
    """A defence."""

    defence: Literal["augmented", "mixed", "madry", "fast"] = "madry"
    """What is trained on; see above."""
    attack_steps: int = 7
    """Steps of PGD a round, for madry."""
    alpha: float = 0.5
    """Weight of clean images, for mixed."""

    def validate(self) -> None:
        super().validate()
        if self.attack_steps < 1:
            raise ValueError(f"--attack_steps={self.attack_steps} must be at least 1")
        if not 0 < self.alpha < 1:
            raise ValueError(f"--alpha={self.alpha} must lie in (0, 1)")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import attacks, games
    from jaxgan.games import augment
    from jaxgan.games import robust as defences

    classifier, allowed = robust.network(cfg, cfg.width, dataset), robust.ball(cfg.norm, cfg.eps)
    if cfg.defence == "augmented":
        changes = (augment.translation(), augment.brightness(), augment.contrast())
        classifier = games.augmented(classifier, changes, chance=1.0, axis_name=axis_name)
        loss = defences.classification(classifier)
    elif cfg.defence == "mixed":
        loss = defences.mixed_training(classifier, attacks.fgsm(allowed), cfg.alpha, axis_name)
    elif cfg.defence == "madry":
        loss = defences.min_max(classifier, attacks.pgd(allowed, cfg.attack_steps), axis_name)
    else:
        loss = defences.min_max(classifier, attacks.pgd(allowed, steps=1, step=1.25), axis_name)
    return robust.experiment(cfg, dataset, axis_name, classifier, loss)
