"""Formula arrays and models that ground-truth numbers were computed from."""

import jax.numpy as jnp
import numpy as np


def waves(shape, rate=1.0, offset=0.0):
    """`sin(rate (k + 1)^2 + offset)` over flat index k: deterministic, irregular numbers in [-1, 1], float64."""
    return np.sin(rate * (1.0 + np.arange(np.prod(shape))) ** 2 + offset).reshape(shape)


def relu_mlp():
    """The three-class model of B7 with its 64 points: classifier, points, labels."""
    first, bias, last = 0.8 * waves((16, 10)), 0.1 * waves(16, 0.3), 0.8 * waves((3, 16), 1.7)
    x = 0.5 + 0.45 * waves((64, 10), 1.234)
    offset = -(np.maximum(x @ first.T + bias, 0) @ last.T).mean(0)
    classify = lambda z: (
        jnp.maximum(z @ jnp.array(first.T) + jnp.array(bias)[None], 0) @ jnp.array(last.T) + jnp.array(offset)[None]
    )
    return classify, jnp.array(x), jnp.argmax(classify(jnp.array(x)), axis=1)
