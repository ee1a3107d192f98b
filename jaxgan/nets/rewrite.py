"""Puts the plain convolutions of any function on the fast path of `nets.conv`."""

import functools
from collections.abc import Callable

import jax
from jax import lax
from jax.extend.core import Literal

from jaxgan.nets.conv import conv, conv_transpose

_JITS = ("jit", "pjit")  # by version of JAX


def accelerate(f: Callable) -> Callable:
    """Makes a function compute its plain convolutions as `nets.conv` does: the same numbers, on CPUs many times faster.

    It is for networks that were not written for this library: Flax's `nn.Conv` and `nn.ConvTranspose` of images, and what calls
    `lax.conv_general_dilated` likewise. Left as they are: convolutions with groups, dilated kernels, strides that differ along
    the axes, other layouts than NHWC or a `precision` of their own, and those inside of `scan`, `while`, `cond`, `remat` and
    functions with derivatives of their own.

    Args:
        f: pure, from trees of arrays to a tree of arrays.

    Returns:
        The same function, which traces `f` when it is called.
    """

    @functools.wraps(f)
    def accelerated(*args):
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        if not _convolves(closed.jaxpr):
            return f(*args)
        return jax.tree.unflatten(jax.tree.structure(shape), _run(closed, jax.tree.leaves(args)))

    return accelerated


def _convolves(jaxpr) -> bool:
    """Whether there is anything to do, here or in a function that is jitted inside."""
    return any(
        eqn.primitive is lax.conv_general_dilated_p or (eqn.primitive.name in _JITS and _convolves(eqn.params["jaxpr"].jaxpr))
        for eqn in jaxpr.eqns
    )


def _run(closed, args):
    """Evaluates a jaxpr, equation by equation."""
    jaxpr = closed.jaxpr
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *args), strict=True))
    read = lambda variable: variable.val if isinstance(variable, Literal) else known[variable]
    for eqn in jaxpr.eqns:
        inputs = [read(variable) for variable in eqn.invars]
        if eqn.primitive is lax.conv_general_dilated_p:
            outputs = [_convolve(*inputs, eqn.params)]
        elif eqn.primitive.name in _JITS and _convolves(eqn.params["jaxpr"].jaxpr):
            outputs = _run(eqn.params["jaxpr"], inputs)
        else:
            outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
            outputs = outputs if eqn.primitive.multiple_results else [outputs]
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _convolve(x, kernel, params):
    """Computes one convolution by `nets.conv` if it is of the kind that is there, and as it stands if not."""
    strides, padding, spread = params["window_strides"], params["padding"], params["lhs_dilation"]
    ours = (
        x.ndim == 4
        and x.dtype == kernel.dtype
        and params["dimension_numbers"] == lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and params["rhs_dilation"] == (1, 1)
        and params["precision"] is None
        and params["preferred_element_type"] in (None, x.dtype)
    )
    if ours and spread == (1, 1) and strides[0] == strides[1]:
        if len({*padding[0], *padding[1]}) == 1 and padding[0][0] >= 0:
            return conv(x, kernel, strides[0], padding[0][0])
        return conv(_pad(x, padding), kernel, strides[0])
    if ours and strides == (1, 1) and spread[0] == spread[1]:
        around = [(low - k + 1, high - k + 1) for k, (low, high) in zip(kernel.shape[:2], padding, strict=True)]
        if len({*around[0], *around[1]}) == 1 and around[0][0] <= 0:
            return conv_transpose(x, kernel, spread[0], -around[0][0])
        return _pad(conv_transpose(x, kernel, spread[0]), around)
    return lax.conv_general_dilated_p.bind(x, kernel, **params)


def _pad(x, around):
    """Puts zeros around images, or cuts from them where `around`, in pixels before and after along either axis, is negative."""
    return lax.pad(x, x.dtype.type(0), ((0, 0, 0), *((*ends, 0) for ends in around), (0, 0, 0)))
