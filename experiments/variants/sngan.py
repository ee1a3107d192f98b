"""SN-GAN: a critic whose every layer has spectral norm one.

Miyato et al., 2018 (https://arxiv.org/abs/1802.05957). Differs from the plain GAN in the hinge objective and in the critic's
`transform=spectral_norm()`; nothing else holds the critic's slope.

    python experiments/run.py --variant=sngan                     digits, 1.5 minutes on two cores: fid64 0.6, precision 0.9,
                                                                  recall 0.77, coverage 0.88
    python experiments/run.py --variant=sngan --preset=paper      CIFAR-10, the residual networks of the paper's table 2
"""

import dataclasses
import functools
import math
from typing import Literal

from experiments.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """SN-GAN."""

    steps: int = 3_000
    """Rounds to play."""
    eval_every: int = 750
    """Rounds between measurements; 0 for at the end alone."""
    sample_every: int = 200
    """Rounds between pictures; 0 for at the end alone."""
    checkpoint_every: int = 750
    """Rounds between checkpoints; 0 for at the end alone."""
    network: Literal["auto", "resnet", "standard", "mlp"] = "auto"
    """resnet or standard (the paper's table 3) for images, mlp for points; auto is resnet or mlp by the data."""
    gen_width: int = 32
    """Channels of the generator's residual blocks."""
    disc_width: int = 32
    """Channels of the critic's residual blocks."""
    latent_size: int = 32
    """Components of a latent."""
    critic_turns: int = 1
    """Critic turns a round, n_dis in the paper."""
    gen_batches: int = 1
    """Batches of latents the generator's turn draws."""
    remat: bool = False
    """Keep the inputs of residual blocks alone for the gradient, and compute their insides anew: less memory, more work."""
    objective: Literal["hinge", "non_saturating"] = "hinge"
    """What the players play for; the paper reports both."""
    learning_rate: float = 1e-3
    """Of Adam, for both players."""
    beta1: float = 0.0
    """Adam's decay of the first moment."""
    beta2: float = 0.99
    """Adam's decay of the second moment."""
    decay: float = 0.5
    """Last share of the steps, over which the learning rate falls linearly to zero; 0 keeps it."""
    ema_decay: float = 0.995
    """Decay a round of the generator's moving average, which samples are drawn from."""

    @property
    def may_change(self) -> frozenset[str]:
        """A learning rate that falls with the steps fixes them."""
        return super().may_change - {"steps"} if self.decay else super().may_change

    def validate(self) -> None:
        super().validate()
        for name in ("critic_turns", "gen_batches", "latent_size", "gen_width", "disc_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} must be at least 1")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} must lie in [0, 1)")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"--decay={self.decay} must lie in [0, 1]")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning_rate={self.learning_rate} must be above 0")


PRESETS = {
    "quick": Config(),
    "paper": Config(
        dataset="tfds:cifar10", steps=50_000, critic_turns=5, gen_batches=2, latent_size=128, gen_width=256, disc_width=128,
        learning_rate=2e-4, beta2=0.9, decay=1.0, ema_decay=0.999,
        eval_every=5_000, sample_every=1_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax.numpy as jnp
    import optax

    from jaxgan import data, game, games, latents, metrics, objectives, parallel, pictures, transforms
    from jaxgan.networks import compute_in
    from jaxgan.types import Experiment, Phase, Player

    gen, disc = (compute_in(network, cfg.precision) for network in networks(cfg, dataset.shape, axis_name))
    latent = latents.normal(cfg.latent_size)
    objective = {"hinge": objectives.hinge, "non_saturating": objectives.non_saturating}[cfg.objective]()
    # The critic has no BatchNorm, so one pass over real and generated examples is the same as two, and faster.
    disc_loss, gen_loss = games.adversarial(gen, disc, objective, parallel.draw(latent, axis_name), cfg.gen_batches, joint=True)

    def adam(turns):
        last, falling = cfg.steps * turns, round(cfg.decay * cfg.steps * turns)
        decayed = optax.linear_schedule(cfg.learning_rate, 0.0, falling, transition_begin=last - falling)
        return optax.adam(decayed if falling else cfg.learning_rate, b1=cfg.beta1, b2=cfg.beta2)

    players = {
        "disc": Player(
            init=lambda key: disc.init(key, jnp.zeros((1, *dataset.shape))),
            loss=disc_loss,
            optimizer=adam(cfg.critic_turns),
            transform=transforms.spectral_norm(),
        ),
        "gen": Player(
            init=lambda key: gen.init(key, jnp.zeros((1, cfg.latent_size))),
            loss=gen_loss,
            optimizer=adam(1),
            ema_decay=cfg.ema_decay,
        ),
    }
    play = game.play_round(players, (("disc", cfg.critic_turns), ("gen", 1)), axis_name)
    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)
    judged, picture = (), pictures.scatter
    if isinstance(dataset.held_out, data.toys.Mixture):
        judged = (metrics.mode_quality(*dataset.held_out),)
        picture = functools.partial(pictures.scatter, modes=dataset.held_out.centres)
    elif len(dataset.shape) == 3:
        some = min(2_000, len(dataset.held_out.images))
        judged, picture = (metrics.image_quality(data.held_out(dataset, some)["real"]),), pictures.grid
    return Experiment(
        phases=(Phase(cfg.steps, game.make_game(players, play, games.generate(gen)), batch_at),),
        inputs=latent,
        picture=picture,
        metrics=judged,
    )


def networks(cfg: Config, shape: tuple[int, ...], axis_name: str | None):
    """Chooses generator and critic for examples of this shape; 32x32 images get the paper's three doublings from 4x4."""
    from jaxgan.nets import mlp, resnet, standard
    from jaxgan.networks import from_linen
    from jaxgan.types import UserError

    if len(shape) == 1 and cfg.network not in ("auto", "mlp"):
        raise UserError(f"--network={cfg.network} takes images, and {cfg.dataset} holds points; take mlp or auto")
    if len(shape) == 3 and cfg.network != "mlp" and min(shape[:2]) < 8:
        raise UserError(f"images of {shape[0]}x{shape[1]} pixels are too small for convolutions; take --network=mlp")
    if cfg.network == "mlp" or len(shape) == 1:
        gen, disc = mlp.Generator(shape), mlp.Discriminator()
    elif cfg.network == "standard":
        gen, disc = standard.Generator(shape, axis_name), standard.Discriminator()
    else:
        doublings = max(1, round(math.log2(min(shape[:2]) / 4)))
        ups = (True,) * doublings if doublings > 1 else (False, True)
        downs = (True,) * max(1, doublings - 1) + (False, False)
        gen = resnet.Generator(shape, cfg.gen_width, ups, axis_name, cfg.remat)
        disc = resnet.Discriminator(cfg.disc_width, downs, cfg.remat)
    return from_linen(gen), from_linen(disc)
