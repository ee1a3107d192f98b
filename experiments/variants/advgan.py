"""AdvGAN: a generator of adversarial examples, trained as a GAN against a classifier that stands still.

Xiao et al., 2018 (https://arxiv.org/abs/1801.02610). The first rounds train the classifier; in all others it stands still, and
generator and critic play. Samples are `x + eps tanh(G(x))` of held-out images; pictures show image | perturbation x 10 | sample.
Scores are of held-out images: the classifier's accuracy on samples, which decides the best checkpoint, on the images themselves,
and the share of those it had right that samples fool it on.

    python experiments/run.py --variant=advgan --eps=.2
"""

import dataclasses
from typing import Literal

from experiments import robust, wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """A generator of perturbations."""

    network: Literal["resnet"] = "resnet"
    """Residual networks alone."""
    eps: float = 0.2
    """Greatest change of a pixel, for images in [0, 1] as papers state it."""
    gan_weight: float = 1.0
    """Of the generator's GAN loss, alpha in the paper."""
    hinge_weight: float = 1.0
    """Of the hinge on the distance, beta in the paper."""
    bound: float = 1.0
    """Euclidean distance that costs nothing, for images in [0, 1]; c in the paper."""
    gen_blocks: int = 2
    """Residual blocks of the generator."""
    classifier_width: int = 32
    """Channels of the classifier's first convolutions."""
    classifier_steps: int = 1_000
    """Rounds, of all steps, that train the classifier first; a multiple of log_every, so that a report is of one game."""

    def validate(self) -> None:
        super().validate()
        robust.validate_eps(self.eps, "linf")
        for name in ("gan_weight", "hinge_weight", "bound"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")
        for name in ("gen_blocks", "classifier_width", "classifier_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} must be at least 1")
        if self.classifier_steps >= self.steps:
            raise ValueError(f"--classifier_steps={self.classifier_steps} must be below --steps={self.steps}")
        if self.log_every == 0 or self.classifier_steps % self.log_every:
            raise ValueError(f"--classifier_steps={self.classifier_steps} must be a multiple of --log_every={self.log_every}")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=1_500, batch_size=64, gen_width=16, disc_width=16, learning_rate=1e-3, ema_decay=0.99,
        log_every=100, eval_every=250, eval_samples=900, sample_every=250, checkpoint_every=250, classifier_steps=500,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import attacks, data, game, games, objectives, pictures
    from jaxgan.games import robust as defences
    from jaxgan.nets import resnet, translate
    from jaxgan.types import Experiment, Phase

    classifier = robust.network(cfg, cfg.classifier_width, dataset)
    moves, disc = wiring.linen(
        cfg,
        translate.ResNetGenerator(dataset.shape[2], cfg.gen_width, cfg.gen_blocks),
        resnet.Discriminator(cfg.disc_width, wiring.blocks(dataset.shape)[1], cfg.remat),
    )
    gen = defences.perturbing(moves, 2 * cfg.eps, robust.BOX)
    losses = defences.advgan(gen, disc, classifier, objectives.least_squares(), cfg.gan_weight, cfg.hinge_weight, 2 * cfg.bound)
    held = robust.held_out(cfg, dataset)
    given, label = held["real"], held["label"]
    of_images = gen._replace(init=lambda key, latent: gen.init(key, given[:1]))
    turns = dataclasses.replace(cfg, steps=cfg.steps - cfg.classifier_steps)
    players = wiring.players(turns, dataset.shape, of_images, disc, losses)
    loss = defences.classification(classifier)
    players["classifier"] = robust.player(classifier, dataset.shape, loss, cfg.classifier_steps)
    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)

    def play(schedule):
        return game.make_game(players, game.play_round(players, schedule, axis_name), games.generate(gen))

    first, then = play((("classifier", 1),)), play((("disc", cfg.critic_turns), ("gen", 1)))
    classify = game.make_game(players, first.step, defences.classify(classifier)).infer

    @jax.jit
    def judge(state):
        x_adv = then.infer(state, given)
        right, still = (~attacks.misclassified(classify(state, x), label) for x in (given, x_adv))
        return {
            "adv_accuracy": jnp.mean(still),
            "accuracy": jnp.mean(right),
            "fooled": jnp.sum(right & ~still) / jnp.maximum(jnp.sum(right), 1),
        }

    def probe(state, key):
        del key  # nothing is drawn
        found = jax.device_get(judge(state))
        return {name: float(found[name]) for name in ("adv_accuracy", "accuracy", "fooled")}

    def picture(samples):
        shown = given[np.arange(len(samples)) % len(given)]
        return pictures.grid(robust.beside(shown, samples), columns=12)

    return Experiment(
        phases=(Phase(cfg.classifier_steps, first, batch_at), Phase(cfg.steps, then, batch_at)),
        inputs=robust.in_turn(given),
        picture=picture,
        probes=(probe,),
    )
