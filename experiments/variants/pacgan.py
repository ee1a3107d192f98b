"""PacGAN: a critic that judges several examples at once, and so sees how much they vary.

Lin et al., 2018 (https://arxiv.org/abs/1712.04086). Differs from the plain GAN in what the critic is shown: packs of examples of
one kind, joined along their channels.

    python experiments/run.py --variant=pacgan
    python experiments/run.py --variant=pacgan --packing=4 --dataset=grid
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """PacGAN."""

    packing: int = 2
    """Examples in a pack, m in the paper."""

    def validate(self) -> None:
        super().validate()
        if self.packing < 1 or self.batch_size % self.packing:
            raise ValueError(f"--packing={self.packing} must be at least 1 and divide --batch_size={self.batch_size}")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, networks, objectives

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    disc = networks.pack(disc, cfg.packing)
    losses = games.adversarial(gen, disc, objectives.non_saturating(), latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
