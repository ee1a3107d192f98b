"""Terms that a critic lowers besides its objective, as functions `(critic, real, fake, key) -> scalar`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.types import Array, Key, Penalty, Sampler


def uniform(key: Key, count: int) -> Array:
    """Draws `[count]` in [0, 1)."""
    return jax.random.uniform(key, (count,))


def gradient_penalty(weight: float = 10.0, one_sided: bool = False, share: Sampler = uniform) -> Penalty:
    """Holds the critic's slope near one on lines between real and generated examples.

    `weight mean((|grad critic(x)| - 1)^2)` at `x = e real + (1 - e) fake`, an `e` for each pair. It is the gradient that is held,
    not a secant between the two ends. The critic must score each example by itself, as none with BatchNorm does.

    Args:
        weight: lambda of the paper.
        one_sided: let slopes below one be (WGAN-LP, Petzka et al., 2018, https://arxiv.org/abs/1709.08894).
        share: draws `e`, `[count]`; wrapped in `parallel.draw` on several devices.

    Reference:
        Gulrajani et al., 2017, algorithm 1 (https://arxiv.org/abs/1704.00028).
    """

    def penalty(critic, real, fake, key):
        e = share(key, len(real)).reshape(-1, *(1,) * (real.ndim - 1))
        excess = slopes(critic, e * real + (1 - e) * fake) - 1
        return weight * jnp.mean(jnp.square(jnp.maximum(excess, 0) if one_sided else excess))

    return penalty


def slopes(critic: Callable[[Array], Array], x: Array) -> Array:
    """Norms `[batch]` of the gradients of `critic: [batch, ...] -> [batch]` by its examples; at zero they have gradient zero."""
    grads = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    squares = jnp.sum(jnp.square(grads), axis=tuple(range(1, x.ndim)))
    return jnp.sqrt(jnp.maximum(squares, jnp.finfo(squares.dtype).tiny))
