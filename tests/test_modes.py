"""Mode coverage, duplicates and support against ground truth B9, closed forms and forced collapse (requirement A7.1)."""

import json
import math

import numpy as np
import pytest

from jaxgan import metrics
from jaxgan.data import toys
from jaxgan.metrics import features
from jaxgan.types import UserError

RING, GRID = toys.ring_modes(), toys.grid_modes()
INDEX = np.arange(200)
NOISE = np.stack([np.sin(1.0 + INDEX * INDEX), np.cos(2.0 + 3 * INDEX * INDEX)], axis=1)
RING_POINTS = RING.centres[(INDEX % 7) * (INDEX % 3) % 8] + 0.035 * NOISE
GRID_POINTS = GRID.centres[7 * INDEX % 22] + 0.18 * NOISE
NAMES = ["mode_kl", "modes", "high_quality", "reverse_kl", "reverse_kl_all", "duplicates"]


def perfect(mixture, count, rng, kept=slice(None)):
    """Points of the mixture, or of some of its modes only."""
    centres = mixture.centres[kept]
    return centres[rng.integers(len(centres), size=count)] + mixture.sigma * rng.standard_normal((count, 2))


def measured(mixture, points):
    return metrics.mode_quality(*mixture, count=len(points))(lambda key, count: points, None)


# Mode coverage


@pytest.mark.parametrize(
    ("mixture", "points", "modes", "high_quality", "reverse_kl", "reverse_kl_all"),
    [
        (RING, RING_POINTS, 7, 0.29, 0.5477865510656015, 0.5099985628283229),
        (GRID, GRID_POINTS, 21, 0.265, 0.2529147779779111, 0.12831908722216606),
    ],
)
def test_mode_coverage_vectors(mixture, points, modes, high_quality, reverse_kl, reverse_kl_all):
    result = metrics.mode_coverage(points, *mixture)
    assert list(result) == ["modes", "high_quality", "reverse_kl", "reverse_kl_all", "mode_kl"]
    assert list(result.values())[:4] == pytest.approx([modes, high_quality, reverse_kl, reverse_kl_all], abs=1e-12)
    assert type(result["modes"]) is int


def test_captured_asks_for_that_many_good_points_in_a_mode():
    """The ring vector has 28, 1, 10, 4, 6, 3, 6 and 0 of them."""
    found = [metrics.mode_coverage(RING_POINTS, *RING, captured=least)["modes"] for least in (1, 2, 3, 4, 5, 10, 11, 28, 29)]
    assert found == [7, 6, 6, 5, 4, 2, 1, 1, 0]


@pytest.mark.parametrize(
    ("mixture", "kept", "expected"),
    [
        (RING, 8, 0.0),
        (RING, 4, 0.6931471805599453),
        (RING, 1, 2.0794415416798357),
        (GRID, 25, 0.0),
        (GRID, 1, 3.2188758248682006),
    ],
)
def test_some_modes_covered_equally_have_the_logarithm_of_their_share(mixture, kept, expected):
    result = metrics.mode_coverage(mixture.centres[:kept].repeat(3, axis=0), *mixture)
    assert result["modes"] == kept and result["high_quality"] == 1
    assert result["reverse_kl"] == result["reverse_kl_all"] == pytest.approx(expected, abs=1e-12)
    assert result["reverse_kl"] >= 0


@pytest.mark.parametrize(("dimension", "ceiling"), [(1, 0.9973002039367398), (2, 0.9888910034617577)])
def test_high_quality_of_a_perfect_sampler_is_its_ceiling(dimension, ceiling):
    count, rng = 100_000, np.random.default_rng(0)
    centres = np.full((3, dimension), [[-1.0], [0.0], [1.0]])
    points = centres[rng.integers(3, size=count)] + 0.05 * rng.standard_normal((count, dimension))
    result = metrics.mode_coverage(points, centres, 0.05)
    assert result["high_quality"] == pytest.approx(ceiling, abs=4 * math.sqrt(ceiling * (1 - ceiling) / count))


