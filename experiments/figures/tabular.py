"""D and p_g as tables: small steps of p_g against the best D reach the data from anywhere; a fixed D is no guide (A2.3).

With D at its best the game's value is `2 JSD - log 4`, convex in p_g. With D fixed it is linear in p_g, and its minimum is a
corner: all mass where D is greatest. The best p_g for a given D is not the data.

Reference:
    Goodfellow et al., 2014, proposition 2 (https://arxiv.org/abs/1406.2661).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from jaxgan import divergences, game, objectives
from jaxgan.types import Outcome, Player

DATA = np.array([0.05, 0.15, 0.2, 0.1, 0.05, 0.1, 0.2, 0.15])
STARTS = 20
CURVES = objectives.minimax()


def make(rounds=400):
    """Draws JSD over rounds from random starts, and where one of them ends with D free and with D fixed."""
    free = tables((("disc", 20), ("gen", 1)), rate=0.02)  # D comes close to its best before each small step
    fixed = tables((("gen", 1),), rate=1.0)
    starts = jax.vmap(free.init)(jax.random.split(jax.random.key(0), STARTS))
    first = np.asarray(starts.players["gen"].params, np.float64)
    logits = np.log(DATA) - np.log(first)  # of the best D against each start
    disc = starts.players["disc"]._replace(params=jnp.asarray(logits, jnp.float32))
    laws = follow(free, starts, rounds)
    corners = follow(fixed, starts._replace(players={**starts.players, "disc": disc}), 10 * rounds)[:, -1]
    with jax.enable_x64(True):
        distance = np.asarray(jax.vmap(jax.vmap(lambda law: divergences.jsd(DATA, law)))(laws))

    figure, [[left, middle, right]] = figures.panels(1, 3, 4.2, 3.9)
    left.semilogy(distance.T, color=figures.BLUE, linewidth=0.7)
    left.axhline(1e-6, color=figures.BLACK, linestyle=":")
    left.set(title=f"{STARTS} random starts, D near its best", xlabel="small steps of p_g", ylabel="JSD(data, p_g), nats")
    for axes, last, title in (
        (middle, laws[0, -1], "one start, D near its best"),
        (right, corners[0], "the same start, D fixed"),
    ):
        for shift, law, colour, label in (
            (-0.27, DATA, figures.BLACK, "data"),
            (0, first[0], figures.ORANGE, "p_g at the start"),
            (0.27, last, figures.GREEN, "p_g at the end"),
        ):
            axes.bar(np.arange(len(DATA)) + shift, law, 0.27, color=colour, label=label)
        axes.set(title=title, xlabel="cell", ylabel="probability", ylim=(0, 1.05))
    right.plot(jax.nn.sigmoid(logits[0]), "o", color=figures.VERMILION, label="D, best against the start")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=4)
    return figure, {
        "starts": STARTS,
        "least JSD at the start": float(distance[:, 0].min()),
        "greatest JSD at the end": float(distance[:, -1].max()),
        "D fixed: least mass of p_g where D is greatest": float(corners[np.arange(STARTS), logits.argmax(1)].min()),
    }


def tables(schedule, rate):
    """Builds the game of a table of logits and a table of probabilities, which moves by projected gradient steps."""

    def disc_loss(nets, turn):
        logits = nets["disc"].weights
        return jnp.sum(jnp.float32(DATA) * CURVES.real(logits) + nets["gen"].weights * CURVES.fake(logits)), Outcome({}, {})

    def gen_loss(nets, turn):
        law = nets["gen"].weights
        return jnp.sum(law * CURVES.gen(nets["disc"].weights)), Outcome({}, {"law": law})

    onto_laws = optax.stateless(lambda step, law: optax.projections.projection_simplex(law + step) - law)
    players = {
        "disc": Player(lambda key: (jnp.zeros(len(DATA)), {}), disc_loss, optax.sgd(2.0)),
        "gen": Player(
            lambda key: (jax.random.dirichlet(key, jnp.full(len(DATA), 0.3)), {}),
            gen_loss,
            optax.chain(optax.sgd(rate), onto_laws),
        ),
    }
    return game.make_game(players, game.play_round(players, schedule), infer=lambda nets, _: nets["gen"].weights)


def follow(played, starts, rounds):
    """Gives p_g `[starts, rounds, cells]` before each round, float64 and of sum one to its last digit."""
    play = lambda state: figures.play(played, lambda key: {}, rounds, state, jax.random.key(0))[1]
    laws = np.asarray(jax.vmap(play)(starts)["gen/law"], np.float64)
    return laws / laws.sum(-1, keepdims=True)
