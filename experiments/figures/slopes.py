"""Where a critic is steep when the generator has dropped a mode: between the mode it knows and the one it does not (A5.1).

The data are two modes, and the generator makes the larger of them alone. On the mode it fits, D is `share / (share + 1)`, near
one half as that mode holds most of the data (with two equal modes it would be 1/3); on the missing mode D is near 1. Both are
flat places, and D climbs between them.

Reference:
    Miyato et al., 2018, section 2 (https://arxiv.org/abs/1802.05957), on why the slope is what to control.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import norm

from experiments import figures
from experiments.figures import _critic
from jaxgan import divergences, objectives, penalties

SHARE, FITTED, MISSING, SIGMA = 0.9, 1.5, -1.5, 0.4


def make(turns=1500, batch=1024):
    """Draws D and the size of its slope over the line, and gives both in the three regions."""
    fitted = lambda key, count: FITTED + SIGMA * jax.random.normal(key, (count, 1))

    def draw(key):
        mode, noise = jax.random.split(key)
        drop = jax.random.bernoulli(mode, 1 - SHARE, (batch, 1))
        return {"real": (fitted(noise, batch) + (MISSING - FITTED) * drop)[None]}

    adam = optax.adam(optax.cosine_decay_schedule(2e-3, turns))
    critic = _critic.alone(objectives.non_saturating(), fitted, 1, adam)
    state, _ = figures.play(critic, draw, turns, critic.init(jax.random.key(0)), jax.random.key(1))
    probability = lambda x: jax.nn.sigmoid(critic.infer(state, x))
    x = np.linspace(-3, 3, 601, dtype=np.float32)
    found, slope = probability(x[:, None]), penalties.slopes(probability, x[:, None])
    densities = SHARE * norm(FITTED, SIGMA).pdf(x) + (1 - SHARE) * norm(MISSING, SIGMA).pdf(x), norm(FITTED, SIGMA).pdf(x)

    figure, [[left, right]] = figures.panels(1, 2, 4.6, 3.5)
    left.fill_between(x, densities[0], color=figures.ORANGE, alpha=0.4, linewidth=0, label="data, density")
    left.plot(x, densities[1], ":", color=figures.BLACK, label="generator, density")
    left.plot(x, divergences.optimal_discriminator(*np.log(densities)), color=figures.SKY, linewidth=4, label="D*")
    left.plot(x, found, "--", color=figures.BLUE, label="D, trained")
    left.set(title="critic", xlabel="x", ylabel="probability, density")
    left.legend(fontsize=8)
    right.plot(x, slope, color=figures.VERMILION)
    right.set(title="slope of D", xlabel="x", ylabel="|dD/dx|")
    regions = {"fitted": abs(x - FITTED) < 2 * SIGMA, "missing": abs(x - MISSING) < 2 * SIGMA}
    regions["between"] = (x > MISSING + 2 * SIGMA) & (x < FITTED - 2 * SIGMA)
    for name, inside in regions.items():
        right.axvspan(x[inside][0], x[inside][-1], color=figures.BLACK, alpha=0.15 if name == "between" else 0.05, linewidth=0)
        right.text(x[inside].mean(), 1.02 * slope.max(), name, ha="center", fontsize=9)
    right.set_ylim(0, 1.1 * slope.max())
    steepest = {name: float(slope[inside].max()) for name, inside in regions.items()}
    return figure, {
        "D at the centre of the fitted mode": float(probability(jnp.array([[FITTED]]))[0]),
        "D* there, share / (share + 1)": SHARE / (SHARE + 1),
        "D at the centre of the missing mode": float(probability(jnp.array([[MISSING]]))[0]),
        "greatest slope": steepest,
        "greatest slope between, over greatest elsewhere": steepest["between"] / max(steepest["fitted"], steepest["missing"]),
    }
