"""Optimal transport against closed forms (requirements A4.1, A4.4; erratum E6; B2)."""

from functools import partial

import numpy as np
import pytest
from scipy.special import ndtri
from truth import waves

from jaxgan import transport
from jaxgan.types import UserError

X, Y = waves((8, 2)), waves((8, 2), 1.7) + np.array([1.0, -0.5])
ANGLES = np.pi * np.arange(8) / 8
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
QUANTILES = ndtri((np.arange(20_000) + 0.5) / 20_000)  # of N(0, 1)
RING = np.stack([np.cos(2 * ANGLES), np.sin(2 * ANGLES)], axis=1)
EQUAL = np.ones(8)


def cost(x, y, p):
    return np.linalg.norm(x[:, None] - y[None], axis=-1) ** p


@pytest.mark.parametrize(
    ("x", "y", "options", "expected"),
    [
        ([0, 1, 3], [5, 6, 8], {}, 5),
        ([0, 1, 3], [5, 6, 8], {"p": 2}, 5),
        ([0, 1, 3], [5, 6, 8], {"x_weights": [3, 1, 0], "y_weights": [1, 3, 1]}, 5.95),
        (waves(5), 2 * waves(7, 0.9), {}, 0.9465492520),
        ([0.0], [-3.0], {"p": 3}, 3),
        ([2, 0, 1], [1, 2, 0], {"p": 2}, 0),
        ([0, 0, 1], [0, 1], {"p": 2}, np.sqrt(1 / 6)),
    ],
)
def test_on_the_line_b2(x, y, options, expected):
    np.testing.assert_allclose(transport.wasserstein_1d(x, y, **options), expected, rtol=1e-10)


def test_gaussians_on_the_line_b2():
    """B2: the pairs A and B, from 20,000 quantiles; a shift is exact."""
    np.testing.assert_allclose(transport.wasserstein_1d(QUANTILES, QUANTILES + 1), 1, rtol=1e-12)
    np.testing.assert_allclose(transport.wasserstein_1d(QUANTILES, QUANTILES + 1, p=2), 1, rtol=1e-12)
    wide = 0.5 + 1.5 * QUANTILES
    np.testing.assert_allclose(transport.wasserstein_1d(QUANTILES, wide), 0.5833154706, rtol=1e-4)
    np.testing.assert_allclose(transport.wasserstein_1d(QUANTILES, wide, p=2), 0.7071067812, rtol=1e-4)


@pytest.mark.parametrize(("p", "expected"), [(1, 1.0369097329), (2, 1.1686235614)])
@pytest.mark.parametrize("weights", [{}, {"x_weights": EQUAL, "y_weights": 3 * EQUAL}], ids=["assignment", "programme"])
def test_in_the_plane_b2_e6(p, expected, weights):
    """E6: an infimum over couplings, then the p-th root; both methods, and the plan that attains it."""
    distance, plan = transport.wasserstein(X, Y, p, **weights)
    np.testing.assert_allclose(distance, expected, rtol=1e-10)
    np.testing.assert_allclose(np.sum(plan * cost(X, Y, p)) ** (1 / p), distance, rtol=1e-12)
    assert plan.min() >= 0
    np.testing.assert_allclose(plan.sum(0), 1 / 8, rtol=1e-14)
    np.testing.assert_allclose(plan.sum(1), 1 / 8, rtol=1e-14)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_unequal_counts_and_weights(p):
    """In one dimension the programme agrees with sorted quantiles, and its plan has the given marginals."""
    x, y = waves(9, 0.3), waves(6, 1.1)
    x_weights, y_weights = np.abs(waves(9, 2.3)), np.array([0, 1, 2, 3, 4, 0])
    distance, plan = transport.wasserstein(x[:, None], y[:, None], p, x_weights, y_weights)
    np.testing.assert_allclose(distance, transport.wasserstein_1d(x, y, p, x_weights, y_weights), rtol=1e-10)
    np.testing.assert_allclose(plan.sum(1), x_weights / x_weights.sum(), atol=1e-15)
    np.testing.assert_allclose(plan.sum(0), y_weights / 10, atol=1e-15)


def test_a_ring_and_one_point_b2():
    np.testing.assert_allclose(transport.wasserstein(RING, np.zeros((1, 2))).distance, 1, rtol=1e-12)
    np.testing.assert_allclose(transport.wasserstein(RING, RING[:1]).distance, 1.2568348730, rtol=1e-10)


@pytest.mark.parametrize("theta", [-1, -0.5, 0, 0.25, 1])
def test_parallel_lines_a4_4(theta):
    """WGAN's example 1: W1 = |theta|, where f-divergences know only equal and disjoint."""
    height = (np.arange(16) + 0.5) / 16
    at = lambda where: np.stack([np.full(16, where), height], axis=1)
    np.testing.assert_allclose(transport.wasserstein(at(0), at(theta)).distance, abs(theta), rtol=1e-12)


def exact(x, y, p):
    return transport.wasserstein(x, y, p).distance


def sliced(x, y, p):
    return transport.sliced(x, y, DIRECTIONS, p)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("distance", [exact, sliced])