@pytest.mark.parametrize(("mixture", "floor"), [(RING, 0.0014), (GRID, 0.0048)])
def test_reverse_kl_of_a_perfect_sampler_is_the_plug_in_floor(mixture, floor):
    """2 n KL has a chi-squared law of K - 1 degrees of freedom, so one value spreads by floor sqrt(2 / (K - 1))."""
    rng, repeats = np.random.default_rng(1), 50
    results = [metrics.mode_coverage(perfect(mixture, 2500, rng), *mixture) for _ in range(repeats)]
    spread = 4 * floor * math.sqrt(2 / (len(mixture.centres) - 1) / repeats)
    assert np.mean([result["reverse_kl_all"] for result in results]) == pytest.approx(floor, abs=spread)
    assert np.mean([result["reverse_kl"] for result in results]) == pytest.approx(floor / 0.98889, abs=spread)
    assert all(result["modes"] == len(mixture.centres) for result in results)


def test_without_any_good_point_reverse_kl_is_that_of_a_single_one():
    far = np.array([[9.0, 9.0], [-9.0, 9.0], [0.0, -9.0]])
    assert metrics.mode_coverage(far, *RING) == {
        "modes": 0,
        "high_quality": 0.0,
        "reverse_kl": pytest.approx(math.log(8), abs=1e-15),
        "reverse_kl_all": pytest.approx(math.log(8 / 3), abs=1e-12),
        "mode_kl": pytest.approx(4.5, abs=1e-12),
    }
    single = metrics.mode_coverage(np.concatenate([far, RING.centres[:1]]), *RING)
    assert single["modes"] == 1 and single["reverse_kl"] == pytest.approx(math.log(8), abs=1e-12)


def test_rounding_leaves_no_negative_reverse_kl():
    """In doubles 49 (1/49) < 1."""
    centres = np.arange(49.0)[:, None]
    assert metrics.mode_coverage(centres, centres, 0.01)["reverse_kl"] == 0


def test_the_three_sigma_edge_is_outside():
    centre = np.zeros((1, 2))
    assert metrics.mode_coverage(np.array([[3.0, 0.0]]), centre, 1)["high_quality"] == 0
    assert metrics.mode_coverage(np.array([[2.999, 0.0]]), centre, 1)["high_quality"] == 1


# Duplicates and support


def test_duplicate_rate_by_hand():
    x = np.array([[0.0], [1.0], [2.0], [5.0], [5.0], [9.0]])
    assert metrics.duplicate_rate(x, 0) == 2 / 6
    assert metrics.duplicate_rate(x, 0.99) == 2 / 6
    assert metrics.duplicate_rate(x, 1) == 5 / 6
    assert metrics.duplicate_rate(x, 4) == 1
    assert metrics.duplicate_rate(x[2:4], 2.9) == 0


def test_birthday_support_by_hand():
    x = np.array([0, 0, 0, 1, 1, 2])[:, None]
    assert metrics.birthday_support(x, 0) == 15 / 4  # 15 pairs, 3 + 1 of them alike
    assert metrics.birthday_support(x, 1) == 15 / 12  # all but the three pairs of 0 and 2
    assert metrics.birthday_support(x, 2) == 1
    assert metrics.birthday_support(x[2:4], 0.5) == math.inf


def test_birthday_support_of_a_uniform_law_is_its_size():
    """4,000 near-duplicate pairs leave a relative error of 1.6 %."""
    rng = np.random.default_rng(2)
    x = rng.integers(500, size=2000)[:, None] + rng.uniform(-0.1, 0.1, (2000, 3))
    assert metrics.birthday_support(x, 0.5) == pytest.approx(500, rel=4 / math.sqrt(4000))


def test_inverse_of_birthday_support_is_unbiased_in_small_batches():
    """300 batches of 60 hold some 1,060 pairs; batches without one count as 1/infinity."""
    rng = np.random.default_rng(3)
    inverse = [1 / metrics.birthday_support(rng.integers(500, size=(60, 1)), 0.5) for _ in range(300)]
    assert 0 in inverse
    assert np.mean(inverse) == pytest.approx(1 / 500, rel=4 / math.sqrt(1060))


