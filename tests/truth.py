"""Formula arrays that ground-truth numbers were computed from."""

import numpy as np


def waves(shape, rate=1.0, offset=0.0):
    """`sin(rate (k + 1)^2 + offset)` over flat index k: deterministic, irregular numbers in [-1, 1], float64."""
    return np.sin(rate * (1.0 + np.arange(np.prod(shape))) ** 2 + offset).reshape(shape)
