"""How far samples are from each other, from data, and along a path of latents."""

import numpy as np
from scipy.spatial.distance import cdist

from jaxgan import latents, transport
from jaxgan.metrics.features import paired, row_blocks
from jaxgan.types import UserError

STEP = 1e-4
OUTLIERS = 0.01  # share of paths left out at either end


def sliced_wasserstein(real, fake, directions=128, p=1.0, seed=0) -> float:
    """Averages Wasserstein distances over projections of features onto random lines.

    It needs no Gaussian fit and no kernel. It is biased upwards in small samples: compare only at one count, with the same
    directions. The mean over directions has a sampling error, too, which falls like 1 / sqrt(directions).

    Args:
        real: `[n, d]`, n >= 2.
        fake: `[m, d]`, m >= 2.
        directions: lines, >= 1, evenly distributed.
        p: at least 1.
        seed: of the directions.

    Returns:
        Non-negative; 0 for equal sets.

    Raises:
        UserError: fewer than two rows, NaN features, different widths, directions < 1 or p < 1.

    Reference:
        `transport.sliced`; for images, Karras et al., 2018, section 5 (https://arxiv.org/abs/1710.10196).
    """
    real, fake = paired(real, fake)
    if directions < 1:
        raise UserError(f"directions={directions}: use at least 1")
    lines = np.random.default_rng(seed).standard_normal((directions, real.shape[1]))
    return transport.sliced(real, fake, lines, p)


def diversity(features) -> float:
    """Mean distance between different samples, in the space of the features: with a perceptual network's, in the way of LPIPS.

    All pairs count. It rises with noise as with variety, so compare with real examples'; it is unbiased in the number of samples.

    Args:
        features: `[n, d]`, n >= 2.

    Returns:
        Non-negative, in the features' units (Euclidean); 0 where all samples are the same.

    Raises:
        UserError: fewer than two rows, or NaN features.

    Reference:
        Zhu et al., 2017, section 5 (https://arxiv.org/abs/1711.11586).
    """
    features, _ = paired(features, features)
    total = sum(cdist(features[rows], features).sum() for rows in row_blocks(len(features), len(features)))
    return float(total / (len(features) * (len(features) - 1)))


def perceptual_path_length(features_at, start, end, interpolate=latents.slerp, seed=0) -> float:
    """Measures how abruptly images change along paths of latents: the squared speed of their features.

    At a random point of each path, two latents 1e-4 of the path apart are compared. Smooth is not good by itself: a constant
    generator has 0. The lowest and highest hundredth of paths are left out, as in the source's code.

    Args:
        features_at: `latents [n, size] -> features [n, d]`: the generator and then the extractor. Float32 features are exact
            enough while they change by much more than 1e-7 of themselves in 1e-4 of a path.
        start: latents `[n, size]`.
        end: latents `[n, size]`.
        interpolate: `latents.slerp` for normal latents, `latents.lerp` for those of a mapping network.
        seed: of the points.

    Returns:
        Non-negative, in the features' squared units, for a whole path.

    Raises:
        UserError: latents of two shapes, or NaN features.

    Reference:
        Karras et al., 2019, section 4.1 (https://arxiv.org/abs/1812.04948).
    """
    if np.ndim(start) != 2 or np.shape(start) != np.shape(end) or len(start) == 0:
        raise UserError(f"paths need latents [n, size] of one shape, not {np.shape(start)} and {np.shape(end)}")
    t = np.random.default_rng(seed).uniform(0, 1 - STEP, (len(start), 1))
    here, there = paired(features_at(interpolate(start, end, t)), features_at(interpolate(start, end, t + STEP)), least=1)
    lengths = np.square(there - here).sum(1) / STEP**2
    low, high = np.quantile(lengths, [OUTLIERS, 1 - OUTLIERS])
    return float(lengths[(low <= lengths) & (lengths <= high)].mean())
