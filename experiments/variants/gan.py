"""GAN: the original game of a generator and a discriminator.

Goodfellow et al., 2014 (https://arxiv.org/abs/1406.2661), algorithm 1 with `--critic_turns` for k. `--objective=minimax` is
the game of the paper's theory, whose generator loss is flat where the critic is sure; `non_saturating` is what its
experiments use.

    python experiments/run.py --variant=gan
    python experiments/run.py --variant=gan --objective=minimax --learning_rate=2e-3      loses modes, which -log D does not
    python experiments/run.py --variant=gan --dataset=digits
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """The original GAN."""

    objective: Literal["non_saturating", "minimax"] = "non_saturating"
    """What the generator lowers: -log D, or log(1 - D)."""


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    objective = {"non_saturating": objectives.non_saturating, "minimax": objectives.minimax}[cfg.objective]()
    losses = games.adversarial(gen, disc, objective, latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
