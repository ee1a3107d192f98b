"""How alike images are to each other: MS-SSIM."""

import numpy as np

from jaxgan.metrics.features import row_blocks
from jaxgan.metrics.spread import Spread
from jaxgan.types import UserError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
WINDOW, WIDTH = 11, 1.5  # pixels across the Gaussian window, and its standard deviation
LUMINANCE, CONTRAST = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # what keeps denominators from 0, for pixels that range over 2


def ms_ssim(a, b, weights=WEIGHTS) -> np.ndarray:
    """Compares pairs of images by local means, contrasts and structure at several scales.

    Contrast and structure count at every scale, luminance at the coarsest; between scales, images halve by averaging. Where a
    scale is smaller than the window of 11 pixels, the window shrinks to it. Negative correlation counts as none.

    Args:
        a: float images `[n, height, width, channels]` in [-1, 1].
        b: as many, of the same shape.
        weights: exponents of the scales, finest first; the source's five need 16 pixels, and `(1,)` is plain SSIM.

    Returns:
        `[n]` in [0, 1], the mean over channels; 1 for equal images.

    Raises:
        UserError: not float images in [-1, 1], of two shapes, or too small for the scales.

    Reference:
        Wang, Simoncelli and Bovik, 2003, equation 7 (https://doi.org/10.1109/ACSSC.2003.1292216).
    """
    a, b = _images(a), _images(b)
    if a.shape != b.shape:
        raise UserError(f"pairs of images must have one shape, not {a.shape} and {b.shape}")
    least = 2 ** (len(weights) - 1)
    if min(a.shape[1:3]) < least:
        raise UserError(
            f"{len(weights)} scales need images of at least {least} x {least}, not {a.shape[1:3]}: pass fewer weights"
        )
    blocks = row_blocks(len(a), 8 * a[0].size)
    return np.concatenate([_compare(a[rows].astype(np.float64), b[rows].astype(np.float64), weights) for rows in blocks])


def pairwise_ms_ssim(images, pairs=100, seed=0, weights=WEIGHTS) -> Spread:
    """MS-SSIM of random pairs of different images, commonly of one class: the higher, the less variety.

    It says nothing about quality. Compare with the same of real images.

    Args:
        images: as for `ms_ssim`, n >= 2.
        pairs: >= 1, 100 in the source.
        seed: of the pairs.
        weights: as for `ms_ssim`.

    Returns:
        Mean over pairs, in [0, 1], and their standard deviation.

    Raises:
        UserError: fewer than two images, pairs < 1, or what `ms_ssim` refuses.

    Reference:
        Odena et al., 2017, section 4.3 (https://arxiv.org/abs/1610.09585).
    """
    images = np.asarray(images)
    if len(images) < 2 or pairs < 1:
        raise UserError(f"similarity needs at least 2 images and 1 pair, not {len(images)} and {pairs}")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    return Spread.of(ms_ssim(images[first], images[second], weights))


def _compare(a, b, weights):
    score = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halved(a), _halved(b)
        luminance, structure = _local(a, b)
        kept = structure if scale < len(weights) - 1 else luminance * structure
        score = score * np.maximum(kept.mean((1, 2)), 0) ** weight
    return score.mean(-1)


def _local(a, b):
    """Maps of luminance and of contrast times structure."""
    down, across = _window(a.shape[1]), _window(a.shape[2])

    def blur(images):
        return np.einsum("ih,nhwc,jw->nijc", down, images, across, optimize=True)

    mean_a, mean_b = blur(a), blur(b)
    variances = blur(a * a + b * b) - mean_a**2 - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return luminance, (2 * covariance + CONTRAST) / (variances + CONTRAST)


def _window(length):
    """The matrix `[positions, length]` of a Gaussian at each place where it fits."""
    size = min(WINDOW, length)
    offsets = np.arange(length) - np.arange(length - size + 1)[:, None]
    weights = np.exp(-(((offsets - (size - 1) / 2) / WIDTH) ** 2) / 2) * ((offsets >= 0) & (offsets < size))
    return weights / weights.sum(1, keepdims=True)


def _halved(images):
    even = images[:, : images.shape[1] // 2 * 2, : images.shape[2] // 2 * 2]
    return (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4


def _images(images):
    images = np.asarray(images)
    if images.ndim != 4 or images.size == 0 or images.dtype.kind != "f":
        raise UserError(f"similarity needs float images [n, height, width, channels], not {images.dtype} {images.shape}")
    if not np.abs(images).max() <= 1:
        raise UserError(f"images must lie in [-1, 1], not reach from {images.min():.4g} to {images.max():.4g}")
    return images
