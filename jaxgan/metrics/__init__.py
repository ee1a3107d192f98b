"""How good samples are: distances of float64 features `[n, d]` and of images to real ones, and what became of the modes."""

from jaxgan.metrics.features import pixels
from jaxgan.metrics.frechet import frechet_distance, frechet_from_moments
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.modes import birthday_support, duplicate_rate, mode_coverage, mode_quality
from jaxgan.metrics.prdc import prdc
from jaxgan.metrics.quality import image_quality

__all__ = [
    "birthday_support",
    "duplicate_rate",
    "frechet_distance",
    "frechet_from_moments",
    "image_quality",
    "kernel_distance",
    "mode_coverage",
    "mode_quality",
    "pixels",
    "prdc",
]