def test_birthday_support_of_an_uneven_law_is_its_effective_size():
    """Half the mass on one of 101 values: 1 / (1/4 + 100 / 200^2) = 3.96, and never more than 101."""
    rng = np.random.default_rng(4)
    x = np.where(rng.random(2000) < 0.5, 0, rng.integers(1, 101, size=2000))[:, None]
    assert metrics.birthday_support(x, 0.5) == pytest.approx(1 / (1 / 4 + 100 / 200**2), rel=0.1)


def test_23_people_share_a_birthday_with_even_odds():
    rng, batches = np.random.default_rng(5), 1500
    shared = np.mean([metrics.duplicate_rate(rng.integers(365, size=(23, 1)), 0) > 0 for _ in range(batches)])
    exact = 1 - np.prod(1 - np.arange(23) / 365)
    assert exact == pytest.approx(0.5073, abs=1e-4)
    assert shared == pytest.approx(exact, abs=4 * math.sqrt(0.25 / batches))


def test_results_do_not_depend_on_the_block_size(monkeypatch):
    def everything():
        rate, support = metrics.duplicate_rate(GRID_POINTS, 0.1), metrics.birthday_support(GRID_POINTS, 0.1)
        return metrics.mode_coverage(GRID_POINTS, *GRID), rate, support

    whole = everything()
    assert 0 < whole[1] < 1 < whole[2] < math.inf
    monkeypatch.setattr(features, "BLOCK", 1100)  # 44 rows against the centres and 5 against the points at a time
    assert everything() == whole


# The loop's metric


def test_mode_quality_puts_what_decides_first_and_is_fit_for_json():
    result = measured(RING, RING_POINTS.astype(np.float32))
    assert list(result) == NAMES
    expected = metrics.mode_coverage(RING_POINTS.astype(np.float32), *RING)
    assert {name: result[name] for name in expected} == expected
    nothing = measured(RING, np.full((4, 2), 99.0) + np.arange(4)[:, None])
    assert nothing["modes"] == nothing["high_quality"] == nothing["duplicates"] == 0
    for values in (result, nothing):
        assert all(type(value) in (int, float) for value in values.values())
        assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_mode_quality_asks_for_count_samples_with_the_given_key():
    asked = []

    def sample(key, count):
        asked.append((key, count))
        return RING_POINTS[:count]

    metrics.mode_quality(*RING, count=100)(sample, "key")
    assert asked == [("key", 100)]


def test_mode_quality_sees_collapse():
    rng = np.random.default_rng(6)
    whole, half = measured(RING, perfect(RING, 2500, rng)), measured(RING, perfect(RING, 2500, rng, slice(4)))
    single, copies = measured(RING, perfect(RING, 2500, rng, slice(1))), measured(RING, np.tile(RING_POINTS[:1], (2500, 1)))
    assert [result["modes"] for result in (whole, half, single)] == [8, 4, 1]
    assert whole["reverse_kl_all"] < 0.005 < 0.69 < half["reverse_kl_all"] < 0.70 < 2.07 < single["reverse_kl_all"]
    assert min(result["high_quality"] for result in (whole, half, single)) > 0.98
    # 2500 / 40000 K, where pairs come as rarely as a Poisson count of 10
    assert whole["duplicates"] == pytest.approx(2500 / 40_000 / 8, abs=4 * math.sqrt(10) * 2 / 2500)
    assert whole["duplicates"] < half["duplicates"] < single["duplicates"] < copies["duplicates"] == 1


def test_reverse_kl_of_all_points_is_blind_to_quality_which_the_others_see():
    """A round cloud about the middle of the ring: an untrained generator may look like that."""
    rng = np.random.default_rng(7)
    cloud = measured(RING, 0.2 * rng.standard_normal((2500, 2)))
    assert cloud["reverse_kl_all"] < 0.005
    assert cloud["high_quality"] < 0.01 and cloud["modes"] < 8 and cloud["reverse_kl"] > 1 and cloud["mode_kl"] > 4


