"""Kernel distance (KID) between two sets of features."""

from jaxgan.metrics.features import paired, row_blocks


def kernel_distance(real, fake) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel `k(x, y) = (x . y / d + 1)^3`.

    Its expectation does not depend on the sample counts, unlike the Frechet distance's. All pairs are used, no subsets.

    Args:
        real: `[n, d]`, n >= 2.
        fake: `[m, d]`, m >= 2.

    Returns:
        About 0 for equal distributions, and then as often negative as positive. Not to be square-rooted.

    Raises:
        UserError: fewer than two rows, NaN features, or different widths.

    Reference:
        Binkowski et al., 2018, section 4 (https://arxiv.org/abs/1801.01401).
    """
    real, fake = paired(real, fake)
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
