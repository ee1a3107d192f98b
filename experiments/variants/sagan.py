"""SAGAN: residual networks in which distant pixels attend to each other, with spectral norm in both players.

Zhang et al., 2019 (https://arxiv.org/abs/1805.08318). Differs from `projection_gan` in self-attention on maps of half the image's
height, in spectral norm of the generator, too, and in the critic's rate, four times the generator's in the paper.

    python experiments/run.py --variant=sagan                                         digits, 4 minutes: agreement 0.99
    python experiments/run.py --variant=sagan --preset=paper --dataset=folder:DIR     128x128 pixels, ImageNet's settings
"""

import dataclasses
from typing import Literal

from experiments import labelled, wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Self-attention."""

    network: Literal["resnet"] = "resnet"
    """Residual networks alone."""
    multipliers: tuple[int, ...] = ()
    """Of the width, for the generator's smallest map and each of its blocks; the critic's are the other way round; none are 1."""

    def validate(self) -> None:
        super().validate()
        if self.multipliers and min(self.multipliers) < 1:
            raise ValueError(f"--multipliers={' '.join(map(str, self.multipliers))} must be at least 1")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=5e-4, disc_learning_rate=2e-3, beta1=0.0, beta2=0.99,
        decay=0.5, ema_decay=0.995, log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:imagenet2012", image_size=128, steps=1_000_000, batch_size=256, latent_size=128, gen_width=64,
        disc_width=64, multipliers=(16, 16, 8, 4, 2, 1), learning_rate=1e-4, disc_learning_rate=4e-4, beta1=0.0, beta2=0.9,
        ema_decay=0.999, flips=True, eval_every=10_000, sample_every=5_000, checkpoint_every=10_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, parallel, transforms
    from jaxgan.nets import resnet

    gen, disc = map(labelled.told, attentive(cfg, dataset, axis_name, resnet.Generator, resnet.Discriminator))
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    losses = games.adversarial(gen, disc, objectives.hinge(), latent, joint=True, given=("label",))
    players = {
        name: player._replace(transform=transforms.spectral_norm())
        for name, player in wiring.players(cfg, dataset.shape, gen, disc, losses).items()
    }
    return labelled.experiment(cfg, dataset, axis_name, players, gen)


def attentive(cfg: Config, dataset, axis_name: str | None, generator, discriminator):
    """Builds both networks for labels, with attention on their maps of half the image's height.

    Args:
        cfg, dataset, axis_name: as in `experiment`.
        generator, discriminator: modules with the attributes of `nets.resnet`'s.
    """
    count, shape, (ups, downs) = labelled.classes(cfg, dataset), dataset.shape, wiring.blocks(dataset.shape)
    if shape[0] > 32:  # large images are halved down to 4x4
        downs = (True,) * sum(ups) + (False,)
    below = -(-shape[0] // 2 ** sum(ups))  # height of the smallest map
    many, few = cfg.multipliers, cfg.multipliers[::-1]
    attention = below * 2 ** (sum(ups) - 1)
    return wiring.linen(
        cfg,
        generator(shape, cfg.gen_width, ups, axis_name, cfg.remat, count, multipliers=many, attention=attention),
        discriminator(cfg.disc_width, downs, cfg.remat, count, multipliers=few, attention=shape[0] // 2),
    )
