"""Frechet distance between two sets of features, as it is, by class, and extrapolated to endless samples."""

import functools
import warnings
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.features import checked, row_blocks
from jaxgan.types import UserError


class Moments(NamedTuple):
    """What a Gaussian fit needs of rows that have passed.

    Attributes:
        count: rows seen.
        mean: float64 `[d]`.
        scatter: float64 `[d, d]`, sum of outer products of the rows' differences from their mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased: divides by count - 1, which must not be 0."""
        if self.count < 2:
            raise UserError("a covariance needs at least 2 examples")
        return self.scatter / (self.count - 1)


def moments(rows) -> Moments:
    """Sums up finite features `[n, d]`, n >= 1, in float64, a block at a time."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.size == 0:
        raise UserError(f"moments need features [n, d] of at least one example, not {rows.shape}")
    found = functools.reduce(merge_moments, (_moments(rows[block]) for block in row_blocks(*rows.shape)))
    if not np.isfinite(found.scatter).all():
        raise UserError("moments need features without NaN and infinite numbers")
    return found


def _moments(rows):
    rows = np.asarray(rows, np.float64)
    mean = rows.mean(0)
    centred = rows - mean
    return Moments(len(rows), mean, centred.T @ centred)


def merge_moments(a, b) -> Moments:
    """Joins the moments of two chunks, so that features need to pass only once.

    The result does not depend on how rows were cut into chunks but for rounding: no large numbers are subtracted.

    Reference:
        Chan, Golub and LeVeque, 1983, equation 2.1 (https://doi.org/10.1080/00031305.1983.10483115).
    """
    count = a.count + b.count
    shift = b.mean - a.mean
    scatter = a.scatter + b.scatter + np.outer(shift, shift * (a.count * b.count / count))
    return Moments(count, a.mean + shift * (b.count / count), scatter)


def frechet_distance(real, fake) -> float:
    """Squared 2-Wasserstein distance between Gaussians fitted to two sets of features.

    It is called FID when the features are those of the InceptionV3 FID network, and only then. It is biased upwards in small
    samples, so values at different sample counts must not be compared. Warns where either set has fewer than 2 d rows: its
    covariance is then mostly noise.

    Args:
        real: `[n, d]`, n >= 2.
        fake: `[m, d]`, m >= 2.

    Returns:
        Non-negative; 0 for equal means and covariances.

    Raises:
        UserError: fewer than two rows, NaN features, or different widths.

    Reference:
        Heusel et al., 2017, equation 6 (https://arxiv.org/abs/1706.08500); covariances divide by n - 1, as in its code.
    """
    real, fake = checked(real, fake)
    few, dimension = min(len(real), len(fake)), real.shape[1]
    if few < 2 * dimension:
        told = f"{few} examples for {dimension} features: this Frechet distance is biased upwards, use at least {2 * dimension}"
        warnings.warn(told, stacklevel=2)
    real, fake = moments(real), moments(fake)
    return frechet_from_moments(real.mean, real.covariance, fake.mean, fake.covariance)


def intra_class_frechet(real, real_labels, fake, fake_labels) -> dict[int, float]:
    """Frechet distance of each class, which sees what a generator loses within a class; their mean is the intra-class FID.

    Args:
        real: `[n, d]`, at least 2 rows of each class.
        real_labels: integers `[n]`.
        fake: `[m, d]`, at least 2 rows of each class.
        fake_labels: integers `[m]`, the classes that were asked for.

    Returns:
        Label to distance, in the order of labels.

    Raises:
        UserError: labels that do not fit their features, classes that differ, or what `frechet_distance` refuses.

    Reference:
        Miyato and Koyama, 2018, section 4.1 (https://arxiv.org/abs/1802.05637).
    """
    real, fake = checked(real, fake)
    real_labels, fake_labels = labels_of("real", real, real_labels), labels_of("fake", fake, fake_labels)
    classes = np.unique(real_labels)
    if not np.array_equal(classes, np.unique(fake_labels)):
        raise UserError(
            f"real labels {classes.tolist()} and fake labels {np.unique(fake_labels).tolist()} are not the same classes"
        )
    return {int(label): frechet_distance(real[real_labels == label], fake[fake_labels == label]) for label in classes}


def labels_of(name, rows, labels) -> np.ndarray:
    """Gives one integer for each row, or says what keeps them from being that."""
    labels = np.asarray(labels)
    if labels.shape != (len(rows),) or labels.dtype.kind not in "iu":
        raise UserError(f"{name} labels must be {len(rows)} integers, one for each example, not {labels.dtype} {labels.shape}")
    return labels


def frechet_infinity(real, fake, least, points=15, seed=0) -> float:
    """Extrapolates the Frechet distance to endlessly many generated examples.

    The bias falls like 1 / m with the number of fakes m, at a rate that depends on the generator, so that even at equal counts
    the distance can rank two generators wrongly. Subsets of several sizes give a line in 1 / m; its value at 0 is the answer.
    The bias of the real side stays: use one real set.

    Args:
        real: `[n, d]`, n >= 2; all of them are used.
        fake: `[m, d]`, m > least.
        least: size of the smallest subset, 5,000 in the paper; the largest is m, and sizes between are evenly spaced.
        points: sizes, >= 2.
        seed: of the subsets, drawn without replacement.

    Returns:
        Any number: near 0 it may be negative.

    Raises:
        UserError: least not in [2, m), points < 2, or what `frechet_distance` refuses.

    Reference:
        Chong and Forsyth, 2020, section 4 (https://arxiv.org/abs/1911.07023), with random subsets.
    """
    real, fake = checked(real, fake)
    if not (2 <= least < len(fake) and points >= 2):
        raise UserError(f"extrapolation needs 2 <= least < {len(fake)} fakes and points >= 2, not least={least}, points={points}")
    rng, reference = np.random.default_rng(seed), moments(real)
    factor = _factor(reference.covariance)
    sizes = np.linspace(least, len(fake), points).astype(int)
    subsets = (moments(fake[rng.choice(len(fake), size, replace=False)]) for size in sizes)
    distances = [_distance(reference.mean, reference.covariance, factor, subset.mean, subset.covariance) for subset in subsets]
    _, at_infinity = np.polyfit(1 / sizes, distances, 1)
    return float(at_infinity)


def frechet_from_moments(real_mean, real_cov, fake_mean, fake_cov) -> float:
    """Squared 2-Wasserstein distance between two Gaussians: `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^{1/2})`.

    With `S1 = F F^T`, `S1 S2` has the eigenvalues of the symmetric `F^T S2 F`, so the trace of its root is a sum of square roots
    of eigenvalues: real, and defined for singular covariances.

    Args:
        real_mean: `[d]`.
        real_cov: symmetric, positive semi-definite `[d, d]`.
        fake_mean: `[d]`.
        fake_cov: symmetric, positive semi-definite `[d, d]`.

    Reference:
        Dowson and Landau, 1982 (https://doi.org/10.1016/0047-259X(82)90077-X).
    """
    return _distance(real_mean, real_cov, _factor(real_cov), fake_mean, fake_cov)


def _distance(real_mean, real_cov, real_factor, fake_mean, fake_cov):
    overlap = _roots(np.linalg.eigvalsh(real_factor.T @ fake_cov @ real_factor)).sum()
    shift = np.subtract(real_mean, fake_mean)
    return max(0.0, float(shift @ shift + np.trace(real_cov) + np.trace(fake_cov) - 2 * overlap))


def _factor(covariance):
    """F with `F F^T = covariance`, by Cholesky, or by eigenvectors (a fiftieth of the speed) for a singular one."""
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return vectors * _roots(values)


def _roots(eigenvalues):
    """Square roots where an eigenvalue exceeds its rounding error, else 0: the root of the error, 1e-8, would be felt."""
    rounding = len(eigenvalues) * np.finfo(np.float64).eps * np.max(eigenvalues, initial=0)
    return np.sqrt(np.where(eigenvalues > rounding, eigenvalues, 0))
