"""RGAN, RaGAN: a critic that says how much more real a real example looks than a generated one.

Jolicoeur-Martineau, 2019 (https://arxiv.org/abs/1807.00734). Differs from the plain GAN in the loss pair: scores are
compared, pair by pair or, `--averaged`, with the mean of the other kind, and the generator learns from real examples, too.

    python experiments/run.py --variant=rgan
    python experiments/run.py --variant=rgan --averaged --dataset=digits
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Relativistic GANs."""

    averaged: bool = True
    """Compare with the mean of the other kind (RaGAN) instead of with one example (RGAN)."""
    objective: Literal["non_saturating", "hinge", "least_squares"] = "non_saturating"
    """The curves that differences of scores go through."""


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    objective = {
        "non_saturating": objectives.non_saturating,
        "hinge": objectives.hinge,
        "least_squares": lambda: objectives.least_squares(fake=-1.0, real=1.0),
    }[cfg.objective]()
    losses = games.relativistic(gen, disc, objective, latent, cfg.averaged, axis_name)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