def test_mode_kl_of_a_perfect_sampler_is_small_and_of_copied_centres_the_missing_tails():
    rng = np.random.default_rng(8)
    values = [metrics.mode_coverage(perfect(GRID, 2500, rng), *GRID)["mode_kl"] for _ in range(50)]
    assert np.mean(values) == pytest.approx(25 / 5000, abs=4 * 25 / 5000 * math.sqrt(2 / 25 / 50))
    assert metrics.mode_coverage(GRID.centres, *GRID)["mode_kl"] == pytest.approx(-math.log(1 - math.exp(-4.5)), abs=1e-12)


# Mistakes


def poisoned(value):
    points = RING_POINTS.copy()
    points[3, 1] = value
    return points


def one_line(says):
    return pytest.raises(UserError, match=rf"\A[^\n]*{says}[^\n]*\Z")


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (RING_POINTS[0], r"points must be a matrix \[n, d\], not of shape \(2,\)"),
        (RING_POINTS[:, :0], r"not of shape \(200, 0\)"),
        (RING_POINTS[:0], "at least 1 points are needed, there are 0"),
        (RING_POINTS[:, :1], r"points \(200, 1\) and centres \(8, 2\) have different dimensions"),
        (poisoned(np.nan), "1 of 200 points are NaN or infinite"),
        (poisoned(-np.inf), "1 of 200 points are NaN or infinite"),
    ],
)
def test_bad_points_are_one_clear_line(points, says):
    with one_line(says):
        metrics.mode_coverage(points, *RING)


@pytest.mark.parametrize(
    ("centres", "sigma", "says"),
    [
        (RING.centres, 0, "sigma=0: give one standard deviation above 0"),
        (RING.centres, -0.01, "sigma=-0.01"),
        (RING.centres, np.nan, "sigma=nan"),
        (RING.centres, np.inf, "sigma=inf"),
        (RING.centres, np.ones((8, 2)), r"sigma of shape \(8, 2\): give one standard deviation"),
        (RING.centres[:0], 0.01, "at least 1 centres are needed, there are 0"),
        (RING.centres[0], 0.01, "centres must be a matrix"),
        (poisoned(np.nan), 0.01, "1 of 200 centres are NaN"),
    ],
)
def test_bad_mixtures_are_one_clear_line_before_training_starts(centres, sigma, says):
    with one_line(says):
        metrics.mode_coverage(RING_POINTS, centres, sigma)
    with one_line(says):
        metrics.mode_quality(centres, sigma)


@pytest.mark.parametrize("metric", [metrics.duplicate_rate, metrics.birthday_support])
@pytest.mark.parametrize(
    ("x", "tolerance", "says"),
    [
        (RING_POINTS[:1], 0.1, "at least 2 samples are needed, there are 1"),
        (RING_POINTS[None], 0.1, r"samples must be a matrix \[n, d\], not of shape \(1, 200, 2\)"),
        (poisoned(np.nan), 0.1, "1 of 200 samples are NaN"),
        (RING_POINTS, -1, "tolerance=-1: give a distance of 0 or more"),
        (RING_POINTS, np.nan, "tolerance=nan"),
        (RING_POINTS, np.inf, "tolerance=inf"),
    ],
)
def test_bad_samples_are_one_clear_line(metric, x, tolerance, says):
    with one_line(says):
        metric(x, tolerance)


def test_other_mistakes_are_one_clear_line():
    with one_line("captured=0"):
        metrics.mode_coverage(RING_POINTS, *RING, captured=0)
    with one_line("count=1: draw at least 2"):
        metrics.mode_quality(*RING, count=1)
    with one_line(r"expected samples of shape \(200, 2\) to compare with the modes, got \(200, 1\)"):
        measured(RING, RING_POINTS[:, :1])
    with one_line("1 of 200 points are NaN"):
        measured(RING, poisoned(np.nan))
