"""WGAN: a critic without a sigmoid whose weights are clipped, so that its scores estimate a multiple of a Wasserstein distance.

Arjovsky et al., 2017 (https://arxiv.org/abs/1701.07875), algorithm 1: each weight is clipped to [-c, c] after each of the
critic's steps. How steep a critic that allows depends on its network, so losses can be compared within one network and one c
alone.

    python experiments/run.py --variant=wgan
    python experiments/run.py --variant=wgan --preset=paper        the paper's rates, on CIFAR-10
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """WGAN with clipped weights."""

    clip: float = 0.05
    """Largest absolute weight of the critic, c in the paper."""

    def validate(self) -> None:
        super().validate()
        if self.clip <= 0:
            raise ValueError(f"--clip={self.clip} must be above 0")
        for field in dataclasses.fields(wiring.PairConfig):
            if field.name in ("beta1", "beta2") and getattr(self, field.name) != field.default:
                raise ValueError(f"--{field.name} is Adam's, and wgan has RMSProp; leave it out")


PRESETS = {
    "quick": Config(steps=4_000, critic_turns=5, learning_rate=2e-4),
    "paper": Config(
        dataset="tfds:cifar10", steps=100_000, batch_size=64, critic_turns=5, latent_size=100, network="standard", clip=0.01,
        learning_rate=5e-5, ema_decay=0.999, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import optax

    from jaxgan import games, objectives, transforms

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    losses = games.adversarial(gen, disc, objectives.wasserstein(), latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    rate = wiring.schedule(cfg, cfg.disc_learning_rate or cfg.learning_rate, cfg.critic_turns)
    clipped = optax.chain(optax.rmsprop(rate), transforms.clip_weights(cfg.clip))
    players["disc"] = players["disc"]._replace(optimizer=clipped)
    players["gen"] = players["gen"]._replace(optimizer=optax.rmsprop(wiring.schedule(cfg, cfg.learning_rate)))
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
