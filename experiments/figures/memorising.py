"""A critic with too few samples learns them by heart: it tells two samples of one and the same law apart (A2.6).

Both laws are N(0, 1) in the plane, so JSD is 0 and no critic can be right more often than by chance; finite samples of continuous
laws do not meet, so a critic that has seen them can be right always, and takes JSD for log 2. Only fresh points tell.

Reference:
    Arora et al., 2017, section 3 (https://arxiv.org/abs/1703.00573).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from experiments.figures._critic import alone
from jaxgan import divergences, objectives

SAMPLE, FRESH, CHUNK = 50, 5000, 50  # points of each law, turns a program


def make(turns=5000):
    """Draws the critic over both samples, and its accuracy and estimate on them and on fresh points over training."""
    points = lambda seed, count: jax.random.normal(jax.random.key(seed), (count, 2))
    seen, fresh = (points(1, SAMPLE), points(2, SAMPLE)), (points(3, FRESH), points(4, FRESH))
    adam = optax.adam(optax.cosine_decay_schedule(1e-3, turns))
    fit = alone(objectives.minimax(), lambda key, count: seen[1], 2, adam, (128,) * 4)
    draw = lambda key: {"real": seen[0][None]}

    @jax.jit
    def judge(state, real, fake):
        real, fake = fit.infer(state, real), fit.infer(state, fake)
        return (jnp.mean(real > 0) + jnp.mean(fake < 0)) / 2, (divergences.value(real, fake) + jnp.log(4)) / 2

    state = fit.init(jax.random.key(0))
    steps, curves = np.arange(0, turns + 1, CHUNK), []
    for step in steps:
        if step:
            state, _ = figures.play(fit, draw, CHUNK, state, jax.random.key(5))
        curves.append([judge(state, *seen), judge(state, *fresh)])
    curves = np.array(curves)  # [times, seen or fresh, accuracy or estimate]

    figure, [[left, middle, right]] = figures.panels(1, 3, 4.4, 3.8)
    ticks = np.linspace(-3.2, 3.2, 161, dtype=np.float32)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    found = jax.nn.sigmoid(fit.infer(state, plane)).reshape(len(ticks), -1)
    image = left.imshow(found, "RdBu", vmin=0, vmax=1, alpha=0.6, origin="lower", extent=(-3.2, 3.2, -3.2, 3.2))
    figure.colorbar(image, ax=left, label="D(x)")
    left.plot(*seen[0].T, "o", color=figures.BLUE, markeredgecolor="white", label="called real")
    left.plot(*seen[1].T, "^", color=figures.VERMILION, markeredgecolor="white", label="called generated")
    left.set(title="two samples of N(0, 1)", xlabel="x, first coordinate", ylabel="x, second coordinate", aspect="equal")
    left.legend(fontsize=8, loc="upper right")
    for i, (label, colour) in enumerate((("the sample trained on", figures.BLUE), ("fresh points", figures.ORANGE))):
        middle.plot(steps, 100 * curves[:, i, 0], color=colour, label=label)
        right.plot(steps, curves[:, i, 1], color=colour, label=label)
    middle.axhline(50, color=figures.BLACK, linestyle=":", label="any critic, in truth")
    right.axhline(0, color=figures.BLACK, linestyle=":", label="JSD, in truth")
    middle.set(title="accuracy", xlabel="critic's turns", ylabel="%")
    right.set(title="(V + log 4) / 2, the critic's estimate of JSD", xlabel="critic's turns", ylabel="nats")
    middle.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure, {
        "points of each law": SAMPLE,
        "accuracy on the sample trained on": float(curves[-1, 0, 0]),
        "accuracy on fresh points": float(curves[-1, 1, 0]),
        "estimate of JSD on the sample trained on": float(curves[-1, 0, 1]),
        "estimate of JSD on fresh points": float(curves[-1, 1, 1]),
        "JSD": 0.0,
    }
