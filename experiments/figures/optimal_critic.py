"""A critic trained on two known laws finds D* = p / (p + q), and its value climbs to 2 JSD - log 4 (A2.1, A2.2).

Values of single batches scatter about the critic's true value, and so also above the bound; the true value, an integral over
both densities, never is.

Reference:
    Goodfellow et al., 2014, proposition 1 and theorem 1 (https://arxiv.org/abs/1406.2661).
"""

import jax
import numpy as np
import optax
from scipy.stats import norm

from experiments import figures
from experiments.figures._critic import alone
from jaxgan import divergences, objectives

REAL, FAKE = norm(0, 1), norm(1, 1)
BATCH, CHUNK = 2048, 5  # examples of each law, turns a program
GRID = np.linspace(-6, 7, 13_001, dtype=np.float32)


def make(rounds=1500):
    """Draws D beside D* and the value over training."""
    objective = objectives.minimax()
    fake = lambda key, count: FAKE.mean() + jax.random.normal(key, (count, 1))
    fit = alone(objective, fake, 1, optax.adam(optax.cosine_decay_schedule(3e-3, rounds)), (32, 32))
    logits = jax.jit(lambda state, x: fit.infer(state, x[:, None]))
    integral = lambda on_real, on_fake: float(np.trapezoid(REAL.pdf(GRID) * on_real + FAKE.pdf(GRID) * on_fake, GRID))
    value = lambda scores: -integral(objective.real(scores), objective.fake(scores))
    bound = divergences.f_divergence_of_densities(REAL.logpdf, FAKE.logpdf, divergences.goodfellow())

    state = fit.init(jax.random.key(0))
    steps, true, sampled = [0], [value(logits(state, GRID))], []
    while state.step < rounds:
        state, metrics = figures.play(fit, draw, CHUNK, state, jax.random.fold_in(jax.random.key(1), state.step))
        sampled.extend(-np.asarray(metrics["disc/loss"]))
        steps.append(int(state.step))
        true.append(value(logits(state, GRID)))

    x = np.linspace(-4, 5, 361, dtype=np.float32)
    found, best = jax.nn.sigmoid(logits(state, x)), divergences.optimal_discriminator(REAL.logpdf(x), FAKE.logpdf(x))
    figure, [[left, right]] = figures.panels(1, 2, 4.8, 3.6)
    left.fill_between(x, REAL.pdf(x), color=figures.ORANGE, alpha=0.4, linewidth=0, label="p, density of N(0, 1)")
    left.fill_between(x, FAKE.pdf(x), color=figures.SKY, alpha=0.4, linewidth=0, label="q, density of N(1, 1)")
    left.plot(x, best, color=figures.BLACK, label="D* = p / (p + q)")
    left.plot(x, found, "--", color=figures.VERMILION, linewidth=2, label="D, trained")
    left.set(title="the critic", xlabel="x", ylabel="probability, density")
    left.legend(fontsize=8)
    right.plot(1 + np.arange(len(sampled)), sampled, ".", color=figures.SKY, markersize=2, label=f"on batches of {BATCH}")
    right.plot(steps, true, color=figures.BLUE, linewidth=2, label="in expectation")
    right.axhline(bound, color=figures.BLACK, linestyle=":", label=f"2 JSD - log 4 = {bound:.4f}")
    right.set(title="its value V", xlabel="critic's turns", ylabel="nats", xscale="log", xlim=(CHUNK, rounds), ylim=(-1.42, -1.1))
    right.legend(fontsize=8, loc="lower right")

    scores = np.asarray(logits(state, GRID))
    middle = (x >= -2) & (x <= 3)
    late = np.array(sampled[-len(sampled) // 4 :])
    return figure, {
        "greatest |D - D*| on [-2, 3]": float(np.max(np.abs(found - best)[middle])),
        "accuracy": integral(scores > 0, scores < 0) / 2,
        "accuracy of D*": float(REAL.cdf(0.5) + FAKE.sf(0.5)) / 2,
        "V in expectation, at the end": true[-1],
        "V in expectation, greatest": max(true),
        "V on batches, mean of the last quarter": float(late.mean()),
        "V on batches, standard error of that mean": float(late.std() / np.sqrt(len(late))),
        "2 JSD - log 4": bound,
    }


def draw(key):
    """Draws a batch of p."""
    return {"real": jax.random.normal(key, (1, BATCH, 1))}
