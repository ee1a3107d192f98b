"""Exact nearest neighbours at the speed of a float32 matrix product."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from jaxgan.metrics.features import paired, row_blocks
from jaxgan.types import UserError


class Neighbours(NamedTuple):
    """Nearest training examples of each sample, nearest first.

    Attributes:
        index: int `[n, k]`, rows of the training set; of equally near ones, the first.
        distance: float64 `[n, k]`, Euclidean.
    """

    index: np.ndarray
    distance: np.ndarray


def nearest_neighbours(samples, training, k=1) -> Neighbours:
    """Finds the training examples that samples come closest to: the check for memorised data.

    A distance means little by itself. Compare those of samples with those of held-out examples: a generator whose samples lie
    closer to the training set than held-out examples do has copied. Show the pairs, too (`pictures.grid`).

    Args:
        samples: features `[n, d]`.
        training: features `[m, d]`, m >= k.
        k: neighbours of each, >= 1.

    Raises:
        UserError: no rows, fewer training examples than k, NaN features, different widths, or k < 1.

    Reference:
        Brock et al., 2019, appendix A and figures 10-17 (https://arxiv.org/abs/1809.11096).
    """
    if k < 1:
        raise UserError(f"k={k}: ask for at least 1 neighbour")
    training, samples = paired(training, samples, least=1)
    if len(training) < k:
        raise UserError(f"{k} neighbours cannot be found among {len(training)} training examples")
    index, squared = nearest(samples, training, k)
    return Neighbours(index, np.sqrt(squared))


def nearest(x, y, k) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k rows of y nearest to each row of x; a row is not its own neighbour where `y is x`.

    Args:
        x: finite float64 `[n, d]`.
        y: finite float64 `[m, d]`, m >= k, or x itself, n > k.
        k: >= 1.

    Returns:
        Indices into y, int `[n, k]`, and squared distances, `[n, k]`, as `exact` gives them.
    """
    index, squared = np.empty((len(x), k), int), np.empty((len(x), k))
    for rows, low, high in bounds(x, y):
        if y is x:
            own = np.arange(len(low)), np.arange(len(x))[rows]
            low[own] = high[own] = np.inf
        reach = np.partition(high, k - 1, axis=1)[:, k - 1]  # k rows are surely this near: whatever may be nearer is looked at
        candidates = low <= reach[:, None]
        for i, some in enumerate(candidates, start=rows.start):
            columns = np.flatnonzero(some)
            found = exact(x, y, i, columns)
            order = np.argsort(found, kind="stable")[:k]
            index[i], squared[i] = columns[order], found[order]
    return index, squared


def exact(x, y, row, columns) -> np.ndarray:
    """Squared distances from one row of x to some of y, as float64 sums of squared differences: exact at copies and ties."""
    some = y if len(columns) == len(y) else y[columns]
    return cdist(x[row : row + 1], some, "sqeuclidean")[0]


def bounds(x, y):
    """Encloses all squared distances between rows of x and of y, block by block.

    `|x - y|^2 = |x|^2 - 2 x . y + |y|^2` is one float32 matrix product, but loses small distances to rounding. However its d
    products are summed, that error is below `d u |x| |y|` to first order (u = 2^-24), so what is computed lies within
    `slack (|x|^2 + |y|^2)` of the truth. Few distances lie so near a threshold that they need a second look by `exact`.

    Args:
        x: finite float64 `[n, d]`.
        y: finite float64 `[m, d]`.

    Yields:
        A slice of the rows of x, and lower and upper bounds, float32 `[rows, m]`, the caller's to change.

    Raises:
        UserError: a feature is so large that its square is no float32.

    Reference:
        Higham, 2002, section 3.1: Accuracy and stability of numerical algorithms (https://doi.org/10.1137/1.9780898718027).
    """
    single = np.finfo(np.float32)
    slack = (x.shape[1] + 32) * single.eps  # eps = 2 u: twice the first order; 32 covers the other roundings
    floor = x.shape[1] * single.tiny  # what products lose that are too small for float32
    centre = y.mean(0)  # a shift changes no distance, but rounding errors grow with it

    def prepared(rows):
        centred = rows - centre
        squares = np.einsum("nd,nd->n", centred, centred)
        if squares.max() > single.max / 8:
            raise UserError(f"features {np.sqrt(squares.max()):.1e} away from their mean are too large: scale them down")
        low, high = (1 - slack) * squares - floor, (1 + slack) * squares + floor
        return centred.astype(np.float32), low.astype(np.float32), high.astype(np.float32)

    right, right_low, right_high = prepared(y)
    for rows in row_blocks(len(x), len(y)):
        left, left_low, left_high = prepared(x[rows])
        products = (-2 * left) @ right.T
        low = products + left_low[:, None]
        low += right_low
        products += left_high[:, None]
        products += right_high
        yield rows, low, products
