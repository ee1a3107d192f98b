"""SN-GAN: a critic whose every layer has spectral norm one.

Miyato et al., 2018 (https://arxiv.org/abs/1802.05957). Differs from the plain GAN in the hinge objective and in the critic's
`transform=spectral_norm()`; nothing else holds the critic's slope.

    python experiments/run.py --variant=sngan                     digits, 1.5 minutes on two cores: fid64 0.6, precision 0.9,
                                                                  recall 0.77, coverage 0.88
    python experiments/run.py --variant=sngan --augment=adaptive  0.61, 0.90, 0.81, 0.86 in the same order; `diff` cuts half of an
                                                                  8x8 digit out, too much for them: 1.7, 0.75, 0.47, 0.61
    python experiments/run.py --variant=sngan --preset=paper      CIFAR-10, the residual networks of the paper's table 2
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """SN-GAN."""

    objective: Literal["hinge", "non_saturating"] = "hinge"
    """What the players play for; the paper reports both."""
    gen_batches: int = 1
    """Batches of latents the generator's turn draws."""
    augment: Literal["none", "diff", "adaptive"] = "none"
    """What the critic's images meet: nothing, every change of DiffAugment, or changes with a chance that it moves (ADA)."""

    def validate(self) -> None:
        super().validate()
        if self.gen_batches < 1:
            raise ValueError(f"--gen_batches={self.gen_batches} must be at least 1")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=1e-3, beta1=0.0, beta2=0.99, decay=0.5, ema_decay=0.995,
        log_every=100, eval_every=750, sample_every=200, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:cifar10", steps=50_000, batch_size=64, critic_turns=5, gen_batches=2, latent_size=128, gen_width=256,
        disc_width=128, learning_rate=2e-4, beta1=0.0, beta2=0.9, decay=1.0, ema_decay=0.999,
        log_every=100, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, transforms
    from jaxgan.games import augment
    from jaxgan.types import UserError

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    if cfg.augment != "none":
        if len(dataset.shape) != 3:
            raise UserError(f"--augment={cfg.augment} changes images, and {cfg.dataset} holds points; leave it out")
        changes, chance = (augment.DIFF_AUGMENT, 1.0) if cfg.augment == "diff" else (augment.ADAPTIVE, 0.0)
        disc = games.augmented(disc, changes, chance, axis_name)
    objective = {"hinge": objectives.hinge, "non_saturating": objectives.non_saturating}[cfg.objective]()
    # The critic has no BatchNorm, so one pass over real and generated examples is the same as two, and faster.
    losses = games.adversarial(gen, disc, objective, latent, cfg.gen_batches, joint=cfg.augment == "none")
    if cfg.augment == "adaptive":
        losses = games.adaptive(losses[0], disc, axis_name=axis_name), losses[1]
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
