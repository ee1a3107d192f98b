"""What most variants share: one generator, one critic, networks by the data's shape, Adam, and a game of two players.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import dataclasses
import functools
import math
from typing import Literal

from experiments.config import RunConfig


@dataclasses.dataclass(frozen=True)
class PairConfig(RunConfig):
    """A generator and a critic."""

    dataset: str = "ring"
    """What to learn: digits, line, ring, grid, idx:DIR, folder:DIR, npz:FILE or tfds:NAME."""
    steps: int = 6_000
    """Rounds to play."""
    batch_size: int = 256
    """Examples a turn, over all devices together."""
    log_every: int = 500
    """Rounds between reported losses; 0 for at the end alone."""
    eval_every: int = 1_500
    """Rounds between measurements; 0 for at the end alone."""
    sample_every: int = 500
    """Rounds between pictures; 0 for at the end alone."""
    checkpoint_every: int = 1_500
    """Rounds between checkpoints; 0 for at the end alone."""
    network: Literal["auto", "resnet", "standard", "mlp"] = "auto"
    """resnet or standard (SN-GAN's table 3) for images, mlp for points; auto is resnet or mlp by the data."""
    gen_width: int = 32
    """Channels of the generator's residual blocks."""
    disc_width: int = 32
    """Channels of the critic's residual blocks."""
    latent_size: int = 0
    """Components of a latent; 0 for 2 where examples are points, and 32 for images."""
    critic_turns: int = 1
    """Critic turns a round, k or n_dis in the papers."""
    remat: bool = False
    """Keep the inputs of residual blocks alone for the gradient, and compute their insides anew: less memory, more work."""
    learning_rate: float = 5e-4
    """Of the generator's optimiser."""
    disc_learning_rate: float = 0.0
    """Of the critic's optimiser; 0 for the generator's."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    decay: float = 0.0
    """Last share of the steps, over which learning rates fall linearly to zero; 0 keeps them."""
    ema_decay: float = 0.9
    """Decay a round of the generator's moving average, which samples are drawn from; 0 keeps none. Images like a longer one."""

    @property
    def may_change(self) -> frozenset[str]:
        """A learning rate that falls with the steps fixes them."""
        return super().may_change - {"steps"} if self.decay else super().may_change

    def validate(self) -> None:
        super().validate()
        for name in ("critic_turns", "gen_width", "disc_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} must be at least 1")
        if self.latent_size < 0:
            raise ValueError(f"--latent_size={self.latent_size} must be at least 1, or 0 to choose by the data")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} must lie in [0, 1)")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"--decay={self.decay} must lie in [0, 1]")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning_rate={self.learning_rate} must be above 0")
        if self.disc_learning_rate < 0:
            raise ValueError(f"--disc_learning_rate={self.disc_learning_rate} must be above 0, or 0 for the generator's")


def networks(cfg: PairConfig, shape: tuple[int, ...], axis_name: str | None):
    """Chooses generator and critic for examples of this shape; 32x32 images get SN-GAN's three doublings from 4x4."""
    from jaxgan.nets import mlp, resnet, standard
    from jaxgan.types import UserError

    if len(shape) == 1 and cfg.network not in ("auto", "mlp"):
        raise UserError(f"--network={cfg.network} takes images, and {cfg.dataset} holds points; take mlp or auto")
    if cfg.network == "mlp" or len(shape) == 1:
        return linen(cfg, mlp.Generator(shape), mlp.Discriminator())
    ups, downs = blocks(shape)
    if cfg.network == "standard":
        return linen(cfg, standard.Generator(shape, axis_name), standard.Discriminator())
    gen = resnet.Generator(shape, cfg.gen_width, ups, axis_name, cfg.remat)
    return linen(cfg, gen, resnet.Discriminator(cfg.disc_width, downs, cfg.remat))


def linen(cfg: PairConfig, *modules):
    """Makes networks of Flax modules, which compute in the precision that is asked for."""
    from jaxgan.networks import compute_in, from_linen

    return tuple(compute_in(from_linen(module), cfg.precision) for module in modules)


