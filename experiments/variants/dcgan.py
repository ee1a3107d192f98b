"""DCGAN: convolutions that double and halve by their strides, BatchNorm, no pooling and no hidden dense layers.

Radford et al., 2016 (https://arxiv.org/abs/1511.06434). Adam at 2e-4 with beta1 0.5 and batches of 128 for both players, kernels
from N(0, 0.02^2).

    python experiments/run.py --variant=dcgan         digits, 20 seconds on two cores: fid64 0.57, precision 0.79, recall 0.84
    python experiments/run.py --variant=dcgan --preset=paper --dataset=folder:DIR     64x64 pixels, the widths of figure 1
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Strided convolutions."""

    network: Literal["dcgan"] = "dcgan"
    """These networks alone."""
    gen_width: int = 32
    """Channels of the generator's largest map; each smaller one has twice as many."""
    disc_width: int = 32
    """Channels of the critic's largest map; each smaller one has twice as many."""
    kernel_size: int = 4
    """Height and width of the kernels; 5 in the paper, 4 in PyTorch's example."""

    def validate(self) -> None:
        super().validate()
        if self.kernel_size < 1:
            raise ValueError(f"--kernel_size={self.kernel_size} must be at least 1")
        if self.remat:
            raise ValueError("--remat is for residual blocks; leave it out with --variant=dcgan")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=1e-3, beta1=0.5, beta2=0.99, decay=0.5, ema_decay=0.995,
        log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:lsun/bedroom", image_size=64, steps=100_000, batch_size=128, latent_size=100, gen_width=128, disc_width=128,
        kernel_size=5, learning_rate=2e-4, ema_decay=0.0, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, parallel
    from jaxgan.nets import dcgan
    from jaxgan.types import UserError

    if len(dataset.shape) != 3:
        raise UserError(f"--variant=dcgan takes images, and {cfg.dataset} holds points; take gan for those")
    doublings = range(max(2, sum(wiring.blocks(dataset.shape)[0])))
    gen, disc = wiring.linen(
        cfg,
        dcgan.Generator(dataset.shape, tuple(cfg.gen_width * 2**i for i in reversed(doublings)), axis_name, cfg.kernel_size),
        dcgan.Discriminator(tuple(cfg.disc_width * 2**i for i in doublings), axis_name, cfg.kernel_size),
    )
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    losses = games.adversarial(gen, disc, objectives.non_saturating(), latent)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
