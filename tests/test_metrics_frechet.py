"""Frechet distances of streams, of classes, and extrapolated."""

import functools
import warnings

import numpy as np
import pytest
from truth import waves

from jaxgan import metrics
from jaxgan.metrics import features, frechet
from jaxgan.types import UserError

X = waves((30, 6))
Y = 1.2 * waves((24, 6), 1.37, 0.3) + 0.2
LABELS = np.arange(30) % 2


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 20], list(range(1, 30))])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_do_not_depend_on_chunks(cuts, offset):
    rows = X + offset
    merged = functools.reduce(metrics.merge_moments, map(metrics.moments, np.split(rows, cuts)))
    assert merged.count == 30
    np.testing.assert_allclose(merged.mean, rows.mean(0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(merged.covariance, np.cov(rows, rowvar=False), atol=1e-10 if offset == 0 else 1e-9)
    # numbers near 1e6 carry a rounding error of 1e-10 themselves


def test_moments_of_float32_are_those_of_the_same_numbers_in_float64():
    rows = (1000 + X).astype(np.float32)
    single, double = metrics.moments(rows), metrics.moments(rows.astype(np.float64))
    assert single.scatter.dtype == np.float64
    np.testing.assert_array_equal(single.scatter, double.scatter)


def test_distance_does_not_depend_on_the_block_size(monkeypatch):
    whole = metrics.frechet_distance(X, Y)
    monkeypatch.setattr(features, "BLOCK", 20)
    assert metrics.frechet_distance(X, Y) == pytest.approx(whole, abs=1e-12)


def test_streamed_moments_give_the_same_distance():
    real, fake = (functools.reduce(metrics.merge_moments, map(metrics.moments, np.split(rows, [5, 6]))) for rows in (X, Y))
    streamed = metrics.frechet_from_moments(real.mean, real.covariance, fake.mean, fake.covariance)
    assert streamed == pytest.approx(0.9607821896147755, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_distance_to_itself_is_zero_for_full_and_deficient_ranks(seed):
    rng = np.random.default_rng(seed)
    full, deficient = rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8)), rng.normal(size=(40, 3)) @ rng.normal(size=(3, 8))
    assert metrics.frechet_distance(full, full) < 1e-10
    assert metrics.frechet_distance(deficient, deficient) < 1e-10


@pytest.mark.parametrize("rows", [X, X[:4], X * [1, 0, 1, 0, 1, 1], X * 0])
def test_factors_give_back_their_covariance_also_a_singular_one(rows):
    covariance = np.cov(rows, rowvar=False)
    factor = frechet._factor(covariance)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-14)


def test_few_examples_are_warned_about_in_one_line():
    with pytest.warns(UserWarning, match=r"11 examples for 6 features.*at least 12") as told:
        metrics.frechet_distance(X, Y[:11])
    assert len(told) == 1 and "\n" not in str(told[0].message) and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.frechet_distance(X, Y[:12])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.ones(3), r"features \[n, d\]"),
        (np.ones((0, 3)), "at least one example"),
        (np.array([[1.0, np.nan], [1, 2]]), "without NaN"),
        (np.array([[1.0, np.inf], [1, 2]]), "without NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_moments_refuse_mistakes(rows, says):
    with pytest.raises(UserError, match=says):
        metrics.moments(rows)


def test_one_example_has_no_covariance():
    with pytest.raises(UserError, match="at least 2"):
        _ = metrics.moments(X[:1]).covariance


def test_intra_class_distances_are_those_of_the_classes():
    found = metrics.intra_class_frechet(X, LABELS, Y, LABELS[:24])
    assert list(found) == [0, 1] and all(type(label) is int for label in found)
    assert found[1] == metrics.frechet_distance(X[1::2], Y[1::2])


@pytest.mark.filterwarnings("ignore:. examples for")
def test_intra_class_distance_sees_labels_that_mean_nothing():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    rows = rng.normal(size=(400, 3)) + 4 * labels[:, None]
    mixed = rng.permutation(400)
    assert metrics.frechet_distance(rows, rows[mixed]) < 1e-10
    assert min(metrics.intra_class_frechet(rows, labels, rows[mixed], labels).values()) > 3


@pytest.mark.parametrize(
    ("real_labels", "fake_labels", "says"),
    [
        (LABELS[:5], LABELS[:24], "real labels must be 30 integers"),
        (LABELS, LABELS[:24] * 1.0, "fake labels must be 24 integers"),
        (LABELS, LABELS[:24] * 2, r"\[0, 1\] and fake labels \[0, 2\] are not the same"),
        (LABELS, np.array([1] + 23 * [0]), "at least 2 fake examples, there are 1"),
    ],
)
def test_intra_class_distance_refuses_mistakes(real_labels, fake_labels, says):
    with pytest.raises(UserError, match=says):
        metrics.intra_class_frechet(X, real_labels, Y, fake_labels)


def test_extrapolation_removes_the_bias_of_few_fakes():
    """All sets come from one law and the real moments are nearly exact, so the distance at endless fakes is nearly 0."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(20_000, 16))
    fakes = [rng.normal(size=(500, 16)) for _ in range(12)]
    biased = np.mean([metrics.frechet_distance(real, fake) for fake in fakes])
    extrapolated = [metrics.frechet_infinity(real, fake, least=150, points=8) for fake in fakes]
    assert biased > 0.15
    assert abs(np.mean(extrapolated)) < 0.1 * biased


def test_extrapolation_is_the_line_through_two_sizes():
    """A subset of all but one row leaves out +3 or -3, which are alike: the distances, and the line, are known."""
    real, fake = np.array([[-1.0], [1.0]]), np.repeat([[-3.0], [3.0]], 5, axis=0)
    nine, ten = metrics.frechet_distance(real, fake[1:]), metrics.frechet_distance(real, fake)
    expected = ten - (nine - ten) / (1 / 9 - 1 / 10) / 10
    assert metrics.frechet_infinity(real, fake, least=9, points=2) == pytest.approx(expected, abs=1e-10)


def test_extrapolation_is_seeded():
    first, again, other = (metrics.frechet_infinity(X, Y, least=12, points=4, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(("least", "points"), [(1, 5), (24, 5), (12, 1)])
def test_extrapolation_refuses_mistakes(least, points):
    with pytest.raises(UserError, match=f"least={least}, points={points}"):
        metrics.frechet_infinity(X, Y, least, points)
