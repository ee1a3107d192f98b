"""DRAGAN: the original game with the critic's slope held near one around the data.

Kodali et al., 2017 (https://arxiv.org/abs/1705.07215). Differs from the plain GAN in the penalty alone, and from WGAN-GP in
where it is taken: about real examples, as far as the noise reaches.

    python experiments/run.py --variant=dragan
    python experiments/run.py --variant=dragan --dataset=digits --penalty_weight=10
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """DRAGAN."""

    penalty_weight: float = 0.1
    """Weight of the penalty, lambda in the paper, which has 10 for images."""
    spread: float = 0.5
    """Reach of the noise in standard deviations of the batch, c in the paper's code."""

    def validate(self) -> None:
        super().validate()
        for name in ("penalty_weight", "spread"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax

    from jaxgan import games, objectives, parallel, penalties

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    noise = parallel.draw(lambda key, count: jax.random.uniform(key, (count, *dataset.shape)), axis_name)
    penalty = penalties.dragan(cfg.penalty_weight, cfg.spread, noise)
    losses = games.adversarial(gen, disc, objectives.non_saturating(), latent, penalty=penalty, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
