"""Nearest neighbours, and precision and recall by them: float32 products must never decide what float64 differences would not."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxgan import metrics
from jaxgan.metrics import features, neighbours
from jaxgan.types import UserError


def plain_prdc(real, fake, k, ties):
    """The definitions over whole matrices of float64 distances."""
    within = np.less if ties == "strict" else np.less_equal
    real_radius, fake_radius = (np.partition(cdist(x, x, "sqeuclidean"), k, axis=1)[:, k] for x in (real, fake))
    distance = cdist(real, fake, "sqeuclidean")
    in_real, in_fake = within(distance, real_radius[:, None]), within(distance, fake_radius)
    values = in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()
    return dict(zip(("precision", "recall", "density", "coverage"), map(float, values)))


def clouds():
    """Sets that float32 products get wrong: ties, copies, near copies, offsets, scales far apart, one point only."""
    rng = np.random.default_rng(0)
    normal, other = rng.normal(size=(60, 5)), rng.normal(size=(70, 5))
    copies = normal[rng.integers(60, size=70)]
    return {
        "normal": (normal, other),
        "wide": (rng.normal(size=(60, 700)), rng.normal(size=(70, 700))),
        "lattice": (rng.integers(0, 4, (60, 3)), rng.integers(0, 4, (70, 3))),
        "copies": (normal, copies),
        "near copies": (normal, copies + 1e-9 * other),
        "offset": (normal + 1e7, other + 1e7),
        "outlier": (np.concatenate([1e-12 * normal, [[1e6] * 5]]), 1e-12 * other),
        "tiny": (1e-22 * normal, 1e-22 * copies),
        "vanishing": (1e-40 * normal, 1e-40 * other),
        "collapsed": (normal, np.broadcast_to(normal[3], other.shape)),
    }


@pytest.mark.parametrize("name", clouds())
@pytest.mark.parametrize("ties", ["strict", "inclusive"])
@pytest.mark.parametrize("block", [2**22, 500])
def test_prdc_equals_its_definition_exactly(monkeypatch, name, ties, block):
    monkeypatch.setattr(features, "BLOCK", block)
    real, fake = clouds()[name]
    for k in (1, 4):
        assert metrics.prdc(real, fake, k, ties) == plain_prdc(np.float64(real), np.float64(fake), k, ties)


@pytest.mark.parametrize("name", clouds())
def test_bounds_enclose_every_distance(name):
    real, fake = map(np.float64, clouds()[name])
    for rows, low, high in neighbours.bounds(real, fake):
        true = cdist(real[rows], fake, "sqeuclidean")
        assert low.dtype == high.dtype == np.float32
        assert (low <= true).all() and (true <= high).all()


@pytest.mark.parametrize("offset", [0, 1000])
def test_bounds_are_tight_at_the_size_of_inception_features(offset):
    """So that few distances need a second look."""
    x = np.random.default_rng(0).normal(size=(100, 2048)) + offset
    ((_, low, high),) = neighbours.bounds(x, x)
    apart = ~np.eye(100, dtype=bool)
    assert ((high - low)[apart] / high[apart]).max() < 1.1e-3


def test_prdc_needs_real_features_that_differ():
    with pytest.raises(UserError, match="all 9 real examples have the same features"):
        metrics.prdc(np.ones((9, 2)), np.zeros((9, 2)))


def test_features_too_large_for_float32_are_refused():
    with pytest.raises(UserError, match="too large: scale them down"):
        metrics.prdc(1e20 * np.eye(9), np.eye(9))


def test_nearest_neighbours_are_those_of_the_definition():
    rng = np.random.default_rng(1)
    training, samples = rng.integers(0, 3, (50, 4)), rng.integers(0, 3, (20, 4))  # many ties, and copies
    found = metrics.nearest_neighbours(samples, training, k=3)
    distance = cdist(samples, training)
    order = np.argsort(distance, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found.index, order)
    np.testing.assert_array_equal(found.distance, np.take_along_axis(distance, order, 1))
    assert (found.distance == 0).any()


def test_nearest_neighbours_betray_memorised_data():
    rng = np.random.default_rng(2)
    training, held_out = rng.normal(size=(200, 16)), rng.normal(size=(50, 16))
    copied = training[:50] + 0.01 * rng.normal(size=(50, 16))
    found = metrics.nearest_neighbours(copied, training)
    assert found.index[:, 0].tolist() == list(range(50))
    assert np.median(found.distance) < 0.05 * np.median(metrics.nearest_neighbours(held_out, training).distance)


def test_nearest_neighbours_of_the_training_set_are_itself():
    x = np.random.default_rng(3).normal(size=(30, 4))
    found = metrics.nearest_neighbours(x, x.copy())
    assert (found.distance == 0).all() and found.index[:, 0].tolist() == list(range(30))


@pytest.mark.parametrize(
    ("samples", "training", "k", "says"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), 3, "3 neighbours cannot be found among 2"),
        (np.ones((2, 3)), np.ones((2, 3)), 0, "k=0"),
        (np.ones((2, 3)), np.ones((2, 4)), 1, "one width"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), 1, "2 of 2 fake examples have NaN"),
        (np.ones((0, 3)), np.ones((2, 3)), 1, "at least 1 fake"),
    ],
)
def test_nearest_neighbours_refuse_mistakes(samples, training, k, says):
    with pytest.raises(UserError, match=says):
        metrics.nearest_neighbours(samples, training, k)
