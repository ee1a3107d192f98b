"""Kernel distance (KID) between two sets of features."""

import numpy as np

from jaxgan.metrics.features import paired, row_blocks
from jaxgan.metrics.spread import Spread
from jaxgan.types import UserError


def kernel_distance(real, fake, subsets=None, subset_size=1000, seed=0) -> float | Spread:
    """Unbiased squared maximum mean discrepancy under the cubic kernel `k(x, y) = (x . y / d + 1)^3`.

    Its expectation does not depend on the sample counts, unlike the Frechet distance's. All pairs are used, which is the most
    precise; published values are often means over random subsets (100 of 1,000 are usual), which estimate the same number.

    Args:
        real: `[n, d]`, n >= 2.
        fake: `[m, d]`, m >= 2.
        subsets: number of random subsets; None for all pairs at once.
        subset_size: rows of either set in a subset, drawn without replacement, >= 2.
        seed: of the subsets.

    Returns:
        About 0 for equal distributions, and then as often negative as positive. Not to be square-rooted. With subsets, their
        mean and standard deviation (ddof 0); subsets overlap, so std / sqrt(subsets) is no standard error.

    Raises:
        UserError: fewer rows than needed, NaN features, different widths, subsets < 1, or subset_size < 2.

    Reference:
        Binkowski et al., 2018, section 4 (https://arxiv.org/abs/1801.01401).
    """
    if subsets is None:
        return _unbiased(*paired(real, fake))
    if subsets < 1 or subset_size < 2:
        raise UserError(f"subsets={subsets} of subset_size={subset_size}: use at least 1 of at least 2")
    real, fake = paired(real, fake, least=subset_size)
    rng = np.random.default_rng(seed)

    def some(rows):
        return rows[rng.choice(len(rows), subset_size, replace=False)]

    return Spread.of([_unbiased(some(real), some(fake)) for _ in range(subsets)])


def _unbiased(real, fake):
    between = _kernel_sum(real, fake) / (len(real) * len(fake))
    return float(_mean_of_others(real) + _mean_of_others(fake) - 2 * between)


def _cubic(products, dimension):
    base = products / dimension + 1
    return base * base * base


def _kernel_sum(left, right):
    return sum(_cubic(left[rows] @ right.T, left.shape[1]).sum() for rows in row_blocks(len(left), len(right)))


def _mean_of_others(rows):
    """Mean of `k(x_i, x_j)` over i != j."""
    own = _cubic((rows * rows).sum(1), rows.shape[1]).sum()
    return (_kernel_sum(rows, rows) - own) / (len(rows) * (len(rows) - 1))
