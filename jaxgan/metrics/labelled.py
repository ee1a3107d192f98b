"""Whether samples are what they were asked to be, and whether they can stand in for labelled data."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jaxgan.metrics.features import as_images, paired
from jaxgan.metrics.frechet import labels_of
from jaxgan.metrics.prdc import prdc
from jaxgan.metrics.variety import diversity
from jaxgan.types import Metric, UserError

ITERATIONS = 10_000
NEIGHBOURS = 5  # of a class's recall


class ClassQuality(NamedTuple):
    """How good the samples of one class are.

    Attributes:
        agreement: share of them that a classifier names as it was asked for.
        recall: share of the class's real examples that lie among them: variety that is there.
        diversity: mean distance between two of them, over that between two real examples of the class. Below 1 where variety is
            lost, above it also where classes are mixed up.
    """

    agreement: float
    recall: float
    diversity: float


def class_quality(real, real_labels, fake, asked, named) -> dict[int, ClassQuality]:
    """Judges samples class by class. Agreement alone is highest for one perfect example a class, over and over.

    Args:
        real: features `[n, d]`.
        real_labels: integers `[n]`.
        fake: features `[m, d]`.
        asked: integers `[m]`, the classes that were asked for.
        named: integers `[m]`, the classes that a classifier sees.

    Returns:
        By class, in the order of the real labels, those that have more than 5 rows on either side.

    Raises:
        UserError: labels that do not fit, no class with enough samples and examples, NaN features, or different widths.

    Reference:
        Odena et al., 2017, section 4 (https://arxiv.org/abs/1610.09585), with MS-SSIM for the diversity; `prdc` for the recall.
    """
    real, fake = paired(real, fake)
    real_labels, asked, named = (
        labels_of("real", real, real_labels),
        labels_of("asked", fake, asked),
        labels_of("named", fake, named),
    )
    found = {}
    for label in np.unique(real_labels):
        own, theirs = fake[asked == label], real[real_labels == label]
        if min(len(own), len(theirs)) <= NEIGHBOURS:
            continue
        agreement, recall = float(np.mean(named[asked == label] == label)), prdc(theirs, own, NEIGHBOURS)["recall"]
        found[int(label)] = ClassQuality(agreement, recall, diversity(own) / diversity(theirs))
    if not found:
        given = f"{len(real)} real examples and {len(fake)} samples"
        raise UserError(f"{given} hold no class with more than {NEIGHBOURS} of each; take more (--eval_samples in training)")
    return found


def label_agreement(look: Callable, held_out, labels, count: int = 1000) -> Metric:
    """Measures whether a conditional generator makes what it is asked for, in all its variety.

    Args:
        look: `images -> (features [n, d], probabilities [n, K])`: a `classifier.Trained`.
        held_out: float images `[n, height, width, channels]` in [-1, 1], more than 5 of each class.
        labels: integers `[n]`, 0 .. K - 1.
        count: samples drawn for each measurement, more than 5 K.

    Returns:
        `(sample, key) -> {name: float}`: "agreement", "class_recall" and "class_diversity", means over classes, and the lowest,
        "agreement_worst" and so on. Higher is better, so that none of them should decide the best checkpoint.
        `sample(key, count)` gives images whose classes take turns, as `latents.with_labels` asks for them.

    Raises:
        UserError: as `class_quality`, and images that are none.
    """
    real, chances = look(as_images(held_out, "held-out images"))
    asked = np.arange(count) % chances.shape[1]

    def metric(sample, key):
        fake, chances = look(as_images(sample(key, count), "samples"))
        rows = np.array(list(class_quality(real, labels, fake, asked, chances.argmax(axis=1)).values()))
        by_name = dict(zip(("agreement", "class_recall", "class_diversity"), rows.T, strict=True))
        mean, worst = ({name: float(over(values)) for name, values in by_name.items()} for over in (np.mean, np.min))
        return mean | {f"{name}_worst": value for name, value in worst.items()}

    return metric


def classifier_accuracy_score(fake, fake_labels, real, real_labels) -> float:
    """Accuracy on real examples of a classifier that was trained on generated ones.

    It falls for samples that are wrong, for labels that are ignored, and for variety that is lost within a class. Compare with
    the score of training on as many real examples. The classifier is logistic regression on standardised features (L2, C = 1),
    deterministic and convex, so the number depends on the features as the source's does on its ResNet.

    Args:
        fake: `[m, d]`, of two classes at least.
        fake_labels: integers `[m]`, the classes that were asked for.
        real: `[n, d]`, held out from the generator's training.
        real_labels: integers `[n]`.

    Returns:
        In [0, 1].

    Raises:
        UserError: labels that do not fit, one class only, constant or NaN features, or different widths.

    Reference:
        Ravuri and Vinyals, 2019, section 3 (https://arxiv.org/abs/1905.10887).
    """
    real, fake = paired(real, fake)
    real_labels, fake_labels = labels_of("real", real, real_labels), labels_of("fake", fake, fake_labels)
    if len(np.unique(fake_labels)) < 2:
        raise UserError(f"a classifier needs samples of at least two classes, all labels are {fake_labels[0]}")
    if np.ptp(fake, axis=0).max() == 0:
        raise UserError(f"all {len(fake)} samples have the same features: nothing can be learned from them")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    return float(classifier.fit(fake, fake_labels).score(real, real_labels))
