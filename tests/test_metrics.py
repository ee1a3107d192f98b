"""Metrics against hand-computed values, closed forms and degenerate generators (requirements A8, E11, E36)."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from truth import waves

from jaxgan import metrics
from jaxgan.metrics import features
from jaxgan.types import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.*Frechet distance is biased upwards")

X = waves((30, 6))
Y = 1.2 * waves((24, 6), 1.37, 0.3) + 0.2
REAL = waves((15, 2))
FAKE = 0.8 * waves((12, 2), 1.1, 0.4) + 0.5
TIED_REAL = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [5, 5]])
TIED_FAKE = np.array([[0, 0], [1, 0], [2, 0], [9, 9]])


@pytest.fixture(scope="module")
def digits():
    """Two disjoint sets of 898 digits, float32 `[898, 8, 8, 1]` in [-1, 1]."""
    images = (load_digits().images / 8 - 1).astype(np.float32)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    return images[order[:898]], images[order[898:1796]]


def replay(images):
    """A generator that returns the first `count` of given images."""
    return lambda key, count: images[:count]


# Frechet distance


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        (X, Y, 0.9607821896147755),  # ddof=0 would give .9405057538
        (X, X, 0.0),
        (X, X + 0.5, 1.5),
        (X[:, :1], X[:, :1] + 2, 4.0),
    ],
)
def test_frechet_distance_vectors(real, fake, expected):
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("real", "fake"), [(X, Y), (X[:4], Y[:4]), (X[:3], Y), (X, np.ones((5, 6)))])
def test_frechet_distance_equals_the_nuclear_norm_form_also_for_singular_covariances(real, fake):
    """`tr (S1 S2)^{1/2}` is the sum of singular values of `A B^T` with `S1 = A^T A`, `S2 = B^T B`: no rounding under a root."""
    a, b = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (real, fake))
    shift = real.mean(0) - fake.mean(0)
    expected = shift @ shift + (a * a).sum() + (b * b).sum() - 2 * np.linalg.norm(a @ b.T, "nuc")
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, abs=1e-10)


def test_frechet_distance_rank_deficient_vector():
    """Ground truth B6 says 2.6031125513, computed with roots of rounding errors; the exact value is 6.9e-8 above it."""
    assert metrics.frechet_distance(X[:4], Y[:4]) == pytest.approx(2.60311262038941, abs=1e-10)
    assert metrics.frechet_distance(X[:4], Y[:4]) == pytest.approx(2.60311255132477, abs=1e-7)


@pytest.mark.parametrize(
    ("shift", "real_cov", "fake_cov", "expected"),
    [
        ([0.5], [[1]], [[2.25]], 0.5),
        ([1, 2, 0], np.diag([1, 4, 9]), np.diag([4, 1, 16]), 8.0),
        ([0, 0], [[2, 0.5], [0.5, 1]], [[1, -0.3], [-0.3, 1.5]], 0.4634711896064756),  # E11: tr(S1^.5 S2^.5): .4635072604
    ],
)
def test_frechet_from_moments_closed_forms(shift, real_cov, fake_cov, expected):
    zero = np.zeros(len(shift))
    assert metrics.frechet_from_moments(zero, np.array(real_cov), shift, np.array(fake_cov)) == pytest.approx(expected, abs=1e-10)


def test_frechet_distance_is_symmetric_and_blind_to_order():
    assert metrics.frechet_distance(Y, X) == pytest.approx(metrics.frechet_distance(X, Y), abs=1e-12)
    assert metrics.frechet_distance(X[::-1], Y) == pytest.approx(metrics.frechet_distance(X, Y), abs=1e-12)


# Kernel distance


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        (X, Y, 0.18881567762869667),
        (X[:12], Y[:12], 0.21691087775221884),
        (X[:12], X[12:24], 0.004991681901046263),
    ],
)
def test_kernel_distance_vectors(real, fake, expected):
    assert metrics.kernel_distance(real, fake) == pytest.approx(expected, abs=1e-10)


def test_kernel_distance_is_unbiased():
    """Over all equal splits of one set, the unbiased estimate averages near 0; the biased one would average .4."""
    order = np.random.default_rng(0)
    splits = [X[order.permutation(30)] for _ in range(400)]
    values = [metrics.kernel_distance(rows[:15], rows[15:]) for rows in splits]
    assert abs(np.mean(values)) < 0.02
    assert min(values) < 0 < max(values)


# Precision, recall, density, coverage


@pytest.mark.parametrize(
    ("real", "fake", "k", "ties", "expected"),
    [
        (REAL, FAKE, 3, "strict", (0.9166666666666666, 0.8, 0.9444444444444445, 0.6)),
        (REAL, FAKE, 3, "inclusive", (0.9166666666666666, 0.8, 0.9444444444444445, 0.6)),
        (REAL, FAKE, 5, "strict", (0.9166666666666666, 1.0, 0.75, 0.8)),
        (TIED_REAL, TIED_FAKE, 1, "strict", (0.5, 0.8, 0.5, 0.4)),
        (TIED_REAL, TIED_FAKE, 1, "inclusive", (1.0, 1.0, 2.0, 1.0)),
    ],
)
def test_prdc_vectors(real, fake, k, ties, expected):
    result = metrics.prdc(real, fake, k=k, ties=ties)
    assert list(result) == ["precision", "recall", "density", "coverage"]
    assert list(result.values()) == pytest.approx(expected, abs=1e-10)


def test_results_do_not_depend_on_the_block_size(monkeypatch):
    images = waves((7, 12, 10, 3))
    whole = metrics.prdc(X, Y), metrics.kernel_distance(X, Y), metrics.pixels(images)
    monkeypatch.setattr(features, "BLOCK", 50)  # two rows of X against Y at a time, and one image
    assert metrics.prdc(X, Y) == whole[0]
    assert metrics.kernel_distance(X, Y) == pytest.approx(whole[1], abs=1e-14)
    np.testing.assert_array_equal(metrics.pixels(images), whole[2])


def test_row_blocks_cover_each_row_once_within_the_bound(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 50)
    blocks = list(features.row_blocks(23, 20))
    assert np.concatenate([np.arange(23)[rows] for rows in blocks]).tolist() == list(range(23))
    assert max(rows.stop - rows.start for rows in blocks) == 2


# Pixel features


def test_pixels_of_small_images_are_the_pixels_themselves(digits):
    result = metrics.pixels(digits[0])
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, digits[0].reshape(898, 64))
    assert metrics.pixels(waves((2, 4, 5, 3))).shape == (2, 60)


def test_pixels_average_blocks_where_size_divides():
    images = waves((3, 16, 24, 3))
    expected = images.reshape(3, 8, 2, 8, 3, 3).mean((2, 4))
    np.testing.assert_allclose(metrics.pixels(images), expected.reshape(3, 192), atol=1e-14)


def test_pixels_average_exact_areas_where_size_does_not_divide():
    """Enlarging by repetition to a common multiple makes every area whole pixels."""
    images = waves((2, 5, 7, 1))
    enlarged = images.repeat(3, axis=1).repeat(3, axis=2)  # 15 x 21 cells, averaged over 5 x 7 of them
    expected = enlarged.reshape(2, 3, 5, 3, 7, 1).mean((2, 4))
    np.testing.assert_allclose(metrics.pixels(images, size=3), expected.reshape(2, 9), atol=1e-14)
    np.testing.assert_allclose(metrics.pixels(np.full((1, 28, 31, 1), 0.25)), 0.25, atol=1e-15)


# Image quality


def test_image_quality_of_real_digits_is_the_known_reference(digits):
    """Ground truth B6b, first row (its density, .966, allows for rounding at ties)."""
    held_out, other = digits
    result = metrics.image_quality(held_out)(replay(other), key=None)
    assert list(result) == ["fid64", "kid", "precision", "recall", "density", "coverage"]
    assert list(result.values()) == pytest.approx([0.2562, -0.0012, 0.9710, 0.9577, 0.966, 0.9688], abs=6e-4)
    assert all(type(value) is float for value in result.values())


def test_image_quality_sees_through_degenerate_generators(digits):
    held_out, other = digits
    rng = np.random.default_rng(1)
    measure = metrics.image_quality(held_out)
    collapsed = measure(replay(other[np.arange(898) % 10]), None)
    assert collapsed["recall"] == 0 and collapsed["coverage"] < 0.1 and collapsed["fid64"] > 10
    mean = measure(replay(np.broadcast_to(other.mean(0), other.shape)), None)
    assert mean["precision"] == 1 and mean["recall"] == 0 and mean["fid64"] > 15
    noise = measure(replay(rng.uniform(-1, 1, other.shape)), None)
    assert noise["fid64"] > 30 and [noise[name] for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]
    copies = measure(replay(held_out), None)
    assert copies["fid64"] < 1e-10 and copies["precision"] == copies["recall"] == copies["coverage"] == 1


def test_image_quality_asks_for_count_samples_with_the_given_key(digits):
    asked = []

    def sample(key, count):
        asked.append((key, count))
        return digits[1][:count]

    metrics.image_quality(digits[0], count=100)(sample, "key")
    assert asked == [("key", 100)]


@pytest.mark.parametrize(
    ("shape", "name"), [((20, 28, 28, 1), "fid64"), ((20, 32, 32, 3), "frechet192"), ((20, 4, 4, 1), "frechet16")]
)
def test_frechet_distances_are_named_by_their_features(shape, name):
    images = waves(shape)
    assert next(iter(metrics.image_quality(images)(replay(images), None))) == name


def test_image_quality_takes_other_features():
    images = waves((20, 8, 8, 1))
    result = metrics.image_quality(images, features=lambda x: x.mean((1, 2)))(replay(images + 0.5), None)
    assert result["frechet1"] == pytest.approx(0.25, abs=1e-10)


# Mistakes


def poisoned(value):
    rows = Y.copy()
    rows[3, 2] = value
    return rows


@pytest.mark.parametrize("metric", [metrics.frechet_distance, metrics.kernel_distance, metrics.prdc])
@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (X[:1], Y, "at least . real examples, there are 1"),
        (X, Y[:1], "at least . fake examples, there are 1"),
        (X, poisoned(np.nan), "1 of 24 fake examples have NaN"),
        (poisoned(np.inf), Y, "1 of 24 real examples have NaN"),
        (X, Y[:, :5], "one width"),
        (X[0], Y[0], "two matrices"),
        (X[:, :0], Y[:, :0], "one width"),
    ],
)
def test_bad_features_are_one_clear_line(metric, real, fake, says):
    with pytest.raises(UserError, match=says) as error:
        metric(real, fake)
    assert "\n" not in str(error.value)


def test_prdc_refuses_what_it_cannot_answer():
    with pytest.raises(UserError, match="at least 6 fake examples, there are 5"):
        metrics.prdc(X, Y[:5], k=5)
    with pytest.raises(UserError, match="k=0"):
        metrics.prdc(X, Y, k=0)
    with pytest.raises(UserError, match="ties='loose'"):
        metrics.prdc(X, Y, ties="loose")


def test_image_quality_refuses_bad_images(digits):
    held_out, other = digits
    with pytest.raises(UserError, match="more than 5 held-out images and samples, not 898 and 5"):
        metrics.image_quality(held_out, count=5)
    with pytest.raises(UserError, match="float images"):
        metrics.image_quality((held_out * 8 + 8).astype(np.uint8))
    with pytest.raises(UserError, match=r"expected samples of shape \(898, 8, 8, 1\)"):
        metrics.image_quality(held_out)(replay(other[:, :4]), None)
    with pytest.raises(UserError, match="1 of 898 fake examples have NaN"):
        metrics.image_quality(held_out)(replay(np.concatenate([other[:897], np.full((1, 8, 8, 1), np.nan)])), None)
