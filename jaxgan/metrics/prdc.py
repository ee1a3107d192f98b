"""Precision, recall, density and coverage by nearest neighbours."""

import numpy as np

from jaxgan.metrics.features import paired
from jaxgan.metrics.neighbours import bounds, exact, nearest
from jaxgan.types import UserError

WITHIN = {"strict": np.less, "inclusive": np.less_equal}


def prdc(real, fake, k=5, ties="strict") -> dict[str, float]:
    """Judges fidelity and variety apart, with balls that reach from each example to its k-th nearest neighbour of its own kind.

    Precision is the share of fakes in some real ball, recall the share of reals in some fake ball, density the mean number of
    real balls around a fake divided by k, coverage the share of real balls with a fake inside. Whatever float32 products leave in
    doubt is decided by float64 sums of squared differences, so copies are at distance 0 and ties are exact.

    Args:
        real: features `[n, d]`, n > k.
        fake: features `[m, d]`, m > k.
        k: which neighbour sets the radius; an example is not its own neighbour.
        ties: "strict" leaves the sphere out of its ball (Naeem's code), "inclusive" counts it in (Kynkaanniemi's code).

    Returns:
        "precision", "recall" and "coverage" in [0, 1]; "density" in [0, n / k], about 1 for equal distributions.

    Raises:
        UserError: too few rows, NaN features, different widths, real rows that are all the same, k < 1, or unknown `ties`.

    Reference:
        Kynkaanniemi et al., 2019 (https://arxiv.org/abs/1904.06991); Naeem et al., 2020, section 3
        (https://arxiv.org/abs/2002.09797).
    """
    if k < 1 or ties not in WITHIN:
        raise UserError(f"prdc needs k >= 1 and ties among {', '.join(WITHIN)}, not k={k} and ties={ties!r}")
    real, fake = paired(real, fake, least=k + 1)
    if np.ptp(real, axis=0).max() == 0:
        raise UserError(f"all {len(real)} real examples have the same features, so there are no neighbours: check the extractor")
    within, real_radius, fake_radius = WITHIN[ties], nearest(real, real, k)[1][:, -1], nearest(fake, fake, k)[1][:, -1]
    real_balls_around = np.zeros(len(fake), int)
    recalled = covered = 0
    for rows, low, high in bounds(real, fake):
        in_real, unsure_real = _judged(low, high, real_radius[rows, None])
        in_fake, unsure_fake = _judged(low, high, fake_radius)
        unsure = unsure_real | unsure_fake
        for i in np.flatnonzero(unsure.any(1)):
            columns = np.flatnonzero(unsure[i])
            distance = exact(real, fake, rows.start + i, columns)
            in_real[i, columns] = within(distance, real_radius[rows.start + i])
            in_fake[i, columns] = within(distance, fake_radius[columns])
        real_balls_around += in_real.sum(0)
        covered += in_real.any(1).sum()
        recalled += in_fake.any(1).sum()
    return {
        "precision": float((real_balls_around > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(real_balls_around.mean() / k),
        "coverage": float(covered / len(real)),
    }


def _judged(low, high, radius):
    """Which distances are surely below a radius, and which may be on either side of it."""
    radius = radius.astype(np.float32)
    inside = high < radius
    return inside, (low <= radius) != inside
