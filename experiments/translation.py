"""What translations of images share: a patch critic, Adam, held-out sources that come in turn, and pictures in rows.

What a game of translation infers is joined along the channels: `[count, height, width, parts * channels]`. The parts are source,
image and target of pairs; a, G(a), F(G(a)), b, F(b), G(F(b)) of two domains.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import dataclasses
import functools
from collections.abc import Set
from typing import Literal

from experiments import wiring

MADE = {"a2b": 1, "b2a": 4}  # which part of what is inferred is translated which way
COLUMNS = 12  # of a picture
SHOWN = 24  # sources in a picture


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """A generator from images to images, and a critic of patches."""

    gen_width: int = 16
    """Channels of the generator's first layer."""
    disc_width: int = 16
    """Channels of the critic's first layer."""
    disc_layers: int = 1
    """Halvings before the critic's scores: of patches of 1, 16, 34, 70, 142 or 286 pixels for 0 to 5."""
    eval_samples: int = 400
    """Held-out images to measure by; as many as are held out if those are fewer."""

    def validate(self) -> None:
        super().validate()
        if not 0 <= self.disc_layers <= 5:
            raise ValueError(f"--disc_layers={self.disc_layers} must be 0 to 5")
        for name in ("latent_size", "remat", "metrics", "stop_on_collapse"):
            if getattr(self, name) != getattr(wiring.PairConfig, name):
                raise ValueError(f"--{name} is for images made of latents; leave it out with --variant={self.variant}")


def refuse(cfg: wiring.PairConfig, kinds: Set[str], learns: str, take: str) -> None:
    """Checks that a data set is of the kind that is learned from.

    Args:
        cfg: what the run is told.
        kinds: `data.PAIRED`, `data.UNPAIRED` or `data.CLIPS`.
        learns: what from, in words.
        take: what to take instead.

    Raises:
        UserError: it is not.
    """
    from jaxgan.types import UserError

    if cfg.dataset.partition(":")[0] not in kinds:
        raise UserError(f"--variant={cfg.variant} learns from {learns}, which {cfg.dataset} has not; take {take}")


def critic(cfg: Config, norm: Literal["batch", "instance"], axis_name: str | None):
    """Makes the critic, from images to scores of their patches or, with no layers, of their pixels."""
    from jaxgan.nets import translate

    told = (cfg.disc_width, normalisation(norm, axis_name), norm == "instance")
    module = translate.PatchDiscriminator(cfg.disc_layers, *told) if cfg.disc_layers else translate.PixelDiscriminator(*told)
    return wiring.linen(cfg, module)[0]


def normalisation(norm: Literal["batch", "instance"], axis_name: str | None):
    """Gives what makes a network's normalisations; "instance" wants biases in all convolutions."""
    from jaxgan.nets.layers import BatchNorm
    from jaxgan.nets.translate import InstanceNorm

    return {"batch": functools.partial(BatchNorm, axis_name), "instance": InstanceNorm}[norm]


def player(cfg: wiring.PairConfig, init, loss, rate: float, turns: int = 1, ema_decay: float = 0.0):
    """Makes a player with Adam, whose learning rate falls as the config says."""
    import optax

    from jaxgan.types import Player

    return Player(init, loss, optax.adam(wiring.schedule(cfg, rate, turns), b1=cfg.beta1, b2=cfg.beta2), ema_decay=ema_decay)


def players(cfg: wiring.PairConfig, inits, losses) -> dict:
    """Makes the players "disc" and "gen" of their inits and losses, both in that order."""
    return {
        "disc": player(cfg, inits[0], losses[0], cfg.disc_learning_rate or cfg.learning_rate, cfg.critic_turns),
        "gen": player(cfg, inits[1], losses[1], cfg.learning_rate, ema_decay=cfg.ema_decay),
    }


def there(cfg: wiring.PairConfig, dataset):
    """Gives the data set, which is loaded where a restored run stands without it; errors as of `data.load`."""
    from jaxgan import data

    return data.load(cfg.dataset, cfg.image_size) if dataset.name == data.BLANK else dataset


def experiment(cfg: Config, axis_name: str | None, players: dict, infer, batch_at, held, count: int, metric):
    """Makes a game of translation the experiment that the loop trains, shows and judges.

    Args:
        cfg: what the run is told.
        axis_name: what the devices stand on.
        players: "gen", and "disc" if it plays.
        infer: `({name: Net}, {"source", "real", "key"}) -> images`, joined; "key" has a random key for each source.
        batch_at: of the phase.
        held: gives held-out images under "source" and "real", which come in turn.
        count: parts of what is inferred.
        metric: of the experiment; asks for the first sources there are.
    """
    import jax
    import numpy as np

    from jaxgan import pictures
    from jaxgan.types import Experiment

    def inputs(key, n):
        return {name: x[np.arange(n) % len(x)] for name, x in held().items()} | {"key": jax.random.split(key, n)}

    def picture(joined):
        rows = np.stack(parts(joined[:SHOWN], count), axis=1)
        return pictures.grid(rows.reshape(-1, *rows.shape[2:]), columns=COLUMNS)

    return Experiment(phases(cfg, axis_name, players, infer, batch_at), inputs, picture, (metric,))


def phases(cfg: wiring.PairConfig, axis_name: str | None, players: dict, infer, batch_at) -> tuple:
    """Makes the one phase of a game in which the critic, if it plays, takes its turns and the generator one; as `experiment`."""
    from jaxgan import game
    from jaxgan.types import Phase

    schedule = (*([("disc", cfg.critic_turns)] if "disc" in players else []), ("gen", 1))
    return (Phase(cfg.steps, game.make_game(players, game.play_round(players, schedule, axis_name), infer), batch_at),)


def parts(joined, count: int) -> list:
    """Parts what was joined along the channels."""
    import numpy as np

    return np.split(np.asarray(joined), count, axis=-1)


def l1(image, target) -> float:
    """Measures the mean distance of two pixels, in [0, 2]."""
    import numpy as np

    return float(np.mean(np.abs(image - target), dtype=np.float64))


def gradient_energy(images) -> float:
    """Measures how sharp images are: the mean squared difference of neighbouring pixels, down and across."""
    import numpy as np

    return float(sum(np.mean(np.square(np.diff(images, axis=axis)), dtype=np.float64) for axis in (1, 2)))
