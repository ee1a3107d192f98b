"""How far a metric's value can be trusted."""

from typing import NamedTuple

import numpy as np

from jaxgan.types import UserError


class Spread(NamedTuple):
    """Several values of one metric in two numbers.

    Attributes:
        mean: their mean.
        std: their standard deviation with ddof 0, the convention of published inception scores and kernel distances.
    """

    mean: float
    std: float

    @classmethod
    def of(cls, values) -> "Spread":
        """Sums up values."""
        return cls(float(np.mean(values)), float(np.std(values)))


class Interval(NamedTuple):
    """A metric's value and the interval around it.

    Attributes:
        value: on the rows as they are.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def bootstrap(metric, *arrays, resamples=200, level=0.95, seed=0) -> Interval:
    """Estimates how much a metric would vary with other samples, by drawing rows again with replacement.

    Resampling repeats rows, which shifts many metrics (a repeated row is its own nearest neighbour). So the resamples' spread
    about their own mean is laid around the value. The interval is that of the metric at this count: a biased metric's bias stays.
    For a kernel distance near 0 it is too wide, as resampling cannot imitate that its variance vanishes there.

    Args:
        metric: `(*arrays) -> float`.
        *arrays: `[n, ...]` of any n >= 2 each, resampled independently; bind what shall stay fixed into `metric`.
        resamples: >= 2; 1,000 for the ends' second digit.
        level: in (0, 1), share of intervals that hold the metric's expectation.
        seed: of the draws.

    Raises:
        UserError: no arrays, fewer than two rows, resamples < 2, level outside (0, 1), or a metric that is not finite.

    Reference:
        Efron and Tibshirani, 1993, chapter 13: An introduction to the bootstrap (https://doi.org/10.1201/9780429246593).
    """
    arrays = [np.asarray(rows) for rows in arrays]
    if not arrays or any(rows.ndim == 0 or len(rows) < 2 for rows in arrays):
        raise UserError("the bootstrap needs arrays of at least 2 rows each")
    if resamples < 2 or not 0 < level < 1:
        raise UserError(f"the bootstrap needs resamples >= 2 and level in (0, 1), not {resamples} and {level}")
    rng, value = np.random.default_rng(seed), float(metric(*arrays))
    values = [float(metric(*(rows[rng.integers(len(rows), size=len(rows))] for rows in arrays))) for _ in range(resamples)]
    if not np.isfinite([value, *values]).all():
        raise UserError("the metric is NaN or infinite on the rows or a resample of them, so it has no interval")
    low, high = np.quantile(np.subtract(values, np.mean(values)), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, value + float(low), value + float(high))
