"""Optimal transport between weighted points: exact Wasserstein distances, sliced ones, and Sinkhorn's entropic approximation.

`W_p(P, Q) = (inf E |x - y|^p)^(1/p)`, the infimum over couplings: joint distributions, or plans, with marginals P and Q. Float64
arrays in, float64 out. Gaussians have a closed form for p = 2: `metrics.frechet_from_moments` is its square.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from jaxgan.types import UserError


class Transport(NamedTuple):
    """The best way to move one set of points onto another.

    Attributes:
        distance: `W_p`, the p-th root of the mean of `|x - y|^p` over the plan.
        plan: `[n, m]`, how much mass goes from `x[i]` to `y[j]`; rows sum to the weights of x, columns to those of y.
    """

    distance: float
    plan: np.ndarray


class Entropic(NamedTuple):
    """A plan smoothed by its entropy.

    Attributes:
        cost: mean of `|x - y|^p` over the plan, without the entropy and without a root; at least `W_p^p`.
        plan: `[n, m]`, positive; columns sum to 1 / m, rows to 1 / n within the tolerance.
    """

    cost: float
    plan: np.ndarray


def wasserstein_1d(x, y, p=1.0, x_weights=None, y_weights=None) -> float:
    """Computes `W_p` on the line, where the best plan joins equal quantiles: sorting, exact for any p and any weights.

    Args:
        x: `[n]`.
        y: `[m]`.
        p: at least 1.
        x_weights: `[n]`, non-negative, in any unit; None for equal ones.
        y_weights: `[m]`.

    Returns:
        Non-negative; 0 for equal distributions.

    Raises:
        UserError: NaN or infinite numbers, no points, other ranks, weights that do not fit, or p < 1.

    Reference:
        Peyre and Cuturi, 2019, remark 2.30 (https://arxiv.org/abs/1803.00567).
    """
    x, y = _points("x", x, rank=1), _points("y", y, rank=1)
    p, a, b = _exponent(p), _weights("x", x_weights, len(x)), _weights("y", y_weights, len(y))
    return _quantile_cost(x, y, p, a, b) ** (1 / p)


def wasserstein(x, y, p=1.0, x_weights=None, y_weights=None) -> Transport:
    """Computes `W_p` in any dimension, and a best plan.

    Equal numbers of unweighted points are an assignment, O(n^3): seconds for 2,000. Otherwise it is a linear programme with n m
    unknowns, for some hundreds of points.

    Args:
        x: `[n, d]`.
        y: `[m, d]`.
        p: at least 1; the ground distance is Euclidean.
        x_weights: `[n]`, non-negative, in any unit; None for equal ones.
        y_weights: `[m]`.

    Raises:
        UserError: NaN or infinite numbers, no points, other ranks or dimensions, weights that do not fit, or p < 1.

    Reference:
        Peyre and Cuturi, 2019, sections 2.3 and 3.1 (https://arxiv.org/abs/1803.00567).
    """
    x, y = _clouds(x, y)
    p, a, b = _exponent(p), _weights("x", x_weights, len(x)), _weights("y", y_weights, len(y))
    cost = cdist(x, y) ** p
    if len(x) == len(y) and x_weights is None and y_weights is None:
        plan = np.zeros_like(cost)
        plan[linear_sum_assignment(cost)] = 1 / len(x)
    else:
        plan = _programme(cost, a, b)
    return Transport(float(np.sum(plan * cost)) ** (1 / p), plan)


def sliced(x, y, directions, p=1.0) -> float:
    """Averages `W_p^p` over projections onto lines, and takes the p-th root: no curse of dimension, O(n log n) a line.

    Args:
        x: `[n, d]`.
        y: `[m, d]`.
        directions: `[k, d]`, of any length but zero; only their direction counts.
        p: at least 1.

    Returns:
        At most `W_p`; 0 for equal distributions.

    Raises:
        UserError: as for `wasserstein`, or a direction has no length or another dimension.

    Reference:
        Bonneel et al., 2015, section 3 (https://doi.org/10.1007/s10851-014-0506-3).
    """
    x, y = _clouds(x, y)
    p, directions = _exponent(p), _points("directions", directions, rank=2)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if directions.shape[1] != x.shape[1] or not lengths.all():
        raise UserError(f"directions must be vectors of {x.shape[1]} numbers that are not all 0, not rows of {directions.shape}")
    a, b = _weights("x", None, len(x)), _weights("y", None, len(y))
    costs = [_quantile_cost(x @ unit, y @ unit, p, a, b) for unit in directions / lengths]
    return float(np.mean(costs)) ** (1 / p)


def sinkhorn(x, y, regularisation, p=2.0, iterations=10_000, tolerance=1e-11) -> Entropic:
    """Finds the plan that lowers its mean cost minus `regularisation` times its entropy.

    Rows and columns are scaled to their sums in turn, on logarithms, so no kernel underflows however small the regularisation;
    only the number of iterations grows, about as its inverse. For `regularisation -> 0` the cost falls to `W_p^p`.

    Args:
        x: `[n, d]`, equally weighted.
        y: `[m, d]`, equally weighted.
        regularisation: positive, in units of the cost `|x - y|^p`.
        p: at least 1.
        iterations: most scalings of rows and columns.
        tolerance: greatest sum of errors of the rows' sums.

    Raises:
        UserError: as for `wasserstein`, regularisation not positive, or no convergence.

    Reference:
        Cuturi, 2013, algorithm 1 (https://arxiv.org/abs/1306.0895).
    """
    x, y = _clouds(x, y)
    p = _exponent(p)
    if not 0 < regularisation < np.inf:
        raise UserError(f"the regularisation must be a positive number, not {regularisation}")
    cost = cdist(x, y) ** p
    log_kernel = -cost / regularisation
    rows = logsumexp(log_kernel, axis=1)  # logs of the sums that the next scaling f sets to 1 / n
    for _ in range(iterations):
        f = -np.log(len(x)) - rows
        g = -np.log(len(y)) - logsumexp(log_kernel + f[:, None], axis=0)
        rows = logsumexp(log_kernel + g, axis=1)
        if np.abs(np.exp(f + rows) - 1 / len(x)).sum() <= tolerance:
            plan = np.exp(f[:, None] + log_kernel + g)
            return Entropic(float(np.sum(plan * cost)), plan)
    raise UserError(f"no convergence in {iterations} iterations; allow more, or a regularisation above {regularisation}")


def _quantile_cost(x, y, p, a, b):
    """`int |F^-1(u) - G^-1(u)|^p du`: both quantile functions are constant between the levels of either."""
    (x, x_levels), (y, y_levels) = _quantiles(x, a), _quantiles(y, b)
    levels = np.union1d(x_levels, y_levels)
    gaps = np.abs(x[np.searchsorted(x_levels, levels)] - y[np.searchsorted(y_levels, levels)])
    return float(np.diff(levels, prepend=0.0) @ gaps**p)


def _quantiles(x, weights):
    """Sorted values and the cumulated weight up to each, ending in exactly 1."""
    order = np.argsort(x)
    levels = np.cumsum(weights[order])
    return x[order], levels / levels[-1]


def _programme(cost, a, b):
    """The cheapest plan with marginals a and b. The simplex method ends in a vertex, so at most n + m - 1 entries are not 0."""
    n, m = cost.shape
    marginals = sparse.vstack([sparse.kron(sparse.eye(n), np.ones((1, m))), sparse.kron(np.ones((1, n)), sparse.eye(m))])
    solved = linprog(cost.ravel(), A_eq=marginals.tocsr(), b_eq=np.concatenate([a, b]), method="highs-ds")
    if not solved.success:
        raise UserError(f"the transport plan of {n} onto {m} points was not found: {solved.message}")
    return np.maximum(solved.x, 0).reshape(n, m)


def _points(name, values, rank):
    values = np.asarray(values, np.float64)
    if values.ndim != rank or values.size == 0:
        raise UserError(f"{name} must be {'numbers [n]' if rank == 1 else 'points [n, d]'}, not an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise UserError(f"{name} has NaN or infinite numbers")
    return values


def _clouds(x, y):
    x, y = _points("x", x, rank=2), _points("y", y, rank=2)
    if x.shape[1] != y.shape[1]:
        raise UserError(f"x and y must be points of one space, not of dimension {x.shape[1]} and {y.shape[1]}")
    return x, y


def _weights(name, weights, count):
    """Shares that sum to 1."""
    weights = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (count,):
        raise UserError(f"the weights of {name} must be {count} numbers, not an array of shape {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise UserError(f"the weights of {name} must be non-negative and not all 0")
    return weights / weights.sum()


def _exponent(p):
    if not 1 <= p < np.inf:
        raise UserError(f"the exponent p must be at least 1 and finite, not {p}")
    return p
