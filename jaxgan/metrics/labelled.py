"""Whether labelled samples can stand in for labelled data."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jaxgan.metrics.features import paired
from jaxgan.metrics.frechet import labels_of
from jaxgan.types import UserError

ITERATIONS = 10_000


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
