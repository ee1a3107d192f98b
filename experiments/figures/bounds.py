"""Eleven f-divergences as games: a critic trained on samples raises its bound to the divergence and never above it (A3.3).

P is N(0, 1), Q is N(1, 1), and `E_P T - E_Q f*(T)` of `T = g_f(V)` is a lower bound of `D_f(P, Q)`, met by `T = f'(p / q)`. A
critic sees samples alone. What it has learnt is judged by quadrature, which leaves no sampling error, and on fresh samples, whose
estimate may lie above the divergence by chance: its standard error stands beside it.

What is drawn is the share `(bound - f(1)) / (D_f - f(1))`, bound / divergence for all but the original game, whose `f(1)` is
-log 4.

Reference:
    Nowozin et al., 2016, sections 2.2 and 2.3 (https://arxiv.org/abs/1606.00709).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import norm

from experiments import figures
from experiments.figures import _critic
from jaxgan import divergences, objectives

P, Q = norm(0, 1), norm(1, 1)
CHUNK = 25  # turns between two looks
FRESH = 100_000
NODES = np.linspace(-9, 10, 3801)
COLOURS = (figures.BLUE, figures.VERMILION, figures.GREEN, figures.PURPLE, figures.ORANGE, figures.SKY)


def make(names=tuple(divergences.BY_NAME), rounds=1000, batch=1024):
    """Draws the T that each divergence's critic has learnt beside the best one, and all bounds over training."""
    figure, axes = figures.panels(3, 4, 3.4, 2.7)
    x, turns = np.linspace(-3, 4, 141), np.arange(CHUNK, rounds + 1, CHUNK)
    numbers, together = {}, axes[-1, -1]
    for i, (name, panel) in enumerate(zip(names, axes.flat, strict=False)):
        divergence, line = divergences.BY_NAME[name](), {"color": COLOURS[i % 6], "linestyle": "-" if i < 6 else "--"}
        score, states = train(divergence, len(turns), optax.cosine_decay_schedule(3e-3, rounds), batch)
        bounds = [exact_bound(divergence, score(state, NODES)) for state in states]
        exact = divergences.f_divergence_of_densities(P.logpdf, Q.logpdf, divergence)
        start = float(divergence.generator(1.0))
        shares = (np.array(bounds) - start) / (exact - start)
        best = divergences.optimal_critic(P.logpdf(x), Q.logpdf(x), divergence)
        panel.plot(x, best, color=figures.BLACK, linewidth=5, alpha=0.3, label="f'(p/q)")
        panel.plot(x, divergence.activation(score(states[-1], x)), **line, label="learnt")
        panel.set(xlabel="x", ylabel="T")
        panel.set_title(f"{name.replace('_', ' ')}, {100 * shares[-1]:.1f} %", fontsize=10)
        together.semilogx(turns, shares, **line)
        samples = (score(states[-1], law.rvs(FRESH, random_state=seed)) for seed, law in enumerate((P, Q)))
        estimate, error = estimated_bound(divergence, *samples)
        numbers[name] = {
            "divergence": exact,
            "bound": bounds[-1],
            "greatest bound of all moments": max(bounds),
            "share": float(shares[-1]),
            "bound on fresh samples": estimate,
            "its standard error": error,
        }
    axes[0, 0].legend(fontsize=8)
    together.set_title("over training, lines as in the panels", fontsize=10)
    together.set(xlabel="critic's turns", ylabel="bound / divergence", ylim=(0.5, 1.02))
    return figure, numbers


def train(divergence, chunks, rate, batch):
    """Trains a critic: `score(state, x [n]) -> [n]`, and its state after each chunk of turns."""
    normal = lambda key, count: jax.random.normal(key, (count, 1))
    critic = _critic.alone(objectives.f_gan(divergence), lambda key, count: 1 + normal(key, count), 1, optax.adam(rate))
    draw = lambda key: {"real": normal(key, batch)[None]}
    states = [critic.init(jax.random.key(0))]
    for k in range(chunks):
        states.append(figures.play(critic, draw, CHUNK, states[-1], jax.random.key(k))[0])
    infer = jax.jit(critic.infer)
    return lambda state, x: infer(state, jnp.float32(x)[:, None]), states[1:]


def exact_bound(divergence, scores):
    """Integrates the bound of scores at `NODES`."""
    step = NODES[1] - NODES[0]
    real, fake = np.float64(divergence.activation(scores)), np.float64(divergence.fake_cost(scores))
    return float((P.pdf(NODES) @ real - Q.pdf(NODES) @ fake) * step)


def estimated_bound(divergence, real, fake):
    """Estimates the bound from scores of samples, and the standard error of that."""
    gains, costs = np.float64(divergence.activation(real)), np.float64(divergence.fake_cost(fake))
    return float(gains.mean() - costs.mean()), float(np.sqrt(gains.var() / len(gains) + costs.var() / len(costs)))
