"""Families of scores of images by name: measured all at once, for the loop, or by a stated protocol, for evaluation."""

import dataclasses
import difflib
import functools
import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.features import as_images, paired, pixels
from jaxgan.metrics.frechet import Moments, frechet_from_moments, frechet_infinity, intra_class_frechet, merge_moments, moments
from jaxgan.metrics.inception_score import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.labelled import classifier_accuracy_score
from jaxgan.metrics.neighbours import nearest_neighbours
from jaxgan.metrics.prdc import prdc
from jaxgan.metrics.similarity import WEIGHTS, pairwise_ms_ssim
from jaxgan.metrics.spread import Interval, bootstrap
from jaxgan.metrics.variety import diversity, sliced_wasserstein
from jaxgan.types import Metric, UserError

SPLITS = 10  # of the inception score
NEIGHBOURS = 5  # of precision, recall, density and coverage
DIRECTIONS = 128  # of the sliced Wasserstein distance
FIRST = 1_000  # images that are compared with each other, or with all training images
PAIRS = 100  # of images whose similarity is measured
SIZES = 15  # of sets of samples, from which the Frechet distance of endlessly many is told


@dataclasses.dataclass(frozen=True)
class Images:
    """A set of images that is read or generated a block at a time, as often as it is looked at.

    Attributes:
        name: where they are from.
        count: how many.
        blocks: gives an iterator of floats `[some, height, width, channels]` in [-1, 1].
        labels: integers `[count]`, or None.
    """

    name: str
    count: int
    blocks: Callable[[], Iterable[np.ndarray]]
    labels: np.ndarray | None = None

    def pick(self, rows: Sequence[int]) -> np.ndarray:
        """Gives the images of some rows, in the order of `rows`."""
        found, start = {}, 0
        for block in self.blocks():
            found |= {row: block[row - start] for row in rows if start <= row < start + len(block)}
            start += len(block)
            if start > max(rows):
                break
        return np.stack([found[row] for row in rows])

    @functools.cached_property
    def first(self) -> np.ndarray:
        """The first `FIRST` images, or all if there are fewer."""
        return self.pick(range(min(FIRST, self.count)))

    @functools.cached_property
    def told(self) -> str:
        """What a protocol says of these images: name, number and hash."""
        content = hashlib.sha256()
        for block in self.blocks():
            content.update(block.tobytes())
        return f"{self.name}, {self.count}, content {content.hexdigest()[:8]}"


class Seen(NamedTuple):
    """What an extractor made of a set of images.

    Attributes:
        images: the set.
        moments: of the features.
        rows: "features" `[count, d]`, and "probabilities" `[count, classes]` where the extractor is a classifier; empty where
            moments are enough.
    """

    images: Images
    moments: Moments
    rows: Mapping[str, np.ndarray]


class View(NamedTuple):
    """What a family of scores may look at.

    Attributes:
        real: real images.
        fake: generated ones.
        training: all images that the generator was trained on, where a family asks for them.
        path_length: computes the perceptual path length, where that is asked for.
    """

    real: Seen
    fake: Seen
    training: Seen | None = None
    path_length: Callable[[], float] | None = None

    @property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of features, real and generated."""
        return self.real.rows["features"], self.fake.rows["features"]


class Family(NamedTuple):
    """Scores that are measured together.

    Attributes:
        settings: what a protocol says of them.
        measure: gives scores by name.
        resampled: gives a metric of arrays and those arrays, for the bootstrap, where repeated rows do not upset the score that
            has the family's name.
    """

    settings: str
    measure: Callable[[View], Mapping[str, float]]
    resampled: Callable[[View], tuple] | None = None

    def interval(self, view: View, resamples: int, seed: int) -> Interval:
        """Lays a 95 % interval around the score that has the family's name."""
        metric, *arrays = self.resampled(view)
        return bootstrap(metric, *arrays, resamples=resamples, seed=seed)


def look(name: str, blocks: Iterable[np.ndarray], extract: Callable, by_row: bool) -> dict[str, np.ndarray]:
    """Passes images through an extractor once, a block at a time, and sums their features up in float64.

    Args:
        name: where the images are from.
        blocks: float images in [-1, 1], at least one.
        extract: `images -> {"features": [n, d], ...}`.
        by_row: keep rows, too; otherwise memory does not grow with the number of images.

    Returns:
        The fields of a `Moments` and, by row, what the extractor gives.

    Raises:
        UserError: no images in [-1, 1], or NaN features.
    """
    found, kept = [], []
    for block in blocks:
        seen = extract(as_images(block, f"images of {name}"))
        found = [functools.reduce(merge_moments, [*found, moments(seen["features"])])]
        kept.append(seen if by_row else {})
    return found[0]._asdict() | {part: np.concatenate([seen[part] for seen in kept]) for part in kept[0]}


