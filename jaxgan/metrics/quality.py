"""The loop's measure of an image generator: several distances to held-out images at once."""

import numpy as np

from jaxgan.metrics.features import paired, pixels
from jaxgan.metrics.frechet import frechet_distance
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.prdc import prdc
from jaxgan.types import Metric, UserError

NEIGHBOURS = 5


def image_quality(held_out, count=None, features=pixels) -> Metric:
    """Measures samples against images that training never saw.

    No one number suffices: a Gaussian with the right mean and covariance has a small Frechet distance, a handful of perfect
    images full precision. Read them together, and compare only values with the same held-out set and count.

    Args:
        held_out: float images `[n, height, width, channels]` in [-1, 1], n > 5. Time and not memory grows with n (n + count):
            some thousand suffice.
        count: samples drawn for each measurement; by default n.
        features: `images -> [n, d]`.

    Returns:
        `(sample, key) -> {name: float}`: first the Frechet distance, whose name is `frechet_name(features, d)`, then "kid",
        "precision", "recall", "density" and "coverage" (k = 5, strict). `sample(key, count)` gives images like `held_out`.

    Raises:
        UserError: too few held-out images or samples, samples of another shape, or NaN features.
    """
    held_out = np.asarray(held_out)
    shape = held_out.shape[1:]
    count = len(held_out) if count is None else count
    if min(count, len(held_out)) <= NEIGHBOURS:
        given = f"{len(held_out)} and {count}"
        raise UserError(f"image quality needs more than {NEIGHBOURS} held-out images and samples, not {given}")
    real = features(held_out)
    paired(real, real)  # refuses unusable held-out features before training starts
    name = frechet_name(features, real.shape[1])

    def metric(sample, key):
        images = np.asarray(sample(key, count))
        if images.shape != (count, *shape):
            raise UserError(f"expected samples of shape {(count, *shape)} like the held-out images, got {images.shape}")
        fake = features(images)
        return {name: frechet_distance(real, fake), "kid": kernel_distance(real, fake), **prdc(real, fake, NEIGHBOURS)}

    return metric


def frechet_name(features, dimension) -> str:
    """What to call a Frechet distance so that nobody takes it for Inception FID.

    "fid64" is kept for the 64 pixels of an 8 x 8 grey image, as ground truth and README use it; it is not pytorch-fid's
    `--dims 64`. Any other features give "frechet192" (8 x 8 colour pixels) and so on, by their number.
    """
    return "fid64" if features is pixels and dimension == 64 else f"frechet{dimension}"
