"""LSGAN: a critic that regresses to one number for real and another for generated examples.

Mao et al., 2017 (https://arxiv.org/abs/1611.04076). Differs from the plain GAN in the objective alone. `--coding=binary` is
the paper's equation 9 (0, 1, 1), `pearson` its equation 8 (-1, 1, 0), which minimises a Pearson divergence.

    python experiments/run.py --variant=lsgan
    python experiments/run.py --variant=lsgan --dataset=digits
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """LSGAN."""

    coding: Literal["binary", "pearson"] = "binary"
    """What scores are regressed to: fake, real, wanted = 0, 1, 1 or -1, 1, 0."""


PRESETS = {"quick": Config()}
CODINGS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    objective = objectives.least_squares(*CODINGS[cfg.coding])
    losses = games.adversarial(gen, disc, objective, latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
