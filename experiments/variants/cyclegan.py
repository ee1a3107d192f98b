"""CycleGAN: translation between two sets of images without pairs; who goes there and back must come home.

Zhu et al., 2017 (https://arxiv.org/abs/1703.10593). Two generators and two critics, least squares, a pool of earlier images.
Pictures show held-out a | G(a) | F(G(a)) | b | F(b) | G(F(b)); scores are the cycle's L1 distance, the mean of both ways, which
decides the best checkpoint, and where both domains have the same classes the share of translations that a classifier of the
domain they are in names as what they were. `--cycle=0` is the control: any image of the domain will do.

    python experiments/run.py --variant=cyclegan                                 digits, white on black to yellow on blue, under
                                                                                 8 minutes: cycle_l1 0.054, labels_kept 0.98
    python experiments/run.py --variant=cyclegan --cycle=0                       without the way back: labels_kept 0.16
    python experiments/run.py --variant=cyclegan --dataset=china2flower          crops of two photographs
    python experiments/run.py --variant=cyclegan --preset=paper --dataset=unpaired:DIR_A,DIR_B
"""

import dataclasses
import functools
from typing import Literal

from experiments import features, translation


@dataclasses.dataclass(frozen=True)
class Config(translation.Config):
    """Two residual generators."""

    dataset: str = "digits2colour"
    """Two domains: digits2colour, digits2inverted, china2flower or unpaired:DIR_A,DIR_B."""
    network: Literal["resnet"] = "resnet"
    """Residual blocks at a quarter of the images' height and width."""
    blocks: int = 9
    """Residual blocks of each generator."""
    cycle: float = 10.0
    """Of the cycle's L1 distance, lambda in the paper."""
    identity: float = 0.5
    """Share of that for images that are in the domain already and should stay as they are; 0 for none."""
    pool: int = 50
    """Earlier translations that a critic is shown, at least a batch."""

    def validate(self) -> None:
        super().validate()
        if self.blocks < 1:
            raise ValueError(f"--blocks={self.blocks} must be at least 1")
        for name in ("cycle", "identity"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")
        if self.pool < self.batch_size:
            raise ValueError(f"--pool={self.pool} must be at least --batch_size={self.batch_size}")


PRESETS = {
    "quick": Config(
        image_size=16, steps=1_000, batch_size=16, blocks=2, learning_rate=1e-3, decay=0.5, ema_decay=0.99, eval_samples=900,
        log_every=50, eval_every=250, sample_every=250, checkpoint_every=250,
    ),
    "paper": Config(
        dataset="unpaired:trainA,trainB", image_size=256, flips=True, steps=266_800, batch_size=1, gen_width=64, disc_width=64,
        disc_layers=3, learning_rate=2e-4, decay=0.5, ema_decay=0.0, eval_samples=64,
        log_every=100, eval_every=5_000, sample_every=5_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax.numpy as jnp
    import numpy as np

    from experiments import wiring
    from jaxgan import data, games, objectives
    from jaxgan.data import pairs
    from jaxgan.nets import translate

    translation.refuse(cfg, data.UNPAIRED, "two domains of images", "digits2colour, for one, or unpaired:DIR_A,DIR_B")
    domains = {"a": dataset, "b": dataset.other or data.blank(dataset.shape, dataset.num_classes)}
    (gen,) = wiring.linen(cfg, translate.ResNetGenerator(dataset.shape[2], cfg.gen_width, cfg.blocks))
    disc = games.with_pool(translation.critic(cfg, "instance", axis_name), cfg.pool)
    gens, discs, image = {"a2b": gen, "b2a": gen}, {"a": disc, "b": disc}, (jnp.zeros((1, *dataset.shape)),)
    inits = (games.init_several(discs, {"a": image, "b": image}), games.init_several(gens, {"a2b": image, "b2a": image}))
    objective = objectives.least_squares()._replace(gen=lambda t: jnp.square(t - 1))  # the paper's has no 1/2 here alone
    losses = games.cyclegan(gens, discs, objective, cfg.cycle, cfg.identity, axis_name)
    players = translation.players(cfg, inits, losses)

    def infer(nets, inputs):
        apply = lambda way, x: gens[way].apply(nets["gen"].weights[way], nets["gen"].stats[way], x, train=False)[0]
        a, b = inputs["source"], inputs["real"]
        to_b, to_a = apply("a2b", a), apply("b2a", b)
        return translate.join(a, to_b, apply("b2a", to_b), b, to_a, apply("a2b", to_a))

    @functools.cache
    def held():
        whole = translation.there(cfg, dataset)
        both = [domain for domain in (whole, whole.other) if domain]
        count = min(cfg.eval_samples, *(len(domain.held_out.images) for domain in both))
        return [data.held_out(domain, count) for domain in both]

    def sources():
        a, b = held()
        return {"source": a["real"], "real": b["real"]}

    @functools.cache
    def classifiers():
        return [features.classifier_of(domains[name]) for name in "ba"]

    def metric(sample, key):
        a, to_b, back_to_a, b, to_a, back_to_b = translation.parts(sample(key, len(held()[0]["real"])), 6)
        scores = {"cycle_l1": (translation.l1(back_to_a, a) + translation.l1(back_to_b, b)) / 2}
        if dataset.num_classes and dataset.num_classes == domains["b"].num_classes:
            named = [look(images)[1].argmax(axis=1) for look, images in zip(classifiers(), (to_b, to_a), strict=True)]
            scores["labels_kept"] = float(np.mean(np.equal(named, [part["label"] for part in held()])))
        return scores

    # A seed of its own, or domains of equal counts would always meet in the same pairs.
    seeds = {"a": cfg.seed, "b": (cfg.seed + 1) % 2**32}
    batches = [
        data.batches(domains[name], cfg.batch_size, slices=cfg.critic_turns, seed=seeds[name], flips=cfg.flips) for name in "ab"
    ]
    return translation.experiment(cfg, axis_name, players, infer, pairs.side_by_side(*batches), sources, 6, metric)
