"""What attacks raise, per example: functions of logits `[batch, classes]` and labels `[batch]`.

`untargeted` and `targeted` make aims of them, which attacks also know the success of.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.attacks.protocol import Aim, Classifier
from jaxgan.types import Array, UserError


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Computes `-log softmax(logits)[label]`, `[batch]`.

    As `softplus(logsumexp of the others - own)`: its gradient keeps its direction where the classifier is so sure that
    `softmax - 1` rounds to zero, and attacks along that rounding would find the model robust.

    Args:
        logits: `[batch, classes]`.
        labels: int `[batch]`, 0 .. classes - 1.

    Raises:
        UserError: labels of another shape, no integers, or no classes if their values can be looked at. So do all losses below.
    """
    own, others = _split(logits, labels)
    return jax.nn.softplus(jax.nn.logsumexp(others, axis=1) - own)


def margin(logits: Array, labels: Array) -> Array:
    """Computes the best other class's logit less the label's own, `[batch]`: positive where the classifier is wrong."""
    own, others = _split(logits, labels)
    return jnp.max(others, axis=1) - own


def rivals(logits: Array, labels: Array, count: int) -> Array:
    """Finds the classes that come next to the label's, int `[batch, count]`, the likeliest first."""
    return jax.lax.top_k(_split(logits, labels)[1], count)[1]


def dlr(logits: Array, labels: Array) -> Array:
    """Computes the difference of logits ratio: the margin over the gap from the first to the third logit, `[batch]`.

    It does not change when logits are shifted or scaled, so confidence hides no gradient as it does with cross-entropy.

    Args:
        logits: `[batch, classes]`, at least three classes.

    Raises:
        UserError: fewer than three classes, besides what all losses refuse.

    Reference:
        Croce and Hein, 2020, equation 6 (https://arxiv.org/abs/2003.01690).
    """
    if logits.shape[1] < 3:
        raise UserError(f"the difference of logits ratio needs three classes or more, not {logits.shape[1]}; take `margin`")
    top = jax.lax.top_k(logits, 3)[0]
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + 1e-12)


def kl(clean: Array, logits: Array) -> Array:
    """Computes `KL(softmax(clean) || softmax(logits))`, `[batch]`: what the inner attack of TRADES raises.

    At the clean example itself it has no slope: such an attack needs a random start.

    Args:
        clean: `[batch, classes]`, logits of the clean example.
        logits: `[batch, classes]`, of the attacked one.

    Reference:
        Zhang et al., 2019, equation 5 (https://arxiv.org/abs/1901.08573).
    """
    log_p = jax.nn.log_softmax(clean, axis=1)
    return jnp.sum(jnp.exp(log_p) * (log_p - jax.nn.log_softmax(logits, axis=1)), axis=1)


def misclassified(logits: Array, labels: Array) -> Array:
    """Tells where the greatest logit is not the label's, bool `[batch]`: the success of an attack without a target."""
    return jnp.argmax(logits, axis=1) != _check(logits, labels)


def untargeted(classify: Classifier, labels: Array, objective: Callable[[Array, Array], Array] = cross_entropy) -> Aim:
    """Aims at any class but the label's: raises the objective until the example is misclassified.

    Args:
        classify: the model as it is used, each row of its logits from one example alone. BatchNorm by the batch would
            make another model of each part of it.
        labels: int `[batch]`.
        objective: `(logits, labels) -> [batch]`.
    """

    def judge(z, labels):
        logits = classify(z)
        return objective(logits, labels), misclassified(logits, labels)

    return Aim(judge, (jnp.asarray(labels),))


def targeted(classify: Classifier, targets: Array, objective: Callable[[Array, Array], Array] = cross_entropy) -> Aim:
    """Aims at one class: lowers the objective for it as the label, until the example is taken for one of it.

    Args:
        classify: as in `untargeted`.
        targets: int `[batch]`, the classes aimed at.
        objective: `(logits, labels) -> [batch]`.
    """

    def judge(z, targets):
        logits = classify(z)
        return -objective(logits, targets), ~misclassified(logits, targets)

    return Aim(judge, (jnp.asarray(targets),))


def _check(logits, labels):
    known = None if isinstance(labels, jax.core.Tracer) else np.asarray(labels)
    labels = jnp.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise UserError(
            f"logits [batch, classes] go with integer labels [batch], not {logits.shape} with {labels.dtype}{labels.shape}"
        )
    if known is not None and not 0 <= known.min(initial=0) <= known.max(initial=0) < logits.shape[1]:
        raise UserError(f"labels from {known.min()} to {known.max()} leave the {logits.shape[1]} classes, counted from 0")
    return labels


def _split(logits, labels):
    """The label's own logit, and all with minus infinity in its place."""
    is_label = jnp.arange(logits.shape[-1])[None] == _check(logits, labels)[:, None]
    return jnp.sum(jnp.where(is_label, logits, 0), axis=1), jnp.where(is_label, -jnp.inf, logits)
