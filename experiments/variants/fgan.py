"""f-GAN: the variational game of any f-divergence.

Nowozin et al., 2016 (https://arxiv.org/abs/1606.00709). The critic maximises a lower bound of the divergence; the generator
minimises it (`--saturating`), or raises its scores. Beyond the paper, the critic is flattened at the data (`--gamma`).

    python experiments/run.py --variant=fgan --divergence=kl
    python experiments/run.py --variant=fgan --divergence=squared_hellinger --dataset=grid
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """f-GAN."""

    divergence: Literal[
        "total_variation", "kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffrey", "jensen_shannon",
        "goodfellow", "weighted_jensen_shannon", "alpha",
    ] = "jensen_shannon"  # fmt: skip
    """Which f; see jaxgan.divergences. alpha has a = 1/2, the weighted Jensen-Shannon pi = 0.3."""
    saturating: bool = False
    """The generator minimises the bound itself, as in the paper's equation 6, instead of raising E[T]."""
    gamma: float = 0.1
    """Weight of R1, half the squared slope at the data; conjugates grow as fast as exp, and without it some games diverge."""

    def validate(self) -> None:
        super().validate()
        if self.gamma < 0:
            raise ValueError(f"--gamma={self.gamma} must not be negative")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import divergences, games, objectives, penalties

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    objective = objectives.f_gan(divergences.BY_NAME[cfg.divergence](), cfg.saturating)
    penalty = penalties.r1(cfg.gamma) if cfg.gamma else None
    losses = games.adversarial(gen, disc, objective, latent, penalty=penalty, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