def blocks(shape: tuple[int, ...]) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Gives the blocks of residual networks for images of this shape: which double the size, and which halve it.

    Raises:
        UserError: images too small for convolutions.
    """
    from jaxgan.types import UserError

    if min(shape[:2]) < 8:
        raise UserError(f"images of {shape[0]}x{shape[1]} pixels are too small for convolutions; take --network=mlp")
    doublings = max(1, round(math.log2(min(shape[:2]) / 4)))
    return (True,) * doublings if doublings > 1 else (False, True), (True,) * max(1, doublings - 1) + (False, False)


def latent(cfg: PairConfig, shape: tuple[int, ...]):
    """Draws normal latents for a generator of examples of this shape."""
    from jaxgan import latents

    return latents.normal(latent_size(cfg, shape))


def latent_size(cfg: PairConfig, shape: tuple[int, ...]) -> int:
    """How many components a latent has for examples of this shape."""
    return cfg.latent_size or (2 if len(shape) == 1 else 32)


def pieces(cfg: PairConfig, shape: tuple[int, ...], axis_name: str | None):
    """Gives what a loss pair is made of: `(gen, disc, latent)`, latents drawn for the whole batch on any number of devices."""
    from jaxgan import parallel

    return *networks(cfg, shape, axis_name), parallel.draw(latent(cfg, shape), axis_name)


def schedule(cfg: PairConfig, rate: float, turns: int = 1):
    """Gives an optimiser's learning rate: falling linearly to zero over the last turns where the config says so."""
    import optax

    last, falling = cfg.steps * turns, round(cfg.decay * cfg.steps * turns)
    return optax.linear_schedule(rate, 0.0, falling, transition_begin=last - falling) if falling else rate


def players(cfg: PairConfig, shape: tuple[int, ...], gen, disc, losses, epsilon: float = 1e-8) -> dict:
    """Makes the players "disc" and "gen" of two networks and their losses, both with Adam."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan.types import Player

    start = latent(cfg, shape)(jax.random.key(0), 1)
    disc_loss, gen_loss = losses
    disc_rate = schedule(cfg, cfg.disc_learning_rate or cfg.learning_rate, cfg.critic_turns)
    return {
        "disc": Player(
            init=lambda key: disc.init(key, jnp.zeros((1, *shape))),
            loss=disc_loss,
            optimizer=optax.adam(disc_rate, b1=cfg.beta1, b2=cfg.beta2, eps=epsilon),
        ),
        "gen": Player(
            init=lambda key: gen.init(key, start),
            loss=gen_loss,
            optimizer=optax.adam(schedule(cfg, cfg.learning_rate), b1=cfg.beta1, b2=cfg.beta2, eps=epsilon),
            ema_decay=cfg.ema_decay,
        ),
    }


def experiment(cfg: PairConfig, dataset, axis_name: str | None, players: dict, infer, play=None, inputs=None):
    """Makes a game of players the experiment that the loop trains, shows and judges.

    Points are brought to [-1, 1] for the players, as images are, and back for everybody else.

    Args:
        cfg: what the run is told.
        dataset: a `data.Dataset`.
        axis_name: what the devices stand on.
        players: everybody, by name.
        infer: `({name: Net}, inputs) -> samples`.
        play: one round; by default the critic takes its turns and the generator one.
        inputs: draws the generator's inputs `(key, count)`; by default normal latents.
    """
    from jaxgan import data, game, metrics, pictures
    from jaxgan.types import Experiment, Phase, UserError, Variety

    play = play or game.play_round(players, (("disc", cfg.critic_turns), ("gen", 1)), axis_name)
    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)
    judged, picture, variety = (), pictures.scatter, None
    if cfg.dataset in data.TOYS:
        if (cfg.metrics, cfg.eval_samples) != (RunConfig.metrics, RunConfig.eval_samples):
            raise UserError(f"--metrics and --eval_samples are for images; of {cfg.dataset}, modes are counted in 2,500 points")
        modes = data.TOYS[cfg.dataset]()
        extent = abs(modes.centres).max().item()
        draw, shown = batch_at, infer
        batch_at = lambda step: {name: x / extent if name == "real" else x for name, x in draw(step).items()}
        infer = lambda nets, inputs: extent * shown(nets, inputs)
        judged, variety = (metrics.mode_quality(*modes),), Variety(lambda scores: math.exp(-scores["reverse_kl"]), least=0.5)
        picture = functools.partial(pictures.scatter, modes=modes.centres)
    elif len(dataset.shape) == 3:
        some, families = min(cfg.eval_samples, len(dataset.held_out.images)), [name.strip() for name in cfg.metrics.split(",")]
        judged, picture = (metrics.image_quality(data.held_out(dataset, some)["real"], families=families),), pictures.grid
        variety = Variety(lambda scores: scores["coverage"], least=0.1) if "prdc" in families else None
        if cfg.stop_on_collapse and not variety:
            raise UserError("--stop_on_collapse watches the coverage of prdc; leave that among --metrics")
    return Experiment(
        phases=(Phase(cfg.steps, game.make_game(players, play, infer), batch_at),),
        inputs=inputs or latent(cfg, dataset.shape),
        picture=picture,
        metrics=judged,
        variety=variety,
    )
