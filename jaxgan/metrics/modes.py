"""What a generator keeps of a mixture's modes, and how often it repeats itself: the measures of mode collapse."""

import math

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import gammaincc, xlogy

from jaxgan.metrics.features import row_blocks
from jaxgan.types import Metric, UserError

REACH = 3  # standard deviations around a centre that count as high quality
DUPLICATE = 0.01  # standard deviations between two points that count as one


def mode_coverage(points, centres, sigma, captured=1) -> dict[str, float]:
    """Judges points against a mixture of equally likely round Gaussians, by the mode each lies nearest to.

    A point is of high quality within 3 sigma of its nearest centre. A collapsed generator has high quality and few modes, a cloud
    of noise small reverse KL and little quality: read the numbers together, and compare them only at one sigma and one n.

    A perfect sampler reaches high quality 1 - exp(-9/2) = 98.889 % in two dimensions (99.73 % in one), so more than that in the
    plane means modes drawn too narrow. Its reverse KL is not 0 but on average (K - 1) / 2n for n points that are counted: at
    n = 2,500 it is 0.0014 on a ring of 8, 0.0048 on a grid of 25. Points spread evenly over m of the K modes have log(K / m).

    Args:
        points: finite generated points `[n, d]`, n >= 1.
        centres: the modes' `[K, d]`, K >= 1.
        sigma: > 0, standard deviation of every mode along each axis.
        captured: points of high quality that make a mode captured, >= 1.

    Returns:
        "modes": how many are captured, an int in [0, K].
        "high_quality": share of points of high quality, in [0, 1].
        "reverse_kl": KL(histogram over modes || uniform) of the points of high quality alone, PacGAN's convention, in
        [0, log K] nats. Without any such point it is log K, its largest value, which a single one would have, too.
        "reverse_kl_all": the same of all points, each counted to its nearest mode however far that is.
        "mode_kl": KL to a perfect sampler of the histogram over K + 1 cells, the points of high quality by mode and all others:
        it sees modes lost, uneven or blurred. About K / 2n for a perfect sampler; 4.5 in the plane where no point is good.

    Raises:
        UserError: shapes that do not match, no points or centres, NaN or infinite points, sigma <= 0, or captured < 1.

    Reference:
        Lin et al., 2018, section 4.1 (https://arxiv.org/abs/1712.04086).
    """
    centres = _mixture(centres, sigma)
    points = _finite_rows("points", points)
    if points.shape[1] != centres.shape[1]:
        raise UserError(f"points {points.shape} and centres {centres.shape} have different dimensions")
    if captured < 1:
        raise UserError(f"captured={captured}: a mode is captured with at least 1 point")
    nearest, distance = np.empty(len(points), int), np.empty(len(points))
    for rows in row_blocks(len(points), len(centres)):
        block = cdist(points[rows], centres)
        nearest[rows], distance[rows] = block.argmin(1), block.min(1)
    good = distance < REACH * sigma
    counts = np.bincount(nearest[good], minlength=len(centres))
    cells = np.append(counts, len(points) - counts.sum()) / len(points)
    outside = gammaincc(points.shape[1] / 2, REACH**2 / 2)
    perfect = np.append(np.full(len(centres), (1 - outside) / len(centres)), outside)
    return {
        "modes": int((counts >= captured).sum()),
        "high_quality": float(good.mean()),
        "reverse_kl": _reverse_kl(counts),
        "reverse_kl_all": _reverse_kl(np.bincount(nearest, minlength=len(centres))),
        "mode_kl": max(0.0, float(xlogy(cells, cells / perfect).sum())),
    }


def _reverse_kl(counts):
    """`sum_k p_k log(p_k K)` of the histogram p; where nothing was counted its upper bound, as nan and inf are not JSON."""
    cells, total = len(counts), counts.sum()
    if total == 0:
        return math.log(cells)
    share = counts / total
    return max(0.0, float(xlogy(share, share * cells).sum()))


def duplicate_rate(x, tolerance) -> float:
    """Finds the share of samples that have another one within a distance.

    It grows with the number of samples, for a perfect generator, too: compare only at one n and one tolerance.

    Args:
        x: samples or features of them, finite `[n, d]`, n >= 2.
        tolerance: Euclidean distance >= 0 up to which two samples count as one; 0 for exact copies only.

    Returns:
        In [0, 1].

    Raises:
        UserError: not a matrix of two or more finite rows, or a tolerance that is negative or not finite.
    """
    return float((_neighbours(x, tolerance) > 0).mean())


