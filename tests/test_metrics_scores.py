"""Inception score, subsets of the kernel distance, bootstrap, and what labels tell."""

import numpy as np
import pytest
from scipy.special import softmax
from truth import waves

from jaxgan import metrics
from jaxgan.types import UserError

P = softmax(2 * waves((20, 5)), axis=1)
X = waves((30, 6))
Y = 1.2 * waves((24, 6), 1.37, 0.3) + 0.2

# Inception score


@pytest.mark.parametrize(
    ("splits", "mean", "std"),
    [
        (1, 1.6271777483406313, 0.0),
        (2, 1.5870483714205401, 0.18738872902748072),
        (4, 1.529476938291607, 0.20492275196350787),
        (10, 1.2593256690192831, 0.1253853727354165),
    ],
)
def test_inception_score_vectors(splits, mean, std):
    assert metrics.inception_score(P, splits) == pytest.approx((mean, std), abs=1e-10)


def test_inception_score_closed_forms():
    assert metrics.inception_score(np.tile(np.eye(5), (4, 1)), 1).mean == pytest.approx(5, abs=1e-12)
    assert metrics.inception_score(np.tile(P[:1], (20, 1))) == pytest.approx((1, 0), abs=1e-12)
    two = np.eye(2)[[0] * 9 + [1]]
    assert metrics.inception_score(two, 1).mean == pytest.approx(1.384145488461686, abs=1e-10)


def test_inception_score_splits_need_not_divide():
    parts = [metrics.inception_score(part, 1).mean for part in (P[:6], P[6:13], P[13:])]  # 20 // 3, 40 // 3
    assert metrics.inception_score(P, 3) == pytest.approx((np.mean(parts), np.std(parts)), abs=1e-14)


def test_inception_score_takes_float32_probabilities():
    assert metrics.inception_score(P.astype(np.float32), 1).mean == pytest.approx(1.6271777483, abs=1e-6)


@pytest.mark.parametrize(
    ("probs", "splits", "says"),
    [
        (2 * waves((20, 5)), 10, "take the softmax"),
        (np.full((20, 5), np.nan), 10, "look for NaN"),
        (P * 1.01, 10, "sum to 1"),
        (P[0], 1, r"matrix \[n, classes\]"),
        (P[:9], 10, "splits=10: choose from 1 to the 9"),
        (P, 0, "splits=0"),
    ],
)
def test_inception_score_refuses_mistakes(probs, splits, says):
    with pytest.raises(UserError, match=says):
        metrics.inception_score(probs, splits)


# Kernel distance


def test_kernel_distance_of_resamples_averages_to_that_of_their_populations():
    """Rows drawn with replacement follow X and Y as laws, whose distance is B6's "biased" number: unbiased means no other."""
    rng = np.random.default_rng(0)
    values = [metrics.kernel_distance(X[rng.integers(30, size=10)], Y[rng.integers(24, size=8)]) for _ in range(2000)]
    z = (np.mean(values) - 0.4271972058375195) / (np.std(values, ddof=1) / np.sqrt(len(values)))
    assert abs(z) < 3


def test_kernel_distance_subsets_average_to_all_pairs():
    found = metrics.kernel_distance(X, Y, subsets=4000, subset_size=8)
    standard_error = found.std / np.sqrt(4000)
    assert abs(found.mean - 0.18881567762869667) < 3 * standard_error
    assert standard_error < 0.01
    assert found == metrics.kernel_distance(X, Y, subsets=4000, subset_size=8)
    assert found != metrics.kernel_distance(X, Y, subsets=4000, subset_size=8, seed=1)


def test_kernel_distance_of_whole_subsets_is_that_of_all_pairs():
    found = metrics.kernel_distance(X[:12], Y[:12], subsets=3, subset_size=12)
    assert found == pytest.approx((0.21691087775221884, 0), abs=1e-10)


@pytest.mark.parametrize(
    ("subsets", "size", "says"),
    [(0, 8, "at least 1 of at least 2"), (3, 1, "at least 1 of at least 2"), (3, 25, "at least 25 fake examples, there are 24")],
)
def test_kernel_distance_subsets_refuse_mistakes(subsets, size, says):
    with pytest.raises(UserError, match=says):
        metrics.kernel_distance(X, Y, subsets=subsets, subset_size=size)


