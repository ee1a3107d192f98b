"""Layers through which a network is told the class of an example, and heads by which a critic judges it.

Labels are integers `[batch]` in [0, classes). One outside, -1 for one, stands for an example of no known class: its embedding is
zero, its conditional normalisation has gain 1 and shift 0, and the projection adds nothing to its score.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.nets.layers import BatchStatistics, Initializer
from jaxgan.types import Array, UserError


def pick(table: Array, label: Array) -> Array:
    """Picks the row of each label: `[classes, features]` and int `[batch]` to `[batch, features]`; zeros for a label outside.

    Raises:
        UserError: labels that are not integers `[batch]`: one-hot rows, or numbers read as floats.
    """
    if label.ndim != 1 or not jnp.issubdtype(label.dtype, jnp.integer):
        raise UserError(f"labels are {label.dtype} {list(label.shape)}; give integers [batch], the number of each one's class")
    return jax.nn.one_hot(label, len(table), dtype=table.dtype) @ table


def check_labels(label: Array | None, num_classes: int) -> None:
    """Raises a `UserError` where a network made for classes is given no labels, or one made for none is given some."""
    if label is None and num_classes:
        raise UserError(f"a network of num_classes={num_classes} also takes labels; give them after its first input")
    if label is not None and not num_classes:
        raise UserError("a network of num_classes=0 takes no labels; leave them out, or say how many classes there are")


class Embedding(nn.Module):
    """Learns a vector for each class: int `[batch]` to `[batch, features]`.

    Attributes:
        num_classes: how many.
        features: length of a vector.
        embedding_init: how the vectors start.
    """

    num_classes: int
    features: int
    embedding_init: Initializer = nn.initializers.normal(1.0)

    @nn.compact
    def __call__(self, label: Array) -> Array:
        return pick(self.param("embedding", self.embedding_init, (self.num_classes, self.features)), label)


class ConditionalBatchNorm(BatchStatistics):
    """Normalises each channel by statistics that all classes share, then scales and shifts it by what the example is told.

    They are linear in a condition y, without biases: gain `1 + y W`, shift `y V`. With classes, y is a label, and a row of W and
    of V belongs to each class. Without, y is any vector: in BigGAN an embedding of the class and a chunk of the latent, joined.
    For vectors, W and V are kernels, which parameter transforms and penalties take by default; rows of classes are not.

    Attributes:
        axis_name: the axis devices stand on, or None.
        num_classes: how many, where conditions are int `[batch]`; 0 where they are `[batch, size]`.
        kernel_init: how W and V start; the default makes the same of every class.

    Reference:
        Dumoulin et al., 2017, equation 5 (https://arxiv.org/abs/1610.07629); Miyato and Koyama, 2018, appendix D
        (https://arxiv.org/abs/1802.05637); Brock et al., 2019, appendix B (https://arxiv.org/abs/1809.11096).
    """

    num_classes: int = 0
    kernel_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Array, condition: Array, train: bool) -> Array:
        def linear(name):  # [batch, channels]
            if self.num_classes:
                return pick(self.param(name, self.kernel_init, (self.num_classes, x.shape[-1])), condition)
            return nn.Dense(x.shape[-1], use_bias=False, kernel_init=self.kernel_init, name=name)(condition)

        mean, rate = self.measure(x, train)
        slope = (1 + linear("scale")) * rate[None]
        shift = linear("bias") - mean[None] * slope
        lift = lambda v: v.reshape(len(x), *(1,) * (x.ndim - 2), -1)
        return (x.astype(slope.dtype) * lift(slope) + lift(shift)).astype(x.dtype)


class ProjectionHead(nn.Module):
    """Scores features `[batch, size]` of examples said to be of a class: `psi(features) + <E[label], features>`, `[batch]`.

    psi judges whether an example is real at all, the projection whether it is one of its class. It has the form of the optimal
    critic's logit where classes are told apart by a softmax over the features.

    Attributes:
        num_classes: how many.
        use_bias: add a number to every score.
        kernel_init: how psi and E start.

    Reference:
        Miyato and Koyama, 2018, section 3 (https://arxiv.org/abs/1802.05637).
    """

    num_classes: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, x: Array, label: Array) -> Array:
        score = nn.Dense(1, use_bias=self.use_bias, kernel_init=self.kernel_init)(x)[:, 0]
        return score + jnp.sum(x * Embedding(self.num_classes, x.shape[-1], self.kernel_init)(label), axis=-1)


class AuxiliaryHead(nn.Module):
    """Scores features `[batch, size]` and guesses their class: `(scores [batch], logits [batch, classes])`.

    Attributes:
        num_classes: how many.
        use_bias: add a number to every score; logits always have one.
        kernel_init: how both start.

    Reference:
        Odena et al., 2017, section 3 (https://arxiv.org/abs/1610.09585).
    """

    num_classes: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        score = nn.Dense(1, use_bias=self.use_bias, kernel_init=self.kernel_init, name="score")(x)[:, 0]
        return score, nn.Dense(self.num_classes, kernel_init=self.kernel_init, name="logits")(x)
