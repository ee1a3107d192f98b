"""Linear and bilinear operations with one form for CPUs and a plain one for every other backend."""

import functools
from collections.abc import Callable

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jaxgan.types import Array


def primitive(name: str, plain: Callable, fast: Callable) -> Primitive:
    """Makes a primitive; its gradients are the caller's to define.

    `jax.custom_vjp` would do for reverse mode alone; a primitive whose transposes are primitives closes under every derivative.

    Args:
        name: as jaxprs show it, after "jaxgan_".
        plain: `(*arrays, **params) -> array` in `lax`; decides shape and dtype, and what `vmap` does unless the caller says.
        fast: the same function in the form that XLA runs fastest on CPUs.
    """
    made = Primitive(f"jaxgan_{name}")

    @functools.cache
    def compiled(**params):
        return jax.jit(functools.partial(made.bind, **params))

    def shape(*arrays, **params):
        out = jax.eval_shape(functools.partial(plain, **params), *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays))
        return arrays[0].update(shape=out.shape, dtype=out.dtype, weak_type=False)  # keeps the device axes it varies over

    def batch(arrays, axes, **params):
        return jax.vmap(functools.partial(plain, **params), axes)(*arrays), 0

    made.def_impl(lambda *arrays, **params: compiled(**params)(*arrays))
    made.def_abstract_eval(shape)
    batching.primitive_batchers[made] = batch
    mlir.register_lowering(made, mlir.lower_fun(plain, multiple_results=False))
    mlir.register_lowering(made, mlir.lower_fun(fast, multiple_results=False), platform="cpu")
    return made


def same_axes(*arrays: Array) -> tuple[Array, ...]:
    """Makes all arrays vary over every device axis that one of them varies over, as `shard_map` asks of operands."""
    varying = [jax.typeof(x).manual_axis_type.varying for x in arrays]
    every = set().union(*varying)
    missing = [tuple(every - own) for own in varying]
    return tuple(lax.pcast(x, axes, to="varying") if axes else x for x, axes in zip(arrays, missing, strict=True))
