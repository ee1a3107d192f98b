"""A fork in the road: a regressor predicts the superposition of both futures, a conditional GAN one of them at a time (A1.6).

From lane x the future is left or right with equal chances. The prediction of least squared error is the mean of both, which never
happens. A generator that is given noise besides the lane, G(x, z), has a distribution to give. Lane and noise are joined side by
side, or added after a linear map has made the lane as long as the noise. A GAN that is conditional is one on pairs: the
generator draws a lane, as the data do, and hands it on beside its prediction, and the critic judges both together.

Reference:
    Mirza and Osindero, 2014, section 3.2 (https://arxiv.org/abs/1411.1784).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments import figures
from jaxgan import from_linen, game, games, objectives, penalties
from jaxgan.nets import mlp
from jaxgan.types import Outcome, Player

SPREAD, NOISE = 0.05, 4  # of a future about its mean; numbers in z
LANES, EACH = 80, 50  # judged by
WIDTHS = (64, 64)


class SideBySide(nn.Module):
    """Predicts from a lane `[batch, 1]` and noise `[batch, NOISE]`, given as one array, and returns `[lane, prediction]`."""

    @nn.compact
    def __call__(self, given, train: bool):
        return jnp.concatenate([given[:, :1], mlp.Generator((2,), WIDTHS)(given, train)], axis=1)


class Added(nn.Module):
    """The same, from the sum of noise and a linear map of the lane."""

    @nn.compact
    def __call__(self, given, train: bool):
        lane, noise = given[:, :1], given[:, 1:]
        return jnp.concatenate([lane, mlp.Generator((2,), WIDTHS)(nn.Dense(NOISE)(lane) + noise, train)], axis=1)


def make(rounds=2500):
    """Draws the futures of the data, of a regressor and of two conditional generators, and counts them."""
    lane = jnp.repeat(jnp.linspace(-1, 1, LANES), EACH)[:, None]
    truth = what_follows(jax.random.key(5), lane)
    futures = {
        "data": what_follows(jax.random.key(6), lane),
        "regressor": train_regressor(rounds // 4)(lane),
        "G(x, z), side by side": train_gan(SideBySide(), rounds)(lane),
        "G(x, z), added": train_gan(Added(), rounds)(lane),
    }
    figure, [axes] = figures.panels(1, len(futures), 3.2, 3.2)
    numbers = {}
    for panel, (name, future) in zip(axes, futures.items(), strict=True):
        side = future[:, 0]
        panel.axvspan(-1 / 3, 1 / 3, color=figures.BLACK, alpha=0.1, linewidth=0)
        panel.scatter(*future.T, s=3, color=figures.BLUE, alpha=0.4, linewidths=0)
        panel.set(title=name, xlabel="side, left -1 to right 1", xlim=(-1.5, 1.5))
        numbers[name] = {
            "squared error of the side": float(jnp.mean(jnp.square(side - truth[:, 0]))),
            "P(left)": float(jnp.mean(side < 0)),
            "share in the middle third": float(jnp.mean(jnp.abs(side) < 1 / 3)),
            "variance of the side at one lane, over the data's": spread(side) / spread(truth[:, 0]),
            "correlation of lane and predicted lane": float(jnp.corrcoef(lane[:, 0], future[:, 1])[0, 1]),
        }
    axes[0].set_ylabel("lane ahead")
    return figure, numbers


def spread(side):
    """Averages over lanes the variance of what is predicted from each."""
    return float(side.reshape(LANES, EACH).var(axis=1).mean())


def lanes(key, count):
    """Draws lanes `[count, 1]`."""
    return jax.random.uniform(key, (count, 1), minval=-1.0)


def what_follows(key, lane):
    """Draws a future `[count, 2]` for each lane: the side, -1 or 1, and the lane again."""
    side_key, noise_key = jax.random.split(key)
    side = 2.0 * jax.random.bernoulli(side_key, 0.5, lane.shape) - 1
    return jnp.concatenate([side, lane], axis=1) + SPREAD * jax.random.normal(noise_key, (len(lane), 2))


def draw(key):
    """Draws a batch of lanes and their futures."""
    lane_key, key = jax.random.split(key)
    lane = lanes(lane_key, 256)
    return {"real": jnp.concatenate([lane, what_follows(key, lane)], axis=1)[None]}


def train_regressor(rounds):
    """Fits `lane -> future` by least squares."""
    net = from_linen(mlp.Generator((2,), WIDTHS))

    def loss(nets, turn):
        future, stats = net.apply(*nets["net"], turn.batch["real"][:, :1], train=True)
        return jnp.mean(jnp.square(future - turn.batch["real"][:, 1:])), Outcome(stats, {})

    adam = optax.adam(optax.cosine_decay_schedule(2e-3, rounds))
    players = {"net": Player(lambda key: net.init(key, jnp.zeros((1, 1))), loss, adam)}
    predict = lambda nets, lane: net.apply(*nets["net"], lane, train=False)[0]
    fit = game.make_game(players, game.play_round(players, (("net", 1),)), predict)
    state, _ = figures.play(fit, draw, rounds, fit.init(jax.random.key(0)), jax.random.key(1))
    return lambda lane: fit.infer(state, lane)


def train_gan(module, rounds):
    """Trains a conditional GAN and gives `lane -> future`, with fresh noise."""
    gen, disc = from_linen(module), from_linen(mlp.Discriminator(WIDTHS))

    def lane_and_noise(key, count):
        lane_key, noise_key = jax.random.split(key)
        return jnp.concatenate([lanes(lane_key, count), jax.random.normal(noise_key, (count, NOISE))], axis=1)

    objective, penalty = objectives.non_saturating(), penalties.r1(0.1)
    disc_loss, gen_loss = games.adversarial(gen, disc, objective, lane_and_noise, penalty=penalty, joint=True)
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, rounds), b1=0.5)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, 3))), disc_loss, adam),
        "gen": Player(lambda key: gen.init(key, jnp.zeros((1, 1 + NOISE))), gen_loss, adam, ema_decay=0.99),
    }
    gan = game.make_game(players, game.play_round(players, (("disc", 1), ("gen", 1))), games.generate(gen))
    state, _ = figures.play(gan, draw, rounds, gan.init(jax.random.key(0)), jax.random.key(1))
    noise = jax.random.normal(jax.random.key(2), (LANES * EACH, NOISE))
    return lambda lane: gan.infer(state, jnp.concatenate([lane, noise], axis=1))[:, 1:]
