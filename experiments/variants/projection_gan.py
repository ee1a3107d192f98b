"""Projection GAN: a critic scores how well an example's features agree with an embedding of its class, and no class is guessed.

Miyato and Koyama, 2018 (https://arxiv.org/abs/1802.05637). SN-GAN whose critic adds an inner product of features and class to its
score, and whose generator has gain and shift of its BatchNorm chosen by class.

    python experiments/run.py --variant=projection_gan                    digits, 2 to 3 minutes on two cores: agreement 0.99
    python experiments/run.py --variant=projection_gan --preset=paper     CIFAR-10, the networks of SN-GAN's table 2
"""

import dataclasses
from typing import Literal

from experiments import labelled, wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Projection and conditional BatchNorm."""

    network: Literal["resnet"] = "resnet"
    """Residual networks alone."""


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=1e-3, beta1=0.0, beta2=0.99, decay=0.5, ema_decay=0.995,
        log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:cifar10", steps=100_000, batch_size=64, critic_turns=5, latent_size=128, gen_width=256, disc_width=128,
        learning_rate=2e-4, beta1=0.0, beta2=0.9, decay=0.5, ema_decay=0.999,
        eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, parallel, transforms
    from jaxgan.nets import resnet

    count, (ups, downs) = labelled.classes(cfg, dataset), wiring.blocks(dataset.shape)
    pair = wiring.linen(
        cfg,
        resnet.Generator(dataset.shape, cfg.gen_width, ups, axis_name, cfg.remat, count),
        resnet.Discriminator(cfg.disc_width, downs, cfg.remat, count),
    )
    gen, disc = map(labelled.told, pair)
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    # The critic has no BatchNorm, so one pass over real and generated examples is the same as two, and faster.
    losses = games.adversarial(gen, disc, objectives.hinge(), latent, joint=True, given=("label",))
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())
    return labelled.experiment(cfg, dataset, axis_name, players, gen)
