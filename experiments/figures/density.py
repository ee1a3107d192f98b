"""A generator learns a density on the line: data, samples, critic and the map z -> x at four moments of training (A1.4).

Where there is more data than samples D is above one half, and its slope tells samples where to go; when both laws agree, D is one
half wherever there are data. That D is one half does not prove that they agree: it is also what a critic says that no longer
learns, so the exact distance is measured, too.

Reference:
    Goodfellow et al., 2014, figure 1 (https://arxiv.org/abs/1406.2661).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import norm

from experiments import figures
from jaxgan import game, games, latents, objectives, transport
from jaxgan.nets import mlp
from jaxgan.networks import from_linen
from jaxgan.types import Player

DATA = norm(4, 0.5)
TURNS = 5  # of the critic in a round: it must stay near its best for G to follow more than the mean
CHUNK = 50  # rounds a program
SAMPLES = 20_000


def make(moments=(0, 100, 250, 3000)):
    """Draws the game at four moments, in rounds played, and says how far the last one is from the equilibrium."""
    gen, disc = from_linen(mlp.Generator((1,), (64, 64))), from_linen(mlp.Discriminator((64, 64)))
    latent, first = latents.uniform(1), jnp.zeros((1, 1))
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.non_saturating(), latent)
    adam = lambda rate, turns: optax.adam(optax.cosine_decay_schedule(rate, moments[-1] * turns), b1=0)
    players = {
        "disc": Player(lambda key: disc.init(key, first), disc_loss, adam(2e-3, TURNS)),
        "gen": Player(lambda key: gen.init(key, first), gen_loss, adam(5e-4, 1)),
    }
    gan = game.make_game(players, game.play_round(players, (("disc", TURNS), ("gen", 1))), games.generate(gen))
    probability = lambda state, x: jax.nn.sigmoid(
        disc.apply(*game.look(players["disc"], state.players["disc"]), x, train=False)[0]
    )

    figure, grid = figures.panels(2, 2, 4.8, 3.8)
    state, loss = gan.init(jax.random.key(0)), np.nan
    for axes, moment in zip(grid.flat, moments, strict=True):
        while state.step < moment:
            state, metrics = figures.play(gan, draw, CHUNK, state, jax.random.fold_in(jax.random.key(1), state.step))
            loss = float(np.mean(metrics["disc/loss"]))
        samples = np.asarray(gan.infer(state, latent(jax.random.key(2), SAMPLES)))[:, 0]
        x, z = np.linspace(-1, 7, 321, dtype=np.float32), np.linspace(-1, 1, 25, dtype=np.float32)
        show(axes, x, probability(state, x[:, None]), samples, z, gan.infer(state, z[:, None])[:, 0])
        axes.set_title(f"after {moment} rounds")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)

    inside = np.linspace(*DATA.ppf([0.01, 0.99]), 201, dtype=np.float32)
    return figure, {
        "W1 of samples and data": transport.wasserstein_1d(samples, DATA.ppf((np.arange(SAMPLES) + 0.5) / SAMPLES)),
        "mean D between the data's 1% and 99% quantiles": float(np.mean(probability(state, inside[:, None]))),
        f"critic's loss, sum of both terms, mean of the last {CHUNK} rounds": loss,
        "samples' mean": float(samples.mean()),
        "samples' standard deviation": float(samples.std()),
    }


def draw(key):
    """Draws a batch for each of the critic's turns."""
    return {"real": DATA.mean() + DATA.std() * jax.random.normal(key, (TURNS, 256, 1))}


def show(axes, x, probability, samples, z, images):
    """Draws densities and D above the axis, and below it where the latents, evenly spaced, are sent."""
    axes.hist(
        samples, np.linspace(x[0], x[-1], 81), density=True, color=figures.GREEN, alpha=0.5, label="samples, density of x = G(z)"
    )
    axes.plot(x, DATA.pdf(x), ":", color=figures.BLACK, linewidth=2, label="data, density")
    axes.plot(x, probability, "--", color=figures.BLUE, linewidth=2, label="critic, probability D(x)")
    for start, end in zip(np.linspace(x[0], x[-1], len(z)), images):
        axes.annotate("", (end, 0), (start, -0.5), arrowprops={"arrowstyle": "->", "color": figures.GREEN, "linewidth": 0.7})
    axes.axhline(0, color=figures.BLACK, linewidth=0.8)
    axes.axhline(-0.5, color=figures.BLACK, linewidth=0.8)
    axes.text(x.mean(), -0.54, f"latents, from z = {z[0]:.0f} to z = {z[-1]:.0f}", ha="center", va="top", fontsize=8)
    axes.set(xlim=(x[0], x[-1]), ylim=(-0.75, 1.6), yticks=[0, 0.5, 1, 1.5], xlabel="x", ylabel="density, probability")
