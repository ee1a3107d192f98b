"""Precision, recall, density and coverage by nearest neighbours."""

import numpy as np
from scipy.spatial.distance import cdist

from jaxgan.metrics.features import paired, row_blocks
from jaxgan.types import UserError

WITHIN = {"strict": np.less, "inclusive": np.less_equal}


def prdc(real, fake, k=5, ties="strict") -> dict[str, float]:
    """Judges fidelity and variety apart, with balls that reach from each example to its k-th nearest neighbour of its own kind.

    Precision is the share of fakes in some real ball, recall the share of reals in some fake ball, density the mean number of
    real balls around a fake divided by k, coverage the share of real balls with a fake inside. Distances are sums of squared
    differences, not expanded into products, so copies are at distance 0 and ties are exact.

    Args:
        real: features `[n, d]`, n > k.
        fake: features `[m, d]`, m > k.
        k: which neighbour sets the radius; an example is not its own neighbour.
        ties: "strict" leaves the sphere out of its ball (Naeem's code), "inclusive" counts it in (Kynkaanniemi's code).

    Returns:
        "precision", "recall" and "coverage" in [0, 1]; "density" in [0, n / k], about 1 for equal distributions.

    Raises:
        UserError: too few rows, NaN features, different widths, k < 1, or unknown `ties`.

    Reference:
        Kynkaanniemi et al., 2019 (https://arxiv.org/abs/1904.06991); Naeem et al., 2020, section 3
        (https://arxiv.org/abs/2002.09797).
    """
    if k < 1 or ties not in WITHIN:
        raise UserError(f"prdc needs k >= 1 and ties among {', '.join(WITHIN)}, not k={k} and ties={ties!r}")
    real, fake = paired(real, fake, least=k + 1)
    within, real_radius, fake_radius = WITHIN[ties], _radius(real, k), _radius(fake, k)
    balls_around_fake = np.zeros(len(fake), int)
    recalled = covered = 0
    for rows in row_blocks(len(real), len(fake)):
        distance = cdist(real[rows], fake, "sqeuclidean")
        inside = within(distance, real_radius[rows, None])
        balls_around_fake += inside.sum(0)
        covered += inside.any(1).sum()
        recalled += within(distance, fake_radius).any(1).sum()
    return {
        "precision": float((balls_around_fake > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(balls_around_fake.mean() / k),
        "coverage": float(covered / len(real)),
    }


def _radius(points, k):
    """Squared distance of each point to its k-th nearest other point, `[n]`; position 0 in the sorted row is the point itself."""
    blocks = (cdist(points[rows], points, "sqeuclidean") for rows in row_blocks(len(points), len(points)))
    return np.concatenate([np.partition(block, k, axis=1)[:, k] for block in blocks])