def test_metric_a4_1(distance, p):
    third = waves((8, 2), 0.6) - 0.5
    assert distance(X, X[::-1], p) < 1e-15
    np.testing.assert_allclose(distance(X, Y, p), distance(Y, X, p), rtol=1e-12)
    assert distance(X, Y, p) < distance(X, third, p) + distance(third, Y, p)
    shift = np.array([0.3, 0.4])
    np.testing.assert_allclose(distance(X, X + shift, p) / distance(X, X + 2 * shift, p), 0.5, rtol=1e-12)


@pytest.mark.parametrize(("p", "expected"), [(1, 0.6420316659), (2, np.sqrt(0.5485537288))])
def test_sliced_b2(p, expected):
    np.testing.assert_allclose(transport.sliced(X, Y, DIRECTIONS, p), expected, rtol=2e-10)
    np.testing.assert_allclose(transport.sliced(X, Y, -7 * DIRECTIONS, p), expected, rtol=2e-10)
    assert expected < transport.wasserstein(X, Y, p).distance


def test_sinkhorn_b2():
    mean, plan = transport.sinkhorn(X, Y, 0.5)
    np.testing.assert_allclose(mean, 1.5180490173, rtol=1e-10)
    np.testing.assert_allclose(np.sum(plan * cost(X, Y, 2)), mean, rtol=1e-12)
    np.testing.assert_allclose(plan.sum(0), 1 / 8, rtol=1e-12)
    np.testing.assert_allclose(plan.sum(1), 1 / 8, atol=1e-11)
    cross = plan[0, 0] * plan[1, 1] / (plan[0, 1] * plan[1, 0])  # scalings cancel, and the kernel is left
    kernel = np.exp(-cost(X, Y, 2) / 0.5)
    np.testing.assert_allclose(cross, kernel[0, 0] * kernel[1, 1] / (kernel[0, 1] * kernel[1, 0]), rtol=1e-10)


def test_sinkhorn_between_exact_and_independent():
    """The cost rises with the regularisation, from W2^2 to that of independence."""
    costs = [transport.sinkhorn(X, Y, regularisation).cost for regularisation in (0.1, 0.5, 5, 500)]
    assert 1.3656810283 < costs[0] < 1.42 and (np.diff(costs) > 0).all()
    np.testing.assert_allclose(costs[-1], cost(X, Y, 2).mean(), rtol=2e-2)


def test_sinkhorn_where_every_kernel_entry_underflows():
    """A shift changes |x - y|^2 by a term of x and one of y, which the scalings absorb: the plan stays, exp(-3000) or not."""
    far = transport.sinkhorn(X, Y + np.array([40.0, 0.0]), 0.5).plan
    np.testing.assert_allclose(far, transport.sinkhorn(X, Y, 0.5).plan, rtol=1e-8, atol=1e-15)


def test_sinkhorn_of_unequal_counts():
    _, plan = transport.sinkhorn(X, Y[:5], 1.0, p=1)
    np.testing.assert_allclose(plan.sum(1), 1 / 8, atol=1e-11)
    np.testing.assert_allclose(plan.sum(0), 1 / 5, rtol=1e-12)


NAN = np.where(np.arange(16).reshape(8, 2) == 5, np.nan, X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(transport.wasserstein, NAN, Y), "x has NaN"),
        (partial(transport.wasserstein, X, np.full_like(Y, np.inf)), "y has NaN or infinite"),
        (partial(transport.wasserstein, X[:, 0], Y), r"x must be points \[n, d\]"),
        (partial(transport.wasserstein, X, Y[:0]), "y must be points"),
        (partial(transport.wasserstein, X, Y[:, :1]), "one space, not of dimension 2 and 1"),
        (partial(transport.wasserstein, X, Y, 0.5), "at least 1"),
        (partial(transport.wasserstein, X, Y, x_weights=-EQUAL), "weights of x must be non-negative"),
        (partial(transport.wasserstein, X, Y, y_weights=0 * EQUAL), "weights of y must be non-negative and not all 0"),
        (partial(transport.wasserstein, X, Y, y_weights=[1, 2]), "weights of y must be 8 numbers"),
        (partial(transport.wasserstein, X, Y, x_weights=np.full(8, np.nan)), "weights of x"),
        (partial(transport.wasserstein_1d, X, Y), r"x must be numbers \[n\]"),
        (partial(transport.wasserstein_1d, [0, np.nan], [1]), "x has NaN"),
        (partial(transport.wasserstein_1d, [0, 1], [1], x_weights=[1, -1]), "weights of x must be non-negative"),
        (partial(transport.sliced, X, Y, np.zeros((1, 2))), "not all 0"),
        (partial(transport.sliced, X, Y, np.ones((1, 3))), "vectors of 2 numbers"),
        (partial(transport.sinkhorn, X, Y, 0.0), "must be a positive number"),
        (partial(transport.sinkhorn, X, Y, np.nan), "must be a positive number"),
        (partial(transport.sinkhorn, X, Y, 0.01, iterations=3), "no convergence in 3"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError, match=message) as refusal:
        call()
    assert "\n" not in str(refusal.value)