def seen_of(images: Images, arrays: Mapping[str, np.ndarray]) -> Seen:
    """Puts in order what `look` gives of a set of images."""
    rows = {name: rows for name, rows in arrays.items() if name not in Moments._fields}
    return Seen(images, Moments(int(arrays["count"]), arrays["mean"], arrays["scatter"]), rows)


# The families, each by its name ------------------------------------------------------------------------------------------------


def _frechet(view):
    few, dimension = min(view.real.moments.count, view.fake.moments.count), len(view.real.moments.mean)
    if few < 2 * dimension:
        told = f"{few} examples for {dimension} features: this Frechet distance is biased upwards, use at least {2 * dimension}"
        warnings.warn(told, stacklevel=2)
    return {"frechet": _between(view.real.moments, view.fake.moments)}


def _between(real, fake):
    return frechet_from_moments(real.mean, real.covariance, fake.mean, fake.covariance)


def _inception_score(view):
    mean, spread = inception_score(view.fake.rows["probabilities"], SPLITS)
    return {"inception_score": mean, "inception_score_sd": spread}


def _diversity(view):
    real, fake = view.features
    return {"diversity": diversity(fake[:FIRST]), "diversity_real": diversity(real[:FIRST])}


def _ms_ssim(view):
    """Compares at as many scales as there is room for."""
    weights = WEIGHTS[: 1 + int(math.log2(min(view.real.images.first.shape[1:3])))]
    real, fake = (pairwise_ms_ssim(seen.images.first, PAIRS, weights=weights).mean for seen in (view.real, view.fake))
    return {"ms_ssim": fake, "ms_ssim_real": real}


