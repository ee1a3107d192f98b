"""Parameter transforms: pure functions from raw parameters to the weights a network computes with.

A player's transform is applied once in each turn, so real, fake and penalty passes see the same weights, and its state has one
owner, the player's own turn. (PyTorch's hook advances `u` at every forward pass in training mode, the generator's turn included.)
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgan.types import UNCHANGED, Array, ParamTransform, PyTree

__all__ = [
    "UNCHANGED",
    "chain",
    "clamp_singular_values",
    "clip_weights",
    "equalized_lr",
    "historical_averaging",
    "is_kernel",
    "named_leaves",
    "orthogonalize",
    "select",
    "spectral_norm",
    "unit",
    "weight_norm",
]


def is_kernel(name: str, leaf: Array) -> bool:
    """Tells the matrices of dense, convolution, transposed convolution and embedding layers from biases and gains."""
    return name.rsplit("/", 1)[-1] in ("kernel", "embedding") and leaf.ndim > 1


def named_leaves(params: PyTree) -> tuple[dict[str, Array], Callable[[dict[str, Array]], PyTree]]:
    """Flattens a tree to `{"Dense_0/kernel": leaf}` and hands back the way to rebuild it."""
    paths, tree = jax.tree.flatten_with_path(params)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    leaves = dict(zip(names, (leaf for _, leaf in paths), strict=True))
    return leaves, lambda changed: jax.tree.unflatten(tree, [changed[name] for name in names])


def select(params: PyTree, where: Callable[[str, Array], bool]) -> dict[str, Array]:
    """Picks the leaves for which `where(name, leaf)` holds, as `{name: leaf}`."""
    return {name: leaf for name, leaf in named_leaves(params)[0].items() if where(name, leaf)}


def unit(vector: Array, eps: float = 1e-12) -> Array:
    """Scales a vector to length one; a zero vector stays zero."""
    return vector / jnp.maximum(jnp.linalg.norm(vector), eps)


def spectral_norm(num_iterations: int = 1, eps: float = 1e-12, where: Callable[[str, Array], bool] = is_kernel) -> ParamTransform:
    """Divides each chosen kernel by a running estimate of its top singular value.

    A kernel `[..., out]` is read as a matrix `W` `[fan_in, out]`. `u` `[out]` is carried between turns; `u`, `v` are constants
    to the gradient, so `sigma = v^T W u` is differentiated in `W` alone. For a convolution this is the norm of the reshaped
    kernel, as in the paper, and not of the convolution as an operator, which can be up to sqrt(height * width) times larger.

    Args:
        num_iterations: power iterations a turn; 1 suffices because weights move slowly.
        eps: least value of sigma and of the vectors' lengths.
        where: `(name, leaf) -> bool`, which leaves to normalise.

    Reference:
        Miyato et al., 2018, section 2 and algorithm 1 (https://arxiv.org/abs/1802.05957).
    """

    def divide(matrix, u):
        u, v = _power_iteration(matrix, u, num_iterations, eps)
        return matrix / jnp.maximum(v @ matrix @ u, eps), u

    return _on_matrices(divide, where)


def clamp_singular_values(
    limit: float, num_iterations: int = 1, where: Callable[[str, Array], bool] = is_kernel
) -> ParamTransform:
    """Lowers each chosen kernel's top singular value to a limit: `W - max(0, sigma - limit) v u^T`.

    It acts on the top value alone, so one above the limit may take its place. `u` is carried and `u`, `v` are constants to the
    gradient, as in `spectral_norm`.

    Args:
        limit: greatest value of the top singular value.
        num_iterations: power iterations a turn.
        where: `(name, leaf) -> bool`, which leaves.

    Reference:
        Brock et al., 2019, section 4.1, equation 5 (https://arxiv.org/abs/1809.11096); the paper studies it against training
        collapse, and its final model does without.
    """

    def clamp(matrix, u):
        u, v = _power_iteration(matrix, u, num_iterations, 1e-12)
        return matrix - jnp.maximum(v @ matrix @ u - limit, 0) * jnp.outer(v, u), u

    return _on_matrices(clamp, where)


def _power_iteration(matrix, u, num_iterations, eps):
    frozen = jax.lax.stop_gradient(matrix)
    for _ in range(num_iterations):
        v = unit(frozen @ u, eps)
        u = unit(frozen.T @ v, eps)
    return u, v


def _on_matrices(change, where):
    """Makes a transform of `(matrix [fan_in, out], u [out]) -> (matrix, u)`, with a random unit `u` for each chosen leaf."""

    def init(key, params):
        chosen = select(params, where)
        keys = jax.random.split(key, max(len(chosen), 1))
        return {
            name: unit(jax.random.normal(k, w.shape[-1:], w.dtype)) for k, (name, w) in zip(keys, chosen.items(), strict=False)
        }

    def apply(params, state):
        leaves, rebuild = named_leaves(params)
        advanced = {}
        for name, u in state.items():
            kernel = leaves[name]
            matrix, advanced[name] = change(kernel.reshape(-1, kernel.shape[-1]), u)
            leaves[name] = matrix.reshape(kernel.shape)
        return rebuild(leaves), advanced

    return ParamTransform(init, apply)


def _stateless(change, where):
    """Makes a transform of `matrix [fan_in, out] -> matrix` that carries nothing."""

    def apply(params, state):
        leaves, rebuild = named_leaves(params)
        for name, w in select(params, where).items():
            leaves[name] = change(w.reshape(-1, w.shape[-1])).reshape(w.shape)
        return rebuild(leaves), state

    return ParamTransform(lambda key, params: (), apply)


def weight_norm(eps: float = 1e-12, where: Callable[[str, Array], bool] = is_kernel) -> ParamTransform:
    """Divides the weights of each output by their length, so that every output sees its input along a unit direction.

    There is no learned gain, so the squares of the singular values sum to the number of outputs. As SN-GAN notes, that bounds the
    top one loosely and rewards using few directions.

    Reference:
        Salimans and Kingma, 2016, equation 2 with g = 1 (https://arxiv.org/abs/1602.07868).
    """
    return _stateless(lambda w: w / jnp.maximum(jnp.linalg.norm(w, axis=0, keepdims=True), eps), where)


def equalized_lr(
    gain: float = math.sqrt(2), rate: float = 1.0, where: Callable[[str, Array], bool] = is_kernel
) -> ParamTransform:
    """Scales each chosen kernel by `rate gain / sqrt(fan_in)` at run time, so that Adam moves all layers at one relative speed.

    For kernels that start as `N(0, 1 / rate^2)`; those of an embedding, whose fan-in is no sum, are better left out.

    Args:
        gain: sqrt(2) after ReLUs (He), 1 for the last layer.
        rate: lowers the layer's learning rate by this factor, as 0.01 in StyleGAN's mapping network.
        where: `(name, leaf) -> bool`, which leaves.

    Reference:
        Karras et al., 2018, section 4.1 (https://arxiv.org/abs/1710.10196).
    """
    return _stateless(lambda w: w * (rate * gain / math.sqrt(w.shape[0])), where)


def orthogonalize(num_iterations: int = 20, where: Callable[[str, Array], bool] = is_kernel) -> ParamTransform:
    """Replaces each chosen kernel by the nearest matrix whose singular values are all one, by Bjorck's iteration.

    Differentiable as it stands. Each iteration takes a singular value s, first scaled into (0, 1], to `s (3 - s^2) / 2`: values
    that are tiny next to the largest need more iterations.

    Reference:
        Bjorck and Bowie, 1971 (https://doi.org/10.1137/0708036); Anil et al., 2019, section 4.1 (https://arxiv.org/abs/1811.05381).
    """

    def project(w):
        w = w / jnp.maximum(jnp.sqrt(jnp.abs(w).sum(0).max() * jnp.abs(w).sum(1).max()), 1e-12)  # an upper bound of the top one
        for _ in range(num_iterations):
            w = 1.5 * w - 0.5 * (w @ (w.T @ w) if w.shape[0] >= w.shape[1] else (w @ w.T) @ w)
        return w

    return _stateless(project, where)


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Keeps every parameter in [-limit, limit].

    The last of a chain: `optax.chain(optax.rmsprop(5e-5), clip_weights(0.01))`.

    It is the weights that are clipped, not the gradients and not the distance; how steep the critic may then be depends on the
    network, so that its estimate is an unknown multiple of the Wasserstein distance.

    Reference:
        Arjovsky et al., 2017, algorithm 1 (https://arxiv.org/abs/1701.07875).
    """

    def clip(update, param):
        inside = limit - 2.0**-22 * (limit + jnp.abs(param))  # the update is rounded, and once more when it is added
        return jnp.clip(param + update, -inside, inside) - param

    def update(updates, state, params):
        return jax.tree.map(clip, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def historical_averaging(weight: float) -> optax.GradientTransformation:
    """Adds the gradient of `weight |params - mean|^2` to the gradients, first in a chain; `mean` is over all turns so far.

    Players that circle around an equilibrium are pulled into the middle.

    Reference:
        Salimans et al., 2016, section 3.3 (https://arxiv.org/abs/1606.03498).
    """

    def update(grads, state, params):
        count, mean = state
        mean = jax.tree.map(lambda m, p: m + (p - m) / (count + 1), mean, params)
        return jax.tree.map(lambda g, p, m: g + 2 * weight * (p - m), grads, params, mean), (count + 1, mean)

    return optax.GradientTransformation(lambda params: (jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params)), update)


def chain(*transforms: ParamTransform) -> ParamTransform:
    """Applies transforms one after the other; the state is the tuple of theirs."""

    def init(key, params):
        states = []
        for k, transform in zip(jax.random.split(key, max(len(transforms), 1)), transforms, strict=False):
            states.append(transform.init(k, params))
            params, _ = transform.apply(params, states[-1])
        return tuple(states)

    def apply(params, state):
        advanced = []
        for transform, own in zip(transforms, state, strict=True):
            params, own = transform.apply(params, own)
            advanced.append(own)
        return params, tuple(advanced)

    return ParamTransform(init, apply)
