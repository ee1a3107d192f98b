"""How good samples are: distances of float64 features `[n, d]` and of images to real ones, and what became of the modes."""

from jaxgan.metrics.features import pixels
from jaxgan.metrics.frechet import (
    Moments,
    frechet_distance,
    frechet_from_moments,
    frechet_infinity,
    intra_class_frechet,
    merge_moments,
    moments,
)
from jaxgan.metrics.inception_score import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.labelled import ClassQuality, class_quality, classifier_accuracy_score, label_agreement
from jaxgan.metrics.modes import birthday_support, duplicate_rate, mode_coverage, mode_quality
from jaxgan.metrics.neighbours import Neighbours, nearest_neighbours
from jaxgan.metrics.prdc import prdc
from jaxgan.metrics.quality import image_quality
from jaxgan.metrics.similarity import ms_ssim, pairwise_ms_ssim
from jaxgan.metrics.spread import Interval, Spread, bootstrap
from jaxgan.metrics.variety import diversity, perceptual_path_length, sliced_wasserstein

__all__ = [
    "ClassQuality",
    "Interval",
    "Moments",
    "Neighbours",
    "Spread",
    "birthday_support",
    "bootstrap",
    "class_quality",
    "classifier_accuracy_score",
    "diversity",
    "duplicate_rate",
    "frechet_distance",
    "frechet_from_moments",
    "frechet_infinity",
    "image_quality",
    "inception_score",
    "intra_class_frechet",
    "kernel_distance",
    "label_agreement",
    "merge_moments",
    "mode_coverage",
    "mode_quality",
    "moments",
    "ms_ssim",
    "nearest_neighbours",
    "pairwise_ms_ssim",
    "perceptual_path_length",
    "pixels",
    "prdc",
    "sliced_wasserstein",
]