def birthday_support(x, tolerance) -> float:
    """Estimates by the birthday paradox how many distinct samples a generator has.

    Among N equally likely values, two draws agree with probability 1/N, and a batch of s holds a duplicate with even odds at
    s = 1.18 sqrt(N): a duplicate in most batches of s betrays a support of about s^2. Here every pair of the n samples votes:
    pairs over near-duplicate pairs. Its inverse is an unbiased estimate of the probability that two draws agree, and c
    near-duplicate pairs leave a relative error of about 1 / sqrt(c): n of several times sqrt(N) suffices, far fewer than N.

    Three assumptions. Samples are independent draws. The tolerance merges what looks alike and nothing else; for a continuous
    law the answer is the number of cells of about that size, and shrinks as they grow. All values are equally likely: otherwise
    the answer is 1 / sum p_i^2, at most the true support, as rare values hardly ever meet.

    Args:
        x: samples or features of them, finite `[n, d]`, n >= 2.
        tolerance: Euclidean distance >= 0 up to which two samples count as one.

    Returns:
        At least 1, which means all alike. Infinite without any near-duplicate: then the support is likely (95 %) above n^2 / 6.

    Raises:
        UserError: as `duplicate_rate`.

    Reference:
        Arora and Zhang, 2017 (https://arxiv.org/abs/1706.08224), who look for duplicates by eye among the nearest pairs.
    """
    agreeing = _neighbours(x, tolerance)
    ordered_pairs = len(agreeing) * (len(agreeing) - 1)
    return ordered_pairs / int(agreeing.sum()) if agreeing.any() else math.inf


def _neighbours(x, tolerance):
    """How many others lie within the tolerance of each row, int `[n]`."""
    x = _finite_rows("samples", x, least=2)
    if not 0 <= tolerance < math.inf:
        raise UserError(f"tolerance={tolerance}: give a distance of 0 or more")
    blocks = (cdist(x[rows], x) <= tolerance for rows in row_blocks(len(x), len(x)))
    return np.concatenate([block.sum(1) for block in blocks]) - 1  # each row finds itself


def mode_quality(centres, sigma, count=2500) -> Metric:
    """Measures a generator of points against the mixture it was to learn: `mode_coverage` and duplicates.

    Args:
        centres: the modes' `[K, d]`, K >= 1.
        sigma: > 0, standard deviation of every mode along each axis.
        count: samples drawn for each measurement, >= 2; the protocol has 2,500.

    Returns:
        `(sample, key) -> {name: number}`: "mode_kl", which decides the best checkpoint (lower is better), "modes",
        "high_quality", "reverse_kl", "reverse_kl_all", and "duplicates", the share with another within sigma / 100: in the plane
        about count / 40,000 K for a perfect sampler. `sample(key, count)` gives points `[count, d]`. All are finite.

    Raises:
        UserError: no centres, sigma <= 0 or count < 2; when measuring, samples of another shape, or NaN or infinite ones.
    """
    centres = _mixture(centres, sigma)
    if count < 2:
        raise UserError(f"count={count}: draw at least 2 samples, the protocol has 2500")
    shape = (count, centres.shape[1])

    def metric(sample, key):
        points = np.asarray(sample(key, count))
        if points.shape != shape:
            raise UserError(f"expected samples of shape {shape} to compare with the modes, got {points.shape}")
        found = mode_coverage(points, centres, sigma)
        first = {"mode_kl": found.pop("mode_kl")}
        return first | found | {"duplicates": duplicate_rate(points, DUPLICATE * sigma)}

    return metric


def _mixture(centres, sigma):
    if np.ndim(sigma):
        raise UserError(f"sigma of shape {np.shape(sigma)}: give one standard deviation for all modes and axes")
    if not 0 < sigma < math.inf:
        raise UserError(f"sigma={sigma}: give one standard deviation above 0")
    return _finite_rows("centres", centres)


def _finite_rows(name, rows, least=1):
    """Gives float64 `[n, d]`, or says what keeps it from being that."""
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise UserError(f"{name} must be a matrix [n, d], not of shape {rows.shape}")
    if len(rows) < least:
        raise UserError(f"at least {least} {name} are needed, there are {len(rows)}")
    bad = len(rows) - np.isfinite(rows).all(axis=1).sum()
    if bad:
        raise UserError(f"{bad} of {len(rows)} {name} are NaN or infinite")
    return rows
