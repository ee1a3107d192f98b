"""Conditional GAN: both players are told the class of each example, beside their first input.

Mirza and Osindero, 2014 (https://arxiv.org/abs/1411.1784). A generator's latent gets one more component for each class, a
critic's image one more channel; or both get a learned vector. The critic has spectral norm and the hinge objective, so that
what differs from `projection_gan` and `acgan` is how labels come in.

    python experiments/run.py --variant=cgan                      digits, 4 minutes on a busy machine of two cores: agreement 0.98
    python experiments/run.py --variant=cgan --label=embedding
    python experiments/run.py --variant=cgan --preset=paper       MNIST, perceptrons; Adam in place of the paper's falling SGD
"""

import dataclasses
from typing import Literal

from experiments import labelled, wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Labels beside the input."""

    label: Literal["one_hot", "embedding"] = "one_hot"
    """How a label is told: a component or channel for each class, or a learned vector."""
    embedding_size: int = 8
    """Length of the vector."""

    def validate(self) -> None:
        super().validate()
        if self.embedding_size < 1:
            raise ValueError(f"--embedding_size={self.embedding_size} must be at least 1")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=1e-3, beta1=0.0, beta2=0.99, decay=0.5, ema_decay=0.995,
        log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:mnist", network="mlp", steps=100_000, batch_size=100, latent_size=100, learning_rate=2e-4, ema_decay=0.0,
        log_every=100, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, parallel, transforms

    gen, disc = told(cfg, dataset, axis_name)
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    losses = games.adversarial(gen, disc, objectives.hinge(), latent, given=("label",))
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())
    return labelled.experiment(cfg, dataset, axis_name, players, gen)


def told(cfg: Config, dataset, axis_name: str | None):
    """Gives the labels, beside the input, to a generator and a critic that know nothing of classes."""
    from jaxgan import networks

    count, pair = labelled.classes(cfg, dataset), wiring.networks(cfg, dataset.shape, axis_name)
    if cfg.label == "one_hot":
        return [labelled.told(networks.concat_labels(network, count)) for network in pair]
    return [labelled.told(networks.embed_labels(network, count, cfg.embedding_size)) for network in pair]
