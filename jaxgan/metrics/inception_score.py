"""Inception score: how sure a classifier is of each sample, and how evenly it spreads them over classes."""

import itertools

import numpy as np
from scipy.special import rel_entr

from jaxgan.metrics.spread import Spread
from jaxgan.types import UserError

ROUNDING = 1e-3  # how far from 1 the sum of a row of probabilities may be; float16 softmax is within


def inception_score(probs, splits=10) -> Spread:
    """Computes `exp(E KL(p(y|x) || p(y)))` on contiguous parts of the samples, and sums the parts up.

    It is called the inception score when the classifier is Inception's, and only then. Parts are `i n // splits : (i + 1) n //
    splits`, not shuffled. With few samples in a part it is biased downwards, so neither counts nor splits may be mixed. It never
    sees real data and is blind to what happens within a class: one picture of each class scores best of all.

    Args:
        probs: class probabilities `[n, classes]`, n >= splits; not logits. Published scores leave the bias out of the logits.
        splits: >= 1, 10 in the source; 1 judges all samples together.

    Returns:
        Mean over parts, in [1, classes], and their standard deviation (ddof 0).

    Raises:
        UserError: not probabilities, or fewer rows than splits.

    Reference:
        Salimans et al., 2016, section 4 (https://arxiv.org/abs/1606.03498), and their code
        (https://github.com/openai/improved-gan/blob/master/inception_score/model.py).
    """
    probs = np.asarray(probs, np.float64)
    if probs.ndim != 2 or probs.shape[1] == 0:
        raise UserError(f"class probabilities must be a matrix [n, classes], not of shape {probs.shape}")
    if not 1 <= splits <= len(probs):
        raise UserError(f"splits={splits}: choose from 1 to the {len(probs)} samples there are")
    if not ((probs >= 0).all() and np.allclose(probs.sum(1), 1, rtol=0, atol=ROUNDING)):
        raise UserError("rows must be class probabilities that sum to 1: take the softmax of logits, and look for NaN")
    ends = np.arange(splits + 1) * len(probs) // splits
    parts = (probs[start:end] for start, end in itertools.pairwise(ends))
    return Spread.of([np.exp(rel_entr(part, part.mean(0)).sum(1).mean()) for part in parts])
