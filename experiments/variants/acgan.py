"""ACGAN: a critic that guesses the class of an example besides its source, and both players want it guessed right.

Odena et al., 2017 (https://arxiv.org/abs/1610.09585). The generator is told the class beside its latent, the critic is not. As
the generator gains by samples that are easy to classify, it tends to lose variety within classes: class_diversity and
class_recall tell. Spectral norm and batch size are as in `cgan`, to compare.

    python experiments/run.py --variant=acgan                     digits, 2 to 4 minutes on two cores: agreement 0.99
    python experiments/run.py --variant=acgan --preset=paper      CIFAR-10, the paper's rates; its networks are not residual
"""

import dataclasses
from typing import Literal

from experiments import labelled, wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """An auxiliary classifier."""

    network: Literal["resnet"] = "resnet"
    """Residual networks alone."""
    class_weight: float = 1.0
    """Weight of the classes in the critic's loss."""
    gen_class_weight: float = 1.0
    """Weight of the classes in the generator's loss."""

    def validate(self) -> None:
        super().validate()
        for name in ("class_weight", "gen_class_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=1e-3, beta1=0.0, beta2=0.99, decay=0.5,
        ema_decay=0.995, log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:cifar10", steps=50_000, batch_size=100, latent_size=100, gen_width=256, disc_width=128, learning_rate=2e-4,
        ema_decay=0.0, log_every=100, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, networks, objectives, parallel, transforms
    from jaxgan.nets import resnet

    count = labelled.classes(cfg, dataset)
    ups, downs = wiring.blocks(dataset.shape)
    gen, disc = wiring.linen(
        cfg,
        resnet.Generator(dataset.shape, cfg.gen_width, ups, axis_name, cfg.remat),
        resnet.Discriminator(cfg.disc_width, downs, cfg.remat, count, auxiliary=True),
    )
    gen, latent = labelled.told(networks.concat_labels(gen, count)), parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    losses = games.acgan(gen, disc, objectives.non_saturating(), latent, cfg.class_weight, cfg.gen_class_weight)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())
    return labelled.experiment(cfg, dataset, axis_name, players, gen)
