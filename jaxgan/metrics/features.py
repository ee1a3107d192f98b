"""What metrics see of an example: a row of float64 features."""

import numpy as np

from jaxgan.types import UserError

BLOCK = 2**22  # float64 entries of a distance or kernel matrix held at a time: 32 MiB


def pixels(images, size=8) -> np.ndarray:
    """Averages images down to at most `size` x `size` and lays the result out in rows.

    Each output pixel is the exact mean of the area it covers, also where `size` does not divide the image; an image no larger
    than `size` keeps its pixels bit for bit. Distances on these features judge coarse shape and tone, not perception.

    Args:
        images: floats `[n, height, width, channels]`, by convention in [-1, 1].
        size: most rows and columns kept.

    Returns:
        float64 `[n, rows * columns * channels]`: 64 features for 8 x 8 grey digits.

    Raises:
        UserError: `images` has another rank, or holds integers.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype.kind in "iub":
        raise UserError(f"pixel features need float images [n, height, width, channels], not {images.dtype} {images.shape}")
    count, height, width, channels = images.shape
    down, across = _area_average(height, size), _area_average(width, size)
    small = np.empty((count, len(down), len(across), channels))
    for rows in row_blocks(count, height * width * channels):
        small[rows] = np.einsum("ih,nhwc,jw->nijc", down, images[rows].astype(np.float64), across, optimize=True)
    return small.reshape(count, -1)


def _area_average(length, size):
    """The matrix `[min(size, length), length]` whose row i weighs input pixels by their overlap with output pixel i."""
    size = min(size, length)
    out, into = np.arange(size)[:, None], np.arange(length)  # in units of 1/size input pixels, so overlaps are integers
    overlap = np.minimum((out + 1) * length, (into + 1) * size) - np.maximum(out * length, into * size)
    return np.maximum(overlap, 0) / length


def as_images(images, what="images") -> np.ndarray:
    """Gives images as metrics take them, or says what keeps them from being that.

    Args:
        images: floats `[n, height, width, channels]` in [-1, 1]; half a grey level more is rounding.
        what: what the complaint calls them.

    Raises:
        UserError: another rank or type, NaN or infinite pixels, or another range.
    """
    images = np.asarray(images)
    if images.ndim != 4 or 0 in images.shape or images.dtype.kind in "iub":
        raise UserError(f"{what} must be float images [n, height, width, channels] in [-1, 1], not {images.dtype} {images.shape}")
    bad = len(images) - np.isfinite(images).all(axis=(1, 2, 3)).sum()
    if bad:
        raise UserError(f"{bad} of {len(images)} {what} have NaN or infinite pixels")
    low, high = images.min(), images.max()
    if max(-low, high) > 1 + 1 / 255:
        raise UserError(f"{what} must lie in [-1, 1], not go from {low:.4g} to {high:.4g}; for 0 to 255: images / 127.5 - 1")
    return images


def paired(real, fake, least=2) -> tuple[np.ndarray, np.ndarray]:
    """Checks two feature arrays against each other and returns them as float64.

    Args:
        real: features of real examples, `[n, d]`.
        fake: features of generated examples, `[m, d]`.
        least: how many rows the metric needs in each.

    Raises:
        UserError: not two matrices of one width, fewer rows than `least`, or a NaN or infinite feature.
    """
    real, fake = checked(real, fake, least)
    return real.astype(np.float64, copy=False), fake.astype(np.float64, copy=False)


def checked(real, fake, least=2) -> tuple[np.ndarray, np.ndarray]:
    """Does what `paired` does, but leaves the numbers' type: half the memory, where float64 is made block by block."""
    real, fake = np.asarray(real), np.asarray(fake)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or real.shape[1] == 0:
        raise UserError(f"features must be two matrices [n, d] of one width d, not {real.shape} (real) and {fake.shape} (fake)")
    for name, rows in (("real", real), ("fake", fake)):
        if len(rows) < least:
            raise UserError(f"this metric needs at least {least} {name} examples, there are {len(rows)}")
        bad = len(rows) - np.isfinite(rows).all(axis=1).sum()
        if bad:
            raise UserError(f"{bad} of {len(rows)} {name} examples have NaN or infinite features")
    return real, fake


def row_blocks(rows, columns):
    """Yields slices of `range(rows)` such that a block `[slice, columns]` holds at most `BLOCK` numbers, or one row."""
    step = max(1, BLOCK // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))
