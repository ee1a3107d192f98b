"""Mode collapse over time, and what cures it: the saturating loss and four others on the ring (A7.1).

One pair of networks, one batch size, one seed, and a critic four times as fast as the generator; the games differ, WGAN-GP's
critic takes two turns, and SN-hinge's sees the plane enlarged. The saturating loss has no gradient where that critic is sure,
and modes are lost or never found. "Captured" asks for one of 2,500 samples within 3 sigma of a mode, and reverse KL, of all
samples counted to their nearest mode, says how evenly modes are served; at this budget many samples still lie beside the
modes. One run shows what can happen; how often it does takes many seeds.

Reference: Goodfellow et al., 2014, section 3; Lin et al., 2018, section 4.1 (https://arxiv.org/abs/1712.04086) for the
protocol.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from jaxgan import data, from_linen, game, games, latents, metrics, objectives, penalties, transforms
from jaxgan.nets import mlp
from jaxgan.types import UNCHANGED, Network, Objective, ParamTransform, Penalty, Player

MODES = data.TOYS["ring"]()
BATCH, SAMPLES = 128, 2500


class Method(NamedTuple):
    """What differs from game to game.

    Attributes:
        objective: of both.
        line: its colour and style.
        penalty: on the critic.
        transform: of the critic's weights.
        turns: of the critic in a round.
        zoom: by how much the critic sees the plane enlarged: where its slope is bounded by one, modes would be too close to each
            other for it to tell them apart.
    """

    objective: Objective
    line: tuple[str, str]
    penalty: Penalty | None = None
    transform: ParamTransform = UNCHANGED
    turns: int = 1
    zoom: float = 1.0


METHODS = {
    "saturating": Method(objectives.minimax(), (figures.VERMILION, "-")),
    "non-saturating": Method(objectives.non_saturating(), (figures.BLACK, "-.")),
    "R1": Method(objectives.non_saturating(), (figures.BLUE, "-"), penalties.r1(0.1)),
    "SN-hinge": Method(objectives.hinge(), (figures.GREEN, "--"), transform=transforms.spectral_norm(), zoom=4.0),
    "WGAN-GP": Method(objectives.wasserstein(), (figures.PURPLE, ":"), penalties.gradient_penalty(1.0), turns=2),
}


def make(names=tuple(METHODS), rounds=2000, looks=10, shown=(0, 2, -1)):
    """Draws samples at three looks, and what the modes are like over the rounds."""
    figure, axes = figures.panels(len(shown), len(names) + 1, 2.5, 2.4)
    measures = {"modes": "modes captured, of 8", "reverse_kl_all": "reverse KL [nats]", "high_quality": "share within 3 sigma"}
    steps, reach, numbers = rounds // looks * np.arange(1, looks + 1), 1.5, {}
    for name, column in zip(names, axes.T):
        samples = watch(METHODS[name], rounds, looks)
        told = [metrics.modes.mode_coverage(points, *MODES) for points in samples]
        for look, panel in zip(shown, column, strict=True):
            panel.plot(*MODES.centres.T, "+", color=figures.VERMILION, markersize=12)
            panel.plot(*samples[look].T, ".", color=figures.BLUE, alpha=0.3, markersize=3, markeredgewidth=0)
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            panel.set_title(f"{name}, round {steps[look]}", fontsize=10)
        for measure, panel in zip(measures, axes[:, -1]):
            colour, style = METHODS[name].line
            panel.plot(steps, [found[measure] for found in told], style, color=colour, label=name)
        numbers[name] = told[-1]
    for axis, label in zip(axes[:, -1], measures.values()):
        axis.set_title(label, fontsize=10)
    axes[-1, -1].set_xlabel("rounds")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside lower right", ncols=len(names), fontsize=9)
    return figure, numbers


def watch(method, rounds, looks):
    """Plays a game, and gives samples at even distances."""
    gen, disc, latent = from_linen(mlp.Generator((2,))), from_linen(mlp.Discriminator()), latents.normal(2)
    zoomed = Network(disc.init, lambda params, stats, x, **how: disc.apply(params, stats, method.zoom * x, **how))
    disc_loss, gen_loss = games.adversarial(gen, zoomed, method.objective, latent, penalty=method.penalty, joint=True)
    first = jnp.zeros((1, 2))
    players = {
        "disc": Player(lambda key: disc.init(key, first), disc_loss, optax.adam(2e-3, b1=0.5), method.transform),
        "gen": Player(lambda key: gen.init(key, first), gen_loss, optax.adam(5e-4, b1=0.5)),
    }
    gan = game.make_game(players, game.play_round(players, (("disc", method.turns), ("gen", 1))), games.generate(gen))
    centres, lead = jnp.float32(MODES.centres), (method.turns, BATCH)
    draw = lambda key: data.toys.draw(centres, MODES.sigma, jax.random.bits(key, (2,)), lead)
    state, samples = gan.init(jax.random.key(0)), []
    for k in range(looks):
        state, _ = figures.play(gan, draw, rounds // looks, state, jax.random.key(k))
        samples.append(np.asarray(gan.infer(state, latent(jax.random.key(k), SAMPLES))))
    return samples
