"""Matching-aware GAN: the critic also sees real examples under wrong labels, and is to call them fake.

Reed et al., 2016, GAN-CLS (https://arxiv.org/abs/1605.05396). Three kinds of pairs: real with its label, generated with the label
it was made for, real with another's; the last two weigh a half each. `matching_auc` is how often the critic scores a held-out
image higher under its own label than another under a wrong one, 0.5 by guessing.

    python experiments/run.py --variant=matching_gan                digits, 2.5 minutes on two cores: AUC 0.999, class_recall 0.5
    python experiments/run.py --variant=matching_gan --wrong=0      without the third kind of pair: AUC 0.82, class_recall 0.83
    python experiments/run.py --variant=matching_gan --preset=paper     flowers at 64x64, told by their kind instead of a sentence
"""

import dataclasses

from experiments import features, labelled, wiring
from experiments.variants import cgan


@dataclasses.dataclass(frozen=True)
class Config(cgan.Config):
    """Pairs of three kinds."""

    wrong: float = 0.5
    """Weight of real examples under wrong labels, in [0, 1); generated ones have the rest."""

    def validate(self) -> None:
        super().validate()
        if not 0 <= self.wrong < 1:
            raise ValueError(f"--wrong={self.wrong} must lie in [0, 1)")


PRESETS = {
    "quick": Config(**dataclasses.asdict(cgan.PRESETS["quick"])),
    "paper": Config(
        dataset="tfds:oxford_flowers102", image_size=64, steps=75_000, batch_size=64, latent_size=100, label="embedding",
        embedding_size=128, gen_width=64, disc_width=64, learning_rate=2e-4, ema_decay=0.0, flips=True,
        log_every=100, eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import game, games, objectives, parallel, transforms

    (gen, disc), count = cgan.told(cfg, dataset, axis_name), labelled.classes(cfg, dataset)
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    losses = games.matching_aware(gen, disc, objectives.hinge(), latent, count, cfg.wrong, axis_name)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())

    def probe(state, key):
        return matching(disc, game.look(players["disc"], state.players["disc"]), dataset, count)

    return labelled.experiment(cfg, dataset, axis_name, players, gen, probes=(probe,))


def matching(disc, net, dataset, count: int) -> dict[str, float]:
    """Scores held-out images under their own and under the next class's label."""
    import jax
    import numpy as np
    from sklearn.metrics import roc_auc_score

    held = features.stored_images(dataset, "held_out", min(2_000, len(dataset.held_out.images)))
    images, labels = np.concatenate(list(held.blocks())), np.int32(held.labels)
    score = jax.jit(lambda label: disc.apply(*net, images, label, train=False)[0])
    scores = [np.asarray(score(own)) for own in (labels, (labels + 1) % count)]
    return {"matching_auc": float(roc_auc_score(np.repeat([1, 0], len(labels)), np.concatenate(scores)))}
