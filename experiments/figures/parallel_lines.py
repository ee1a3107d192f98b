"""Two parallel lines: W1 tells how far apart they are, f-divergences only that they are apart, and a generator feels it (A4.4).

The data are (0, Z) and the generator makes (theta, Z), Z uniform on [0, 1]. Trained against a critic with gradient penalty theta
moves to 0. Against a near-optimal D, with the loss `log(1 - D)`, it stays, as there the Jensen-Shannon divergence is flat. Both
generators take plain gradient steps of one size: Adam would blow any gradient up, however small.

Reference:
    Arjovsky et al., 2017, example 1 and figure 1 (https://arxiv.org/abs/1701.07875).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from jaxgan import divergences, from_linen, game, games, objectives, penalties, transport
from jaxgan.nets import mlp
from jaxgan.types import Network, Player

THETAS = np.linspace(-1, 1, 41)
TURNS, BATCH = 5, 256


def make(rounds=200, head_start=500):
    """Draws four distances over theta and two generators over training."""
    z = np.linspace(0, 1, 20)
    line = lambda theta: np.stack([np.full_like(z, theta), z], axis=1)
    w1 = [transport.wasserstein(line(0.0), line(theta)).distance for theta in THETAS]
    cells = lambda theta: np.array([[1, 0], [0, 1] if theta else [1, 0]], float)  # mass on the line at 0, and on any other
    js = [float(divergences.jsd(*cells(theta))) for theta in THETAS]
    tv, kl = (
        [float(divergences.f_divergence(*cells(theta), divergence)) for theta in THETAS]
        for divergence in (divergences.total_variation(), divergences.kl())
    )
    figure, [[left, right]] = figures.panels(1, 2, 4.6, 3.5)
    apart = THETAS != 0
    left.plot(THETAS, w1, color=figures.BLUE, label="W1")
    for name, values, colour, style in (("TV", tv, figures.GREEN, "--"), ("JS [nats]", js, figures.VERMILION, "-.")):
        left.plot(THETAS, np.where(apart, values, np.nan), style, color=colour, label=name)
    left.plot(THETAS[apart], np.full(apart.sum(), 1.25), "^", color=figures.PURPLE, markersize=4, label="KL [nats], infinite")
    left.plot(0, 0, "o", color=figures.BLACK, label="all of them at 0")
    left.set(title="distance of the lines", xlabel="theta", ylabel="distance", ylim=(-0.05, 1.9), xticks=[-1, -0.5, 0, 0.5, 1])
    left.legend(fontsize=8, loc="upper center", ncols=2)

    paths = {
        "W1, gradient penalty": train(objectives.wasserstein(), penalties.gradient_penalty(10.0), rounds, head_start),
        "JS, log(1 - D)": train(objectives.minimax(), None, rounds, head_start),
    }
    for (name, path), colour, style in zip(paths.items(), (figures.BLUE, figures.VERMILION), ("-", "--")):
        right.plot(path, style, color=colour, label=name)
    right.set(title="a generator's theta", xlabel="generator's steps", ylabel="theta", ylim=(-0.2, 1.1))
    right.legend(fontsize=8)
    shown = {theta: int(np.argmin(abs(THETAS - theta))) for theta in (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0)}
    return figure, {
        "theta": list(shown),
        "W1": [w1[i] for i in shown.values()],
        "JS": [js[i] for i in shown.values()],
        "TV": [tv[i] for i in shown.values()],
        "KL": [kl[i] if np.isfinite(kl[i]) else "inf" for i in shown.values()],
        "theta trained, from 1": {name: path[-1] for name, path in paths.items()},
    }


def train(objective, penalty, rounds, head_start):
    """Lets the critic learn against theta = 1, then plays rounds: theta before each and at the end."""
    disc = from_linen(mlp.Discriminator((64, 64)))
    gen = Network(
        init=lambda key, z: (jnp.float32(1), ()),
        apply=lambda theta, stats, z, train, key=None: (jnp.concatenate([jnp.full_like(z, theta), z], axis=1), stats),
    )
    latent = lambda key, count: jax.random.uniform(key, (count, 1))
    disc_loss, gen_loss = games.adversarial(gen, disc, objective, latent, penalty=penalty, joint=True)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, 2))), disc_loss, optax.adam(1e-3, b1=0.5, b2=0.9)),
        "gen": Player(lambda key: gen.init(key, None), gen_loss, optax.sgd(0.01)),
    }
    draw = lambda key: {"real": jnp.pad(jax.random.uniform(key, (TURNS, BATCH, 1)), ((0, 0), (0, 0), (1, 0)))}
    start, rest = (
        game.make_game(players, game.play_round(players, schedule), games.generate(gen))
        for schedule in ((("disc", TURNS),), (("disc", TURNS), ("gen", 1)))
    )

    def step(state, batch, key):
        state, _ = rest.step(state, batch, key)
        return state, {"theta": state.players["gen"].params}

    state, _ = figures.play(start, draw, head_start // TURNS, start.init(jax.random.key(0)), jax.random.key(1))
    _, told = figures.play(rest._replace(step=step), draw, rounds, state, jax.random.key(2))
    return [1.0, *map(float, told["theta"])]
