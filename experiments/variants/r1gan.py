"""R1-GAN: the original game with a critic that is flat where the data are, which makes it converge locally.

Mescheder et al., 2018 (https://arxiv.org/abs/1801.04406). Differs from the plain GAN in the penalty alone. The paper has
gamma = 10 for images.

    python experiments/run.py --variant=r1gan
    python experiments/run.py --variant=r1gan --dataset=digits --gamma=1
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """GAN with R1 or R2 regularisation."""

    gamma: float = 0.1
    """Weight of half the squared slope."""
    where_fake: bool = False
    """Flatten the critic where the generator is (R2) instead of where the data are (R1)."""
    penalty_every: int = 1
    """Compute the penalty in every so many rounds alone, and that many times as heavy (StyleGAN2 has 16)."""

    def validate(self) -> None:
        super().validate()
        if self.gamma < 0:
            raise ValueError(f"--gamma={self.gamma} must not be negative")
        if self.penalty_every < 1:
            raise ValueError(f"--penalty_every={self.penalty_every} must be at least 1")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, penalties

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    penalty = (penalties.r2 if cfg.where_fake else penalties.r1)(cfg.gamma)
    objective = objectives.non_saturating()
    losses = games.adversarial(gen, disc, objective, latent, penalty=penalty, penalty_every=cfg.penalty_every, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
