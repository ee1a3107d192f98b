"""GAN tricks: the original game with each of the known tricks a flag away, to be tried one at a time.

Salimans et al., 2016 (https://arxiv.org/abs/1606.03498), section 3; Chintala et al., 2016
(https://github.com/soumith/ganhacks). Without flags it is the plain non-saturating GAN over perceptrons. TTUR is
`--disc_learning_rate`, the average of the generator `--ema_decay`. None of them is promised to help.

    python experiments/run.py --variant=tricks --minibatch=stddev
    python experiments/run.py --variant=tricks --instance_noise=0.1 --smooth_real=0.9 --latents=spherical
    python experiments/table.py --table=tricks                    every trick by itself, three seeds
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """A plain GAN and its tricks."""

    network: Literal["auto", "resnet", "standard", "mlp"] = "mlp"
    """Tricks that change layers are made for mlp alone."""
    latents: Literal["normal", "uniform", "spherical"] = "normal"
    """What generators start from."""
    smooth_real: float = 1.0
    """Chance that the critic is told a real example is real: 0.9 is one-sided label smoothing."""
    smooth_fake: float = 0.0
    """Chance that the critic is told a generated example is real: noisy labels."""
    instance_noise: float = 0.0
    """Standard deviation of noise on all that the critic sees, falling to none over the training."""
    joint: bool = False
    """Show the critic real and generated examples in one batch instead of one each."""
    minibatch: Literal["none", "stddev", "discrimination"] = "none"
    """What the critic is told of the rest of the batch."""
    norm: Literal["none", "batch", "virtual"] = "none"
    """Normalisation in the generator's hidden layers."""
    dropout: float = 0.0
    """Chance that a hidden unit of the generator is dropped, in training and in sampling."""
    feature_matching: bool = False
    """The generator matches mean features of the critic instead of raising its score."""
    replay: int = 0
    """Earlier examples to keep for the critic, at least a batch; 0 for none."""
    history: float = 0.0
    """Weight of the pull towards the mean of all earlier parameters, for both players."""
    sgd_critic: bool = False
    """Train the critic by plain gradient descent; betas are the generator's alone then."""

    def validate(self) -> None:
        super().validate()
        for name in ("smooth_real", "smooth_fake"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name}={getattr(self, name)} must lie in [0, 1]")
        for name in ("instance_noise", "history"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"--dropout={self.dropout} must lie in [0, 1)")
        if self.replay and self.replay < self.batch_size:
            raise ValueError(f"--replay={self.replay} must be at least --batch_size={self.batch_size}, or 0")
        if self.replay and (self.joint or self.instance_noise):
            raise ValueError("--replay is made for a critic without --joint and --instance_noise; take one or the other")
        if self.joint and self.minibatch == "discrimination":
            raise ValueError("--minibatch=discrimination would compare real examples with generated ones; leave --joint out")
        layers = self.minibatch != "none" or self.norm != "none" or self.dropout or self.feature_matching
        if layers and self.network != "mlp":
            raise ValueError(f"--network={self.network} has none of these layers; --minibatch, --norm, --dropout and "
                             "--feature_matching are made for --network=mlp")  # fmt: skip


PRESETS = {"quick": Config()}
REFERENCE = 64  # rows of virtual batch norm's fixed batch


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import optax

    from jaxgan import games, latents, objectives, parallel, transforms

    inputs = {"normal": latents.normal, "uniform": latents.uniform, "spherical": latents.spherical}[cfg.latents]
    gen, disc, features, inputs = networks(cfg, dataset.shape, axis_name, inputs(wiring.latent_size(cfg, dataset.shape)))
    latent = parallel.draw(inputs, axis_name)
    objective = objectives.smooth_labels(objectives.non_saturating(), cfg.smooth_real, cfg.smooth_fake)
    if cfg.replay:
        disc, features = games.with_pool(disc, cfg.replay), games.with_pool(features, cfg.replay)
        losses = games.replayed(gen, disc, objective, latent, axis_name)
    else:
        noise = parallel.draw(lambda key, count: jax.random.normal(key, (count, *dataset.shape)), axis_name)
        augment = games.instance_noise(cfg.instance_noise, cfg.steps, noise) if cfg.instance_noise else None
        losses = games.adversarial(gen, disc, objective, latent, joint=cfg.joint, augment=augment)
    if cfg.feature_matching:
        losses = losses[0], games.feature_matching(gen, features, latent, axis_name)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    players["gen"] = players["gen"]._replace(init=lambda key: gen.init(key, inputs(jax.random.key(0), 1)))
    if cfg.sgd_critic:
        rate = wiring.schedule(cfg, cfg.disc_learning_rate or cfg.learning_rate, cfg.critic_turns)
        players["disc"] = players["disc"]._replace(optimizer=optax.sgd(rate))
    if cfg.history:
        for name, player in players.items():
            pulled = optax.chain(transforms.historical_averaging(cfg.history), player.optimizer)
            players[name] = player._replace(optimizer=pulled)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen), inputs=inputs)


def networks(cfg: Config, shape, axis_name, inputs):
    """Makes generator, critic, the critic's features (the same parameters), and latents with what dropout takes of them."""
    import functools

    import jax
    import jax.numpy as jnp

    from jaxgan import latents
    from jaxgan.nets import layers, mlp
    from jaxgan.networks import compute_in, from_linen, with_reference

    if cfg.network != "mlp" and len(shape) == 3:
        return *wiring.networks(cfg, shape, axis_name), None, inputs
    normalise = {
        "none": None,
        "batch": functools.partial(layers.BatchNorm, axis_name),
        "virtual": functools.partial(layers.VirtualBatchNorm, REFERENCE),
    }[cfg.norm]
    minibatch = {"none": None, "stddev": layers.MinibatchStddev(), "discrimination": layers.MinibatchDiscrimination(16)}
    generator = mlp.Generator(shape, dropout=cfg.dropout, normalise=normalise)
    own, masks = inputs, latents.normal(generator.mask_size)
    if cfg.dropout:
        inputs = lambda key, count: jnp.concatenate([own(key, count), masks(jax.random.fold_in(key, 1), count)], axis=1)
    gen, disc, features = (
        compute_in(from_linen(module), cfg.precision)
        for module in (
            generator,
            mlp.Discriminator(minibatch=minibatch[cfg.minibatch]),
            mlp.Discriminator(minibatch=minibatch[cfg.minibatch], outputs=0),
        )
    )
    if cfg.norm == "virtual":
        gen = with_reference(gen, inputs(jax.random.key(cfg.seed), REFERENCE))
    return gen, disc, features, inputs
