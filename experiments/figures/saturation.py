"""Two laws move apart: JSD levels off and its slope dies, for a trained critic, too, while W1 goes on growing (A2.5).

The slope is what a generator can follow: that of the saturating loss through the best critic is twice the slope of JSD. Once the
laws hardly overlap, the critic is always right and cannot say how far away they are.

Reference:
    Arjovsky and Bottou, 2017, section 2 (https://arxiv.org/abs/1701.04862).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from experiments.figures._critic import alone
from jaxgan import divergences, objectives, transport

SIGMA, BATCH, SAMPLES = 0.1, 512, 20_000
SHIFTS = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0])
CURVES = objectives.minimax()


def make(rounds=600):
    """Draws exact curves over the shift, and what critics trained at some shifts say."""
    shift = np.linspace(0, 1.1, 111)
    with jax.enable_x64(True):
        curve, slope = map(np.asarray, exact(shift))
        known, known_slope = map(np.asarray, exact(SHIFTS))
    fit = functools.partial(trained, rounds=rounds)
    accuracy, estimate, felt, real, fake = map(np.asarray, jax.vmap(fit)(jnp.asarray(SHIFTS, jnp.float32)))
    w1 = np.array([transport.wasserstein_1d(x, y) for x, y in zip(real, fake)])

    figure, [[left, middle, right]] = figures.panels(1, 3, 4.2, 3.6)
    left.axhline(np.log(2), color=figures.BLACK, linestyle=":", linewidth=0.8, label="log 2")
    for axes, on_jsd, on_w1 in ((left, curve, shift), (middle, slope, np.ones_like(shift))):
        axes.plot(shift, on_w1, "--", color=figures.VERMILION, label="W1, exact")
        axes.plot(shift, on_jsd, color=figures.BLUE, label="JSD, exact")
    left.plot(SHIFTS, w1, "s", color=figures.VERMILION, markersize=5, label="W1 of samples")
    for axes, values in ((left, estimate), (middle, felt)):
        axes.plot(SHIFTS, values, "o", color=figures.BLUE, label="JSD, by a trained critic")
    right.plot(SHIFTS, 100 * accuracy, "o-", color=figures.GREEN)
    shifts = f"shift d between N(0, {SIGMA}²) and N(d, {SIGMA}²)"
    left.set(title="distance", xlabel=shifts, ylabel="JSD in nats, W1 in units of d")
    middle.set(title="slope", xlabel=shifts, ylabel="nats per unit of d for JSD, 1 for W1")
    right.set(title="trained critic on fresh samples", xlabel=shifts, ylabel="accuracy, %", xlim=(-0.05, 1.15), ylim=(50, 102))
    left.legend(fontsize=8)
    middle.legend(fontsize=8)
    columns = {
        "JSD": known,
        "slope of JSD": known_slope,
        "JSD, trained critic": estimate,
        "slope of JSD, trained critic": felt,
        "accuracy of the trained critic": accuracy,
        "W1 of samples": w1,
    }
    return figure, {f"d = {d}": {name: float(values[i]) for name, values in columns.items()} for i, d in enumerate(SHIFTS)}


@jax.jit
@jax.vmap
@jax.value_and_grad
def exact(shift):
    """JSD and its slope, both laws on a grid of cells far narrower than they are."""
    x = jnp.linspace(-1, 2.1, 3101)
    law = lambda centre: jax.nn.softmax(-(((x - centre) / SIGMA) ** 2) / 2)
    return divergences.jsd(law(0.0), law(shift))


def trained(shift, rounds):
    """Trains a critic; gives its accuracy, its estimate of JSD and of the slope, and the fresh samples they are measured on."""
    noise = lambda key, *shape: SIGMA * jax.random.normal(key, (*shape, 1))
    adam = optax.adam(optax.cosine_decay_schedule(3e-3, rounds))
    fit = alone(CURVES, lambda key, count: shift + noise(key, count), 1, adam)
    train_key, *fresh = jax.random.split(jax.random.key(0), 3)
    state, _ = figures.play(fit, lambda key: {"real": noise(key, 1, BATCH)}, rounds, fit.init(jax.random.key(1)), train_key)
    real, around = (noise(key, SAMPLES) for key in fresh)
    scores = fit.infer(state, real), fit.infer(state, shift + around)
    accuracy = (jnp.mean(scores[0] > 0) + jnp.mean(scores[1] < 0)) / 2
    slope = jax.grad(lambda shift: jnp.mean(CURVES.gen(fit.infer(state, shift + around))))(shift)
    return accuracy, (divergences.value(*scores) + jnp.log(4)) / 2, slope / 2, real[:, 0], shift + around[:, 0]
