"""What a WGAN's critic says: it estimates W1, with slope one, and its loss falls with the distance of the samples (A3.6, A4.3).

Left, a critic with gradient penalty on N(0, 1) and N(1, 1), whose W1 is 1. It may be steeper than one at a price: slope s earns
`s W1 - lambda (s - 1)^2`, so it settles at `1 + W1 / (2 lambda)`, 1.05 here, and the estimate is that times W1.

Right, whole runs on the ring, from the start: the critic's gap `E D(real) - E D(fake)` of WGAN-GP and the value of the original
game, each beside the exact W1 between samples of its own run. The rank correlations are reported and not promised: a loss is
comparable within one critic only, and that of a critic which is still catching up says little. Lambda is 1 on the ring. Of the
four claims for WGAN this is the one a single run can show; experiments/table.py measures stability and modes over seeds.

Reference:
    Arjovsky et al., 2017, section 4 and figures 3 and 4 (https://arxiv.org/abs/1701.07875); Gulrajani et al., 2017, section 4
    (https://arxiv.org/abs/1704.00028).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import spearmanr

from experiments import figures
from experiments.figures import _critic
from jaxgan import data, from_linen, game, games, latents, objectives, penalties, transport
from jaxgan.nets import mlp
from jaxgan.types import Player

MODES = data.TOYS["ring"]()
TURNS, CHUNK, BATCH = 5, 25, 256
POINTS = 500  # from each side, for an exact W1


def make(critic_turns=1000, rounds=1000):
    """Draws the lone critic and its slope, and both runs, and gives estimates and correlations."""
    figure, [[critic_axes, wgan_axes, gan_axes]] = figures.panels(1, 3, 4.4, 3.6)
    numbers = lone_critic(critic_axes, critic_turns)
    runs = {
        "WGAN-GP": (wgan_axes, objectives.wasserstein(), penalties.gradient_penalty(1.0), "critic's gap E D(real) - E D(fake)"),
        "original GAN": (gan_axes, objectives.non_saturating(), None, "value of the game + log 4 [nats]"),
    }
    for name, (axes, objective, penalty, told) in runs.items():
        steps, losses, distances = run(objective, penalty, rounds)
        correlation = float(spearmanr(losses, distances).statistic)
        axes.plot(steps, distances, color=figures.BLACK, label="exact W1 of samples")
        axes.plot(steps, losses, "--", color=figures.VERMILION, label=told)
        axes.set(title=f"{name}, rank correlation {correlation:.2f}", xlabel="rounds", ylabel="distance, loss", ylim=(0, None))
        axes.legend(fontsize=8)
        numbers[f"{name}: Spearman correlation of loss and exact W1, whole run"] = correlation
        numbers[f"{name}: exact W1, first and last"] = [distances[0], distances[-1]]
    return figure, numbers


def lone_critic(axes, turns, weight=10.0):
    """Trains a critic on N(0, 1) and N(1, 1) and looks at its estimate and its slopes."""
    shifted = lambda key, count: 1 + jax.random.normal(key, (count, 1))
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, turns))
    critic = _critic.alone(objectives.wasserstein(), shifted, 1, adam, penalty=penalties.gradient_penalty(weight))
    draw = lambda key: {"real": shifted(key, 1024)[None] - 1}
    state, _ = figures.play(critic, draw, turns, critic.init(jax.random.key(0)), jax.random.key(1))
    score = lambda x: critic.infer(state, x)
    real, fake = shifted(jax.random.key(2), 100_000) - 1, shifted(jax.random.key(3), 100_000)
    between = penalties.between(real, fake, jax.random.key(4))
    x = jnp.linspace(-3, 4, 141)[:, None]
    axes.plot(x, score(x) - score(jnp.full((1, 1), 0.5)), color=figures.BLUE, label="critic D(x) - D(1/2)")
    axes.plot(x, 0.5 - x, ":", color=figures.BLACK, label="a best 1-Lipschitz one, 1/2 - x")
    axes.plot(x, penalties.slopes(score, x), "--", color=figures.VERMILION, label="slope |D'(x)|")
    axes.set(title="gradient penalty, N(0, 1) and N(1, 1)", xlabel="x", ylabel="score, slope")
    axes.legend(fontsize=8)
    return {
        "N(0, 1) and N(1, 1), W1 = 1: critic's estimate": float(score(real).mean() - score(fake).mean()),
        "N(0, 1) and N(1, 1): mean slope between samples": float(penalties.slopes(score, between).mean()),
        "N(0, 1) and N(1, 1): 1 + 1 / (2 lambda)": 1 + 1 / (2 * weight),
    }


def run(objective, penalty, rounds):
    """Trains a GAN on the ring: rounds, the critic's gap or value averaged up to each, and exact W1 of samples there."""
    gen, disc, latent = from_linen(mlp.Generator((2,), (64, 64))), from_linen(mlp.Discriminator((64, 64))), latents.normal(2)
    disc_loss, gen_loss = games.adversarial(gen, disc, objective, latent, penalty=penalty, joint=True)
    adam, first = optax.adam(5e-4, b1=0.5, b2=0.9), jnp.zeros((1, 2))
    players = {
        "disc": Player(lambda key: disc.init(key, first), disc_loss, adam),
        "gen": Player(lambda key: gen.init(key, first), gen_loss, adam),
    }
    gan = game.make_game(players, game.play_round(players, (("disc", TURNS), ("gen", 1))), games.generate(gen))
    centres = jnp.float32(MODES.centres)
    real = data.toys.draw(centres, MODES.sigma, jnp.array(data.toys.HELD_OUT, jnp.uint32), (POINTS,))["real"]

    def draw(key):
        address = jax.random.bits(key, (2,))
        return data.toys.draw(centres, MODES.sigma, address, (TURNS, BATCH))

    state, losses, distances = gan.init(jax.random.key(0)), [], []
    for k in range(rounds // CHUNK):
        state, metrics = figures.play(gan, draw, CHUNK, state, jax.random.key(k))
        gap = metrics["disc/real"] - metrics["disc/fake"] if penalty else np.log(4) - metrics["disc/loss"]
        losses.append(float(jnp.mean(gap[-5:])))
        distances.append(transport.wasserstein(real, gan.infer(state, latent(jax.random.key(k), POINTS))).distance)
    return CHUNK * np.arange(1, len(losses) + 1), losses, distances
