"""Distances between real and generated examples: pure functions of float64 features `[n, d]`, and of images."""

from jaxgan.metrics.features import pixels
from jaxgan.metrics.frechet import frechet_distance, frechet_from_moments
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.prdc import prdc
from jaxgan.metrics.quality import image_quality

__all__ = ["frechet_distance", "frechet_from_moments", "image_quality", "kernel_distance", "pixels", "prdc"]
