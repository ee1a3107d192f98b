"""Terms that a player lowers besides its objective.

Those on a critic's slope or scores are functions `(critic, real, fake, key) -> scalar`, to be given to `games.adversarial`; those
on weights are functions `weights -> scalar`, to be added to any loss by `games.add_term`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.transforms import is_kernel, select
from jaxgan.types import Array, Key, Penalty, PyTree, Sampler


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
        excess = slopes(critic, between(real, fake, key, share)) - 1
        return weight * jnp.mean(jnp.square(jnp.maximum(excess, 0) if one_sided else excess))

    return penalty


def r1(gamma: float = 10.0) -> Penalty:
    """Flattens the critic where the data are: `gamma / 2 E|grad critic(real)|^2`.

    At the equilibrium, where the generator's distribution is the data's, a critic with any slope would drive it away again.

    Reference:
        Mescheder et al., 2018, equation 9 (https://arxiv.org/abs/1801.04406).
    """
    return lambda critic, real, fake, key: gamma / 2 * jnp.mean(squared_slopes(critic, real))


def r2(gamma: float = 10.0) -> Penalty:
    """Flattens the critic where the generator is: `gamma / 2 E|grad critic(fake)|^2`.

    Reference:
        Mescheder et al., 2018, equation 10 (https://arxiv.org/abs/1801.04406).
    """
    return lambda critic, real, fake, key: gamma / 2 * jnp.mean(squared_slopes(critic, fake))


def zero_centred(weight: float = 10.0, share: Sampler = uniform) -> Penalty:
    """Flattens the critic on lines between real and generated examples: `weight E|grad critic(x)|^2`.

    Reference:
        Thanh-Tung et al., 2019, section 5 (https://arxiv.org/abs/1902.03984).
    """
    return lambda critic, real, fake, key: weight * jnp.mean(squared_slopes(critic, between(real, fake, key, share)))


def dragan(weight: float = 10.0, spread: float = 0.5, noise: Sampler | None = None) -> Penalty:
    """Holds the critic's slope near one around the data: at `real + spread std(real) u`, `u` uniform on [0, 1).

    `std` is one number, over the whole batch; on several devices each takes its own slice's.

    Args:
        weight: lambda of the paper.
        spread: c of the paper's code.
        noise: draws `u`, `[count, ...]`; wrapped in `parallel.draw` on several devices. By default from the key alone.

    Reference:
        Kodali et al., 2017, equation 4 (https://arxiv.org/abs/1705.07215).
    """

    def penalty(critic, real, fake, key):
        u = jax.random.uniform(key, real.shape) if noise is None else noise(key, len(real))
        return weight * jnp.mean(jnp.square(slopes(critic, real + spread * jnp.std(real) * u) - 1))

    return penalty


def drift(weight: float = 1e-3) -> Penalty:
    """Keeps scores near zero, which a Wasserstein critic may otherwise shift at will: `weight E[critic(real)^2]`.

    Reference:
        Karras et al., 2018, appendix A.1 (https://arxiv.org/abs/1710.10196).
    """
    return lambda critic, real, fake, key: weight * jnp.mean(jnp.square(critic(real)))


def consistency(augment: Callable[[Key, Array], Array], weight: float = 10.0) -> Penalty:
    """Makes the critic blind to changes that leave an example what it is: `weight E(critic(augment(real)) - critic(real))^2`.

    Args:
        augment: `(key, [batch, ...]) -> [batch, ...]`.
        weight: lambda of the paper.

    Reference:
        Zhang et al., 2020, equation 4 on the critic's last layer (https://arxiv.org/abs/1910.12027).
    """
    return lambda critic, real, fake, key: weight * jnp.mean(jnp.square(critic(augment(key, real)) - critic(real)))


def both(*penalties: Penalty) -> Penalty:
    """Adds penalties up; each draws from a key of its own."""

    def penalty(critic, real, fake, key):
        keys = jax.random.split(key, len(penalties))
        return sum(each(critic, real, fake, k) for each, k in zip(penalties, keys, strict=True))

    return penalty


def between(real: Array, fake: Array, key: Key, share: Sampler = uniform) -> Array:
    """Draws a point on the line between each pair, `e real + (1 - e) fake`."""
    e = share(key, len(real)).reshape(-1, *(1,) * (real.ndim - 1))
    return e * real + (1 - e) * fake


def squared_slopes(critic: Callable[[Array], Array], x: Array) -> Array:
    """Squared norms `[batch]` of the gradients of `critic: [batch, ...] -> [batch]` by its examples."""
    grads = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    return jnp.sum(jnp.square(grads), axis=tuple(range(1, x.ndim)))


def slopes(critic: Callable[[Array], Array], x: Array) -> Array:
    """Norms of the same gradients; at zero they have gradient zero."""
    squares = squared_slopes(critic, x)
    return jnp.sqrt(jnp.maximum(squares, jnp.finfo(squares.dtype).tiny))


def orthogonal(weight: float = 1e-4, off_diagonal: bool = False, where: Callable[[str, Array], bool] = is_kernel):
    """Pulls kernels towards orthogonality: all singular values one.

    A kernel `[..., out]` is read as `W` `[fan_in, out]`; the squared Frobenius norm of `G - I` is lowered, `G` being `W^T W`, or
    `W W^T` where that is smaller: a wide matrix cannot have orthonormal columns.

    Args:
        weight: factor of the sum over kernels.
        off_diagonal: let the lengths be and punish angles alone, for which `G = W^T W` always, of outputs by outputs. This
            is the true gradient of BigGAN's penalty; the published PyTorch code adds half of it.
        where: `(name, leaf) -> bool`, which leaves.

    Returns:
        `weights -> scalar`.

    Reference:
        Brock et al., 2017, equation 3 (https://arxiv.org/abs/1609.07093); Brock et al., 2019, equation 3
        (https://arxiv.org/abs/1809.11096).
    """

    def term(weights: PyTree) -> Array:
        total = jnp.float32(0)
        for kernel in select(weights, where).values():
            w = kernel.reshape(-1, kernel.shape[-1])
            gram = w @ w.T if w.shape[0] < w.shape[1] and not off_diagonal else w.T @ w
            eye = jnp.eye(len(gram))
            total += jnp.sum(jnp.square(gram * (1 - eye) if off_diagonal else gram - eye))
        return weight * total

    return term
