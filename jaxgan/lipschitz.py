"""How steep a map can be: the norm of a linear map, and bounds from above and below for a network.

For a network `product of layer norms >= exact constant >= slope seen at samples`. The product is tight only where every layer's
worst direction meets the next one's; BatchNorm, attention and residual sums are not covered by it.
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.penalties import slopes
from jaxgan.transforms import is_kernel, select, unit
from jaxgan.types import Array, Key, PyTree, UserError


def operator_norm(linear: Callable[[Array], Array], shape: tuple[int, ...], key: Key, num_iterations: int = 100) -> Array:
    """Estimates the top singular value of a linear map from below, by power iteration on the map itself.

    For a convolution this counts padding and stride, which the norm of its reshaped kernel does not: that one can be smaller by
    up to the square root of the kernel's number of taps, or larger.

    Args:
        linear: any linear function of an array of `shape`, float32.
        shape: of its input.
        key: where the iteration starts.
        num_iterations: the error falls as `(sigma_2 / sigma_1)^(2 num_iterations)`.
    """
    x = jax.random.normal(key, shape)
    transpose = jax.linear_transpose(linear, x)

    def iterate(x, _):
        return unit(transpose(linear(x))[0]), None

    x, _ = jax.lax.scan(iterate, x / jnp.sqrt(jnp.sum(jnp.square(x))), length=num_iterations)
    return jnp.sqrt(jnp.sum(jnp.square(linear(x))))


def circular_conv_norm(kernel: Array, size: tuple[int, int]) -> float:
    """Computes the exact norm of a convolution with stride 1 and circular padding, in float64.

    Fourier modes decouple: the norm is the largest over frequencies of that of the matrix `[in, out]` the kernel has there.

    Args:
        kernel: `[k, l, in, out]`.
        size: height and width of the image, at least k and l.

    Reference:
        Sedghi et al., 2019, theorem 6 (https://arxiv.org/abs/1805.10408).
    """
    if any(n < k for n, k in zip(size, kernel.shape[:2], strict=True)):
        (k, l), (h, w) = kernel.shape[:2], size
        raise UserError(f"a kernel of {k}x{l} wraps around an image of {h}x{w}; take a larger one")
    modes = np.fft.fft2(np.asarray(kernel, np.float64), size, axes=(0, 1))
    return float(np.linalg.norm(modes, 2, axis=(-2, -1)).max())


def product_bound(kernels: Sequence[Array]) -> float:
    """Multiplies the top singular values of dense kernels `[in, out]`: with 1-Lipschitz activations nothing is steeper."""
    return float(np.prod([np.linalg.norm(np.asarray(kernel, np.float64), 2) for kernel in kernels]))


def top_singular_values(params: PyTree, k: int = 3, where: Callable[[str, Array], bool] = is_kernel) -> dict[str, Array]:
    """Finds the largest singular values of each kernel, read as a matrix `[fan_in, out]`: what BigGAN's training is watched by.

    Before its training collapses the top ones of the generator grow without bound, and those of the critic jump. Exact, for
    now and then; both of a player's raw parameters and of the weights that its transform makes of them.

    Args:
        params: of a player.
        k: how many, largest first; a kernel of lower rank gives as many as it has.
        where: `(name, leaf) -> bool`, which leaves.

    Returns:
        `{"Dense_0/kernel": [k]}`.

    Reference:
        Brock et al., 2019, section 4 (https://arxiv.org/abs/1809.11096).
    """
    matrices = {name: w.reshape(-1, w.shape[-1]) for name, w in select(params, where).items()}
    return {name: jnp.linalg.svd(w, compute_uv=False)[:k] for name, w in matrices.items()}


def relu_constant(first: Array, last: Array) -> float:
    """Computes the largest slope that `relu(x first) last` can have over all patterns of active units, in float64.

    It is the Lipschitz constant where every pattern occurs, as with free biases. The cost doubles with each hidden unit.

    Args:
        first: `[in, hidden]`, hidden at most 20.
        last: `[hidden, out]`.
    """
    first, last = np.asarray(first, np.float64), np.asarray(last, np.float64)
    if len(last) > 20:
        raise UserError(f"{len(last)} hidden units have 2^{len(last)} patterns; take at most 20")
    patterns = itertools.product((0.0, 1.0), repeat=len(last))
    return max(float(np.linalg.norm(first * pattern @ last, 2)) for pattern in patterns)


def sampled_slope(critic: Callable[[Array], Array], x: Array) -> Array:
    """Takes the largest slope of `critic: [batch, ...] -> [batch]` at examples `x`; no Lipschitz constant is smaller."""
    return jnp.max(slopes(critic, x))