def _frechet_infinity(view):
    real, fake = view.features
    least = max(len(fake) // 10, 2 * fake.shape[1])
    if least >= len(fake):
        raise UserError(f"frechet_infinity needs more than {least} samples for {fake.shape[1]} features; take more --samples")
    return {"frechet_infinity": frechet_infinity(real, fake, least, SIZES)}


def _intra_class(view):
    (real, fake), labels, asked = view.features, view.real.images.labels, view.fake.images.labels
    own = list(intra_class_frechet(real, labels, fake, asked).values())
    return {"intra_class_frechet": float(np.mean(own)), "intra_class_frechet_worst": max(own)}


def _classifier_accuracy(view):
    (real, fake), labels, asked = view.features, view.real.images.labels, view.fake.images.labels
    as_many, answers = view.training.rows["features"][: len(fake)], view.training.images.labels[: len(fake)]
    return {
        "classifier_accuracy": classifier_accuracy_score(fake, asked, real, labels),
        "classifier_accuracy_real": classifier_accuracy_score(as_many, answers, real, labels),
    }


def _memorisation(view):
    training = view.training.rows["features"]
    real, fake = (nearest_neighbours(rows[:FIRST], training).distance.mean() for rows in view.features)
    return {"nearest_training": float(fake), "nearest_training_held_out": float(real)}


FAMILIES = {
    "frechet": Family(
        "covariances divide by n - 1",
        _frechet,
        lambda view: (lambda real, fake: _between(moments(real), moments(fake)), *view.features),
    ),
    "kernel": Family(
        "cubic kernel, all pairs, unbiased",
        lambda view: {"kernel": kernel_distance(*view.features)},
        lambda view: (kernel_distance, *view.features),
    ),
    "prdc": Family(f"k = {NEIGHBOURS}, strict", lambda view: prdc(*view.features, NEIGHBOURS)),
    "inception_score": Family(
        f"{SPLITS} splits",
        _inception_score,
        lambda view: (lambda chances: inception_score(chances, SPLITS).mean, view.fake.rows["probabilities"]),
    ),
    "sliced_wasserstein": Family(
        f"W1 along {DIRECTIONS} directions",
        lambda view: {"sliced_wasserstein": sliced_wasserstein(*view.features, DIRECTIONS)},
        lambda view: (functools.partial(sliced_wasserstein, directions=DIRECTIONS), *view.features),
    ),
    "diversity": Family(f"all pairs of the first {FIRST}", _diversity),
    "ms_ssim": Family(f"{PAIRS} pairs of the first {FIRST}, as many scales as there is room for, 5 at most", _ms_ssim),
    "frechet_infinity": Family(
        f"{SIZES} sizes from a tenth of the samples, or twice the features, to all of them", _frechet_infinity
    ),
    "intra_class": Family("mean and worst of the classes' Frechet distances", _intra_class),
    "classifier_accuracy": Family("logistic regression on standardised features, tested on real images", _classifier_accuracy),
    "memorisation": Family(f"mean distance of the first {FIRST} to the nearest of all training images", _memorisation),
    "perceptual_path_length": Family(
        "without the lowest and highest hundredth", lambda view: {"perceptual_path_length": view.path_length()}
    ),
}


# The loop's measure -------------------------------------------------------------------------------------------------------------

DISTANCES = ("frechet", "kernel", "sliced_wasserstein")  # lower is better
IN_THE_LOOP = (*DISTANCES, "prdc", "diversity", "ms_ssim")


def image_quality(held_out, count=None, features=pixels, families: Sequence[str] = ("frechet", "kernel", "prdc")) -> Metric:
    """Measures samples against images that training never saw, whose features are computed once.

    No one number suffices: a Gaussian with the right mean and covariance has a small Frechet distance, a handful of perfect
    images full precision. Read them together, and compare only values with the same held-out set and count.

    Args:
        held_out: float images `[n, height, width, channels]` in [-1, 1], n > 5. Time and not memory grows with n (n + count):
            some thousand suffice.
        count: samples drawn for each measurement; by default n.
        features: `images -> [n, d]`.
        families: of `IN_THE_LOOP`, in order; the first decides the best checkpoint and so is one of `DISTANCES`.

    Returns:
        `(sample, key) -> {name: float}`. By default first the Frechet distance, whose name is `frechet_name(features, d)`, then
        "kid", "precision", "recall", "density" and "coverage" (k = 5, strict). `sample(key, count)` gives images like
        `held_out`.

    Raises:
        UserError: no or unknown families, a first one that is no distance, held-out images that are none, too few of them or of
            samples, samples of another shape, or NaN features.
    """
    for family in families:
        if family not in IN_THE_LOOP:
            near = difflib.get_close_matches(family, IN_THE_LOOP, n=1)
            hint = f"did you mean {near[0]}? Otherwise " if near else ""
            raise UserError(
                f"no score of images during training is called '{family}': {hint}choose from {', '.join(IN_THE_LOOP)}"
            )
    if not families or families[0] not in DISTANCES:
        raise UserError(f"the first score of images decides the best checkpoint: begin with one of {', '.join(DISTANCES)}")
    held_out = as_images(held_out, "held-out images")
    shape = held_out.shape[1:]
    count = len(held_out) if count is None else count
    if min(count, len(held_out)) <= NEIGHBOURS:
        given = f"{len(held_out)} and {count}"
        raise UserError(f"image quality needs more than {NEIGHBOURS} held-out images and samples, not {given}")

    def sight(images, beside=None):
        rows = features(images)
        paired(rows if beside is None else beside, rows)  # refuses unusable features
        return Seen(Images("samples", len(images), lambda: [images]), moments(rows), {"features": rows})

    real = sight(held_out)
    names = {"frechet": frechet_name(features, len(real.moments.mean)), "kernel": "kid"}

    def metric(sample, key):
        images = np.asarray(sample(key, count))
        if images.shape != (count, *shape):
            raise UserError(f"expected samples of shape {(count, *shape)} like the held-out images, got {images.shape}")
        view = View(real, sight(images, real.rows["features"]))
        found = {name: score for family in families for name, score in FAMILIES[family].measure(view).items()}
        return {names.get(name, name): score for name, score in found.items()}

    return metric


def frechet_name(features, dimension) -> str:
    """What to call a Frechet distance so that nobody takes it for Inception FID.

    "fid64" is kept for the 64 pixels of an 8 x 8 grey image, as ground truth and README use it; it is not pytorch-fid's
    `--dims 64`. Any other features give "frechet192" (8 x 8 colour pixels) and so on, by their number.
    """
    return "fid64" if features is pixels and dimension == 64 else f"frechet{dimension}"
