"""Frechet distance between two sets of features."""

import numpy as np

from jaxgan.metrics.features import paired


def frechet_distance(real, fake) -> float:
    """Squared 2-Wasserstein distance between Gaussians fitted to two sets of features.

    It is called FID when the features are those of the InceptionV3 FID network, and only then. It is biased upwards in small
    samples, so values at different sample counts must not be compared.

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
    real, fake = paired(real, fake)
    return frechet_from_moments(real.mean(0), _covariance(real), fake.mean(0), _covariance(fake))


def frechet_from_moments(real_mean, real_cov, fake_mean, fake_cov) -> float:
    """Squared 2-Wasserstein distance between two Gaussians: `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^{1/2})`.

    `S1 S2` is similar to the symmetric `S1^{1/2} S2 S1^{1/2}`, so the trace of its root is a sum of square roots of
    eigenvalues: real, and defined for singular covariances.

    Args:
        real_mean: `[d]`.
        real_cov: symmetric, positive semi-definite `[d, d]`.
        fake_mean: `[d]`.
        fake_cov: symmetric, positive semi-definite `[d, d]`.

    Reference:
        Dowson and Landau, 1982 (https://doi.org/10.1016/0047-259X(82)90077-X).
    """
    values, vectors = np.linalg.eigh(real_cov)
    root = vectors * _roots(values) @ vectors.T
    overlap = _roots(np.linalg.eigvalsh(root @ fake_cov @ root)).sum()
    shift = np.subtract(real_mean, fake_mean)
    return max(0.0, float(shift @ shift + np.trace(real_cov) + np.trace(fake_cov) - 2 * overlap))


def _covariance(rows):
    return np.atleast_2d(np.cov(rows, rowvar=False))


def _roots(eigenvalues):
    """Square roots where an eigenvalue exceeds its rounding error, else 0: the root of the error, 1e-8, would be felt."""
    rounding = len(eigenvalues) * np.finfo(np.float64).eps * np.max(eigenvalues, initial=0)
    return np.sqrt(np.where(eigenvalues > rounding, eigenvalues, 0))
