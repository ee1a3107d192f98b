"""One Gaussian for two modes: which divergences cover both, and which pick one; by quadrature and by f-GAN training (A3.5).

Where the modes are far apart, KL, Jeffrey and Pearson pay for every part of the data that the Gaussian leaves out and cover both;
the others, which pay for a Gaussian where there are no data or are bounded, pick the heavier mode. Where the modes are close,
every divergence has one minimum, and a generator `mu + sigma z` finds it in the game of that divergence. It must lower the bound
itself, `-E_Q f*(T)`: where no Gaussian fits, the practical loss `-E_Q T` has another optimum. The critic's slope is held down a
little: without that, total variation's ends up at +-1/2 everywhere and learns no more.

Reference:
    Nowozin et al., 2016, section 2.5 (https://arxiv.org/abs/1606.00709); Roth et al., 2017 (https://arxiv.org/abs/1705.09367) on
    the penalty.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import minimize
from scipy.stats import norm

from experiments import figures
from jaxgan import divergences, from_linen, game, games, latents, objectives, penalties
from jaxgan.nets import mlp
from jaxgan.types import Network, Player

FAR = (np.array([0.35, 0.65]), np.array([-3.0, 3.0]), np.array([0.7, 0.9]))  # shares, means, standard deviations
CLOSE = (np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([1.0, 1.2]))
LINES = {
    "kl": (figures.BLUE, "-"),
    "reverse_kl": (figures.VERMILION, "-"),
    "jensen_shannon": (figures.GREEN, "--"),
    "jeffrey": (figures.PURPLE, "-"),
    "squared_hellinger": (figures.ORANGE, ":"),
    "pearson": (figures.SKY, "--"),
    "total_variation": (figures.BLACK, "-."),
}
TURNS, GAMMA = 5, 0.006  # of the critic in a round; of the penalty on its slope, at data and samples alike


def make(names=tuple(LINES), rounds=1000):
    """Draws the far mixture's fits, the close one's, and where the games of the close one ended."""
    figure, [[far, close, ends]] = figures.panels(1, 3, 4.4, 3.8)
    x = np.linspace(-9, 9, 721)
    for axes, mixture in ((far, FAR), (close, CLOSE)):
        axes.fill_between(x, np.exp(log_density(mixture, x)), color=figures.BLACK, alpha=0.2, linewidth=0, label="data")
    numbers = {}
    for name in names:
        divergence, (colour, line) = divergences.BY_NAME[name](), LINES[name]
        found = {"far": fit(FAR, divergence), "close": fit(CLOSE, divergence), "close, f-GAN": train(divergence, rounds)}
        far.plot(x, norm(*found["far"]).pdf(x), line, color=colour, label=name.replace("_", " "))
        close.plot(x, norm(*found["close"]).pdf(x), line, color=colour)
        ends.plot(*found["close"], "o", color=colour, markersize=10, fillstyle="none")
        ends.plot(*found["close, f-GAN"], "x", color=colour, markersize=7)
        numbers[name] = {f"{where}: mu, sigma": gaussian for where, gaussian in found.items()}
        numbers[name]["far: share left of 0, 0.35 in the data"] = float(norm(*found["far"]).cdf(0))
    far.set(title="modes far apart, best Gaussians", xlabel="x", ylabel="density", xlim=(-8, 8))
    close.set(title="modes close, best Gaussians", xlabel="x", ylabel="density", xlim=(-5, 6))
    ends.plot([], [], "o", color=figures.BLACK, markersize=10, fillstyle="none", label="best, by quadrature")
    ends.plot([], [], "x", color=figures.BLACK, markersize=7, label="generator of the f-GAN")
    ends.set(title="modes close, fits", xlabel="mu", ylabel="sigma")
    for axes in (far, ends):
        axes.legend(fontsize=8)
    return figure, numbers


def log_normal(x, mean, deviation):
    """Logarithm of a Gaussian's density at x `[n]`."""
    return -(((x - mean) / deviation) ** 2) / 2 - np.log(deviation * np.sqrt(2 * np.pi))


def log_density(mixture, x):
    """Logarithm of a mixture's density at x `[n]`."""
    return np.logaddexp.reduce([np.log(share) + log_normal(x, *mode) for share, *mode in zip(*mixture)])


def fit(mixture, divergence):
    """Finds the Gaussian (mu, sigma) of least divergence, from the moments of the data and from those of each mode."""
    shares, means, deviations = mixture
    mean = shares @ means
    starts = [(mean, np.sqrt(shares @ (deviations**2 + means**2) - mean**2)), *zip(means, deviations)]

    def cost(gaussian):
        log_p, log_q = (lambda x: log_density(mixture, x)), (lambda x: log_normal(x, gaussian[0], np.exp(gaussian[1])))
        return min(divergences.f_divergence_of_densities(log_p, log_q, divergence, points=1024), 1e6)  # inf - inf is no progress

    ends = [minimize(cost, (mu, np.log(sigma)), method="Nelder-Mead", options={"xatol": 1e-3}) for mu, sigma in starts]
    mu, log_sigma = min(ends, key=lambda end: end.fun).x
    return float(mu), float(np.exp(log_sigma))


def train(divergence, rounds, batch=512):
    """Plays the close mixture's game of a divergence, and gives the generator's mu and sigma, averaged over its last rounds."""
    gen = Network(
        init=lambda key, z: ({"mu": jnp.zeros(1), "log_sigma": jnp.zeros(1)}, ()),
        apply=lambda params, stats, z, train, key=None: (params["mu"][None] + jnp.exp(params["log_sigma"])[None] * z, stats),
    )
    disc, first = from_linen(mlp.Discriminator((32, 32))), jnp.zeros((1, 1))
    objective, penalty = objectives.f_gan(divergence, saturating=True), penalties.both(penalties.r1(GAMMA), penalties.r2(GAMMA))
    losses = games.adversarial(gen, disc, objective, latents.normal(1), penalty=penalty, joint=True)
    rate = lambda start, turns: optax.cosine_decay_schedule(start, turns * rounds)
    players = {
        "disc": Player(lambda key: disc.init(key, first), losses[0], optax.adam(rate(5e-3, TURNS), b1=0.5)),
        "gen": Player(lambda key: gen.init(key, first), losses[1], optax.adam(rate(2e-2, 1))),
    }
    play = game.play_round(players, (("disc", TURNS), ("gen", 1)))
    f_gan = game.make_game(players, play, games.generate(gen))
    shares, means, deviations = map(jnp.float32, CLOSE)

    def draw(key):
        mode, noise = jax.random.split(key)
        k = jax.random.choice(mode, 2, (TURNS, batch, 1), p=shares)
        return {"real": means[k] + deviations[k] * jax.random.normal(noise, k.shape)}

    state, _ = figures.play(f_gan, draw, rounds, f_gan.init(jax.random.key(0)), jax.random.key(1))
    found = game.look(players["gen"], state.players["gen"]).weights
    return float(found["mu"][0]), float(jnp.exp(found["log_sigma"])[0])
