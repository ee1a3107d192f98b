"""F-distance: the game whose distance generalises from samples to distributions, for a critic of bounded capacity.

Arora et al., 2017 (https://arxiv.org/abs/1703.00573): the critic maximises E phi(D(real)) + E phi(1 - D(fake)) with a concave
phi. `--measure=log` is the original game with its saturating generator, `identity` compares mean probabilities, bounded as
they are.

    python experiments/run.py --variant=fdistance
    python experiments/run.py --variant=fdistance --measure=log
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """The F-distance's game."""

    measure: Literal["identity", "log"] = "identity"
    """The concave phi."""
    spectral_norm: bool = True
    """Bound the critic by spectral norm; without it phi's bound is reached and its slope vanishes."""


PRESETS = {"quick": Config(learning_rate=1e-3, beta1=0.0, beta2=0.9)}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax

    from jaxgan import games, objectives, transforms

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    objective = objectives.f_distance({"identity": jax.nn.sigmoid, "log": jax.nn.log_sigmoid}[cfg.measure])
    losses = games.adversarial(gen, disc, objective, latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    if cfg.spectral_norm:
        players["disc"] = players["disc"]._replace(transform=transforms.spectral_norm())
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
