"""Parameter transforms: pure functions from raw parameters to the weights a network computes with.

A player's transform is applied once in each turn, so real, fake and penalty passes see the same weights, and its state has one
owner, the player's own turn. (PyTorch's hook advances `u` at every forward pass in training mode, the generator's turn included.)
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.types import UNCHANGED, Array, ParamTransform, PyTree

__all__ = ["UNCHANGED", "chain", "is_kernel", "named_leaves", "select", "spectral_norm", "unit"]


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
            matrix = leaves[name].reshape(-1, leaves[name].shape[-1])
            frozen = jax.lax.stop_gradient(matrix)
            for _ in range(num_iterations):
                v = unit(frozen @ u, eps)
                u = unit(frozen.T @ v, eps)
            leaves[name] = leaves[name] / jnp.maximum(v @ matrix @ u, eps)
            advanced[name] = u
        return rebuild(leaves), advanced

    return ParamTransform(init, apply)


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
