"""The conjugate of a divergence's generator is the upper envelope of lines, one for each density ratio (A3.2).

`f*(t) = sup_u (u t - f(u))`: every ratio u gives a line in t of slope u, and the highest line wins. A supremum of lines is
convex; it is what turns a divergence into a game.

Reference:
    Nowozin et al., 2016, section 2.2 and table 6 (https://arxiv.org/abs/1606.00709).
"""

import jax
import numpy as np

from experiments import figures
from jaxgan import divergences

RANGES = {  # of t, in the domain of f*
    "kl": (-2, 2),
    "reverse_kl": (-3, -0.2),
    "pearson": (-3, 3),
    "neyman": (-3, 0.9),
    "squared_hellinger": (-3, 0.7),
    "jeffrey": (-3, 3),
    "jensen_shannon": (-3, 0.6),
    "goodfellow": (-3, -0.1),
    "total_variation": (-1, 0.5),
}
SHOWN = (0.1, 0.25, 0.5, 1, 2, 4)  # ratios whose lines are drawn
MANY = np.concatenate([[1e-6], np.geomspace(1e-4, 1e4, 20_001)])


def make():
    """Draws lines and envelopes, and measures how far the highest of many lines is from the closed form."""
    figure, grid = figures.panels(3, 3, 3.8, 3.0)
    numbers = {}
    with jax.enable_x64(True):
        for axes, (name, (low, high)) in zip(grid.flat, RANGES.items(), strict=True):
            chosen, t = divergences.BY_NAME[name](), np.linspace(low, high, 201)
            closed = np.asarray(chosen.conjugate(t))
            lines = MANY[:, None] * t - np.asarray(chosen.generator(MANY))[:, None]
            numerical = np.asarray(divergences.from_generator(chosen.generator).conjugate(t))
            numbers[name] = {
                "greatest difference of the highest line": float(np.abs(lines.max(0) - closed).max()),
                "greatest difference of the supremum found by bisection": float(np.abs(numerical - closed).max()),
                "least second difference": float(np.diff(closed, 2).min()),
            }
            for u in SHOWN:
                axes.plot(
                    t,
                    u * t - chosen.generator(u),
                    color=figures.BLUE,
                    linewidth=0.9,
                    label="lines u t - f(u), u from 0.1 to 4",
                )
            axes.plot(t, closed, color=figures.VERMILION, linewidth=2.5, alpha=0.8, label="f*(t)")
            slack = 0.15 * np.ptp(closed)
            axes.set(
                title=name.replace("_", " "),
                xlabel="t, critic's output",
                ylabel="f*(t)",
                ylim=(closed.min() - 2 * slack, closed.max() + slack),
            )
            axes.locator_params("x", nbins=6)
    figure.legend(handles=grid[0, 0].lines[-2:], loc="outside upper center", ncols=2)
    return figure, numbers
