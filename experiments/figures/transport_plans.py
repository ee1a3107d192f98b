"""Many plans move one heap of earth onto another; the cheapest one's mean distance is W1 (A4.1).

Three plans one may think of, the best one, and Sinkhorn's, which entropy keeps a little blurred. All of them move all of P onto
all of Q: their rows and columns have the same sums.

Reference:
    Peyre and Cuturi, 2019, sections 2.3 and 4.1 (https://arxiv.org/abs/1803.00567).
"""

import numpy as np
from scipy.spatial.distance import cdist

from experiments import figures
from jaxgan import transport

COUNT, REGULARISATION = 8, 0.1


def make():
    """Draws five plans between two clouds of points, as lines and as tables, and checks that W1 is a distance."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(COUNT, 2)), rng.normal(size=(COUNT, 2)) * 0.8 + [1.2, 0.3]
    x, y = x[x[:, 1].argsort()], y[y[:, 1].argsort()]
    best, blurred = transport.wasserstein(x, y), transport.sinkhorn(x, y, REGULARISATION, p=1)
    plans = {
        "everything everywhere": np.full((COUNT, COUNT), COUNT**-2.0),
        "lowest to highest": np.eye(COUNT)[::-1] / COUNT,
        "lowest to lowest": np.eye(COUNT) / COUNT,
        "Sinkhorn's": blurred.plan,
        "the best": best.plan,
    }
    figure, axes = figures.panels(2, len(plans), 2.9, 2.9)
    costs = {name: float(np.sum(plan * cdist(x, y))) for name, plan in plans.items()}
    for (name, plan), above, below in zip(plans.items(), *axes):
        for i, j in np.argwhere(plan > 1e-3 / COUNT):
            above.plot(*zip(x[i], y[j]), color=figures.BLACK, linewidth=3 * COUNT * plan[i, j], solid_capstyle="round", zorder=1)
        above.plot(*x.T, "o", color=figures.BLUE, markersize=7, label="P")
        above.plot(*y.T, "s", color=figures.VERMILION, markersize=7, label="Q")
        above.set(title=f"{name}\nmean distance {costs[name]:.3f}", xlabel="first coordinate", aspect="equal")
        table = below.imshow(COUNT * plan, cmap="cividis", vmin=0, vmax=1)
        below.set(xlabel="points of Q, lowest first", xticks=[], yticks=[])
    axes[0, 0].set_ylabel("second coordinate")
    axes[1, 0].set_ylabel("points of P, lowest first")
    axes[0, 0].legend(fontsize=8)
    figure.colorbar(table, ax=axes[1, -1], label="share of the row's mass")
    clouds = rng.normal(size=(50, 3, COUNT, 2)) + rng.normal(size=(50, 3, 1, 2))
    w1 = lambda a, b: transport.wasserstein(a, b).distance
    return figure, {
        "mean distance": costs,
        "W1, exact": best.distance,
        "greatest error of any row's or column's sum": max(
            float(abs(plan.sum(k) - 1 / COUNT).max()) for plan in plans.values() for k in (0, 1)
        ),
        "W1(P, P)": w1(x, x),
        "50 triples, greatest |W1(a, b) - W1(b, a)|": max(abs(w1(a, b) - w1(b, a)) for a, b, _ in clouds),
        "50 triples, least W1(a, c) + W1(c, b) - W1(a, b)": min(w1(a, c) + w1(c, b) - w1(a, b) for a, b, c in clouds),
    }