# Bootstrap


def test_bootstrap_intervals_of_a_mean_hold_it_as_often_as_they_say():
    rng = np.random.default_rng(0)
    intervals = [metrics.bootstrap(np.mean, rng.normal(size=50), level=0.9, seed=i) for i in range(400)]
    held = np.mean([low < 0 < high for _, low, high in intervals])
    assert 0.85 < held < 0.93  # 0.9 less the bootstrap's known shortfall of about 0.01 at n = 50; standard error 0.015


def test_bootstrap_intervals_hold_a_kernel_distance_though_resamples_repeat_rows():
    """Resamples lie above their sample by the kernel's excess at repeated rows; only their spread about their mean is used."""
    rng = np.random.default_rng(1)
    truth = 0.4271972058375195  # of X and Y as laws, B6's "biased" number
    samples = [(X[rng.integers(30, size=40)], Y[rng.integers(24, size=40)]) for _ in range(200)]
    found = [
        metrics.bootstrap(metrics.kernel_distance, *rows, resamples=100, level=0.9, seed=i) for i, rows in enumerate(samples)
    ]
    held = np.mean([low < truth < high for _, low, high in found])
    assert 0.84 < held < 0.96  # percentiles themselves: 0.83


def test_bootstrap_draws_rows_of_each_array_by_itself():
    seen = []

    def metric(x, y):
        seen.append((x, y))
        return x.mean() - y.mean()

    found = metrics.bootstrap(metric, X, Y, resamples=20)
    assert found.value == X.mean() - Y.mean() and found.low < found.high and len(seen) == 21
    for x, y in seen[1:]:
        assert {tuple(row) for row in x} < {tuple(row) for row in X} and x.shape == X.shape
        assert {tuple(row) for row in y} < {tuple(row) for row in Y} and y.shape == Y.shape
    assert found == metrics.bootstrap(metric, X, Y, resamples=20)
    assert found != metrics.bootstrap(metric, X, Y, resamples=20, seed=1)


@pytest.mark.parametrize(
    ("arrays", "options", "says"),
    [
        ((), {}, "at least 2 rows"),
        ((X, X[:1]), {}, "at least 2 rows"),
        ((X, Y), {"resamples": 1}, "resamples >= 2"),
        ((X, Y), {"level": 95}, "level in"),
        ((X * np.nan, Y), {}, "NaN or infinite"),
    ],
)
def test_bootstrap_refuses_mistakes(arrays, options, says):
    with pytest.raises(UserError, match=says):
        metrics.bootstrap(lambda x, y: x.mean() - y.mean(), *arrays, **options)


# Classifier accuracy score


def test_classifier_accuracy_score_of_separated_classes_and_of_swapped_labels():
    rng = np.random.default_rng(0)
    labels = np.repeat([3, 7], 100)
    real, fake = (rng.normal(size=(200, 4)) + 6 * (labels == 7)[:, None] for _ in range(2))
    assert metrics.classifier_accuracy_score(fake, labels, real, labels) == 1.0
    assert metrics.classifier_accuracy_score(fake, 10 - labels, real, labels) == 0.0


def test_classifier_accuracy_score_trains_on_fakes_and_tests_on_reals():
    """Fakes that lack a class cost exactly its share of the real examples."""
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    real = 10.0 * np.eye(3)[labels]
    known = labels < 2
    assert metrics.classifier_accuracy_score(real[known], labels[known], real, labels) == pytest.approx(0.5)
    assert metrics.classifier_accuracy_score(real, labels, real[known], labels[known]) == 1.0


@pytest.mark.parametrize(
    ("fake", "fake_labels", "says"),
    [
        (X, np.zeros(30, int), "at least two classes, all labels are 0"),
        (X, np.arange(29), "fake labels must be 30 integers"),
        (np.ones((30, 6)), np.arange(30) % 2, "nothing can be learned"),
        (X * np.inf, np.arange(30) % 2, "NaN or infinite"),
        (X[:, :3], np.arange(30) % 2, "one width"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_classifier_accuracy_score_refuses_mistakes(fake, fake_labels, says):
    with pytest.raises(UserError, match=says):
        metrics.classifier_accuracy_score(fake, fake_labels, Y, np.arange(24) % 2)
