"""Semi-supervised GAN: a critic that classifies, with one class more for what is generated, and few labels.

Salimans et al., 2016, section 5 (https://arxiv.org/abs/1606.03498). The report's disc/accuracy is over the labelled examples of
the training set.

    python experiments/run.py --variant=semi_supervised
    python experiments/run.py --variant=semi_supervised --labelled=50
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """K + 1 classes."""

    network: Literal["mlp"] = "mlp"
    """Perceptrons alone."""
    labelled: int = 100
    """Training examples whose labels the critic is told; 0 for all."""
    feature_matching: bool = False
    """The generator matches mean features of the critic, as in the paper: made for the classifier, at the cost of samples."""

    def validate(self) -> None:
        super().validate()
        if self.labelled < 0:
            raise ValueError(f"--labelled={self.labelled} must be at least 1, or 0 for all")


PRESETS = {"quick": Config(dataset="digits", steps=3_000, batch_size=64, ema_decay=0.995)}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import numpy as np

    from jaxgan import games, objectives
    from jaxgan.nets import mlp
    from jaxgan.networks import compute_in, from_linen
    from jaxgan.types import UserError

    if len(dataset.shape) != 3 or not dataset.num_classes:
        raise UserError(
            f"--variant=semi_supervised learns from labelled images, which {cfg.dataset} has not; take digits, for one"
        )
    if cfg.labelled:
        labels = np.asarray(dataset.train.labels)
        told = np.random.default_rng(0).permutation(len(labels))[: cfg.labelled]
        hidden = np.full_like(labels, -1)
        hidden[told] = labels[told]
        dataset = dataset._replace(train=dataset.train._replace(labels=hidden))
    gen, _, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    disc, features = (
        compute_in(from_linen(mlp.Discriminator(outputs=outputs)), cfg.precision) for outputs in (dataset.num_classes, 0)
    )
    disc_loss, gen_loss = games.semi_supervised(gen, disc, objectives.non_saturating(), latent, axis_name=axis_name)
    if cfg.feature_matching:
        gen_loss = games.feature_matching(gen, features, latent, axis_name)
    players = wiring.players(cfg, dataset.shape, gen, disc, (disc_loss, gen_loss))
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
