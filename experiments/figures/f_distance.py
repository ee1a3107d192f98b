"""The F-distance: JSD, total variation or W1 by the choice of phi and F, and for a small net nearly the same on samples (A2.7).

`d(u, v) = sup_D E_u phi(D) + E_v phi(1 - D) - 2 phi(1/2)` over a family F of critics. When F has few parameters, the distance of
two samples of m points is off that of the laws by about 1 / sqrt(m).

Reference:
    Arora et al., 2017, definition 2 and theorem 3.1 (https://arxiv.org/abs/1703.00573).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import norm

from experiments import figures
from experiments.figures._critic import alone
from jaxgan import divergences, objectives

SHIFTS = (0.0, 0.5, 1.0, 1.5, 2.0)
IDENTITY = lambda D: D
PHIS = {  # phi, the same as a function of D's logit, and how to draw it
    "phi = log": (jnp.log, jax.nn.log_sigmoid, figures.BLUE, "o"),
    "phi = identity": (IDENTITY, jax.nn.sigmoid, figures.VERMILION, "s"),
}


def make(turns=400, repeats=24, sizes=(100, 300, 1000, 3000, 10_000)):
    """Draws distances of N(0, 1) and N(d, 1), and the error of samples' distances at d = 1 over their size."""
    figure, [[left, right]] = figures.panels(1, 2, 4.8, 3.8)
    shift = np.linspace(0, 2, 41)
    numbers = {}
    for (name, curve), line in zip(best(shift).items(), ("-", "--", ":")):
        left.plot(shift, curve, line, color=figures.BLACK, label=name)
        numbers |= {f"N(0, 1) and N({d}, 1): {name}": float(curve[shift.searchsorted(d)]) for d in (0, 1)}
    for name, (phi, measure, colour, marker) in PHIS.items():
        distance = jax.jit(jax.vmap(functools.partial(trained, phi, measure, turns)))
        real = np.tile(quantiles(10_000), (len(SHIFTS), 1))
        laws = distance(jnp.float32(real), jnp.float32(real + np.array(SHIFTS)[:, None]))
        errors = []
        for m in sizes:
            real, fake = jax.random.normal(jax.random.key(m), (2, repeats, m))
            errors.append(float(np.sqrt(np.mean(np.square(distance(real, 1 + fake) - laws[SHIFTS.index(1)])))))
        left.plot(SHIFTS, laws, marker, color=colour, label=f"{name}, trained small net")
        right.loglog(sizes, errors, marker + "-", color=colour, label=name)
        numbers[f"{name}, small net: laws at d = 1"] = float(laws[SHIFTS.index(1)])
        numbers[f"{name}, small net: one law and itself"] = float(laws[SHIFTS.index(0)])
        numbers[f"{name}, small net: root mean square error by sample size"] = dict(zip(sizes, errors))
        numbers[f"{name}, small net: slope in log-log"] = float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
    right.loglog(sizes, 0.7 / np.sqrt(sizes), ":", color=figures.BLACK, label="0.7 / √m")
    left.set(title="N(0, 1) and N(d, 1)", xlabel="shift d", ylabel="distance, nats for phi = log", ylim=(-0.1, 3))
    right.set(title="d = 1, small net", xlabel="points m of each sample", ylabel=f"error of the distance, r.m.s. of {repeats}")
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure, numbers


def quantiles(count):
    """Evenly spaced quantiles of N(0, 1): points whose means are nearly its expectations."""
    return norm.ppf((np.arange(count) + 0.5) / count)


def best(shift):
    """F-distances `[len(shift)]` by critics `(d, x) -> D` that are known to be the best of their families."""
    critics = {
        "2 JSD: phi = log, any D": (jnp.log, lambda d, x: divergences.optimal_discriminator(norm.logpdf(x), norm.logpdf(x, d))),
        "TV: phi = identity, D in [0, 1]": (IDENTITY, lambda d, x: np.float64(x < d / 2)),
        "W1: phi = identity, D 1-Lipschitz": (IDENTITY, lambda d, x: -x),
    }
    x = quantiles(200_000)
    with jax.enable_x64(True):
        over = lambda phi, D: np.array([float(divergences.f_distance(phi, D(d, x), D(d, x + d))) for d in shift])
        return {name: over(*critic) for name, critic in critics.items()}


def trained(phi, measure, turns, real, fake):
    """Gives the distance of two samples `[m]` for a critic of eight hidden units, trained on all of both."""
    fit = alone(objectives.f_distance(measure), lambda key, count: fake[:, None], 1, optax.adam(0.02), (8,))
    state = fit.init(jax.random.key(0))
    state, _ = figures.play(fit, lambda key: {"real": real[None, :, None]}, turns, state, jax.random.key(1))
    return divergences.f_distance(phi, *(jax.nn.sigmoid(fit.infer(state, x[:, None])) for x in (real, fake)))
