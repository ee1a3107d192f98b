"""What an attacker may turn an example into: perturbation sets, which attack and defence share.

A set `S(x)` holds the points that still count as `x`. All its functions take one example `[...]`; attacks `vmap` them. Points
come out rounded towards `x`, so that `|z - x| <= eps (1 + 1e-6)` and the box hold in float32 as well, however small eps is.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.types import Array, Key, UserError

Box = tuple[float, float]  # the least and the greatest number an example may hold

UNBOUNDED: Box = (-math.inf, math.inf)


class PerturbationSet(NamedTuple):
    """The points `S(x)` that an attacker may choose from, `x` among them.

    Attributes:
        box: that all examples and all points of the set lie in.
        project: `(z, x) -> [...]`, a point of the set near `z`.
        random_point: `(key, x) -> [...]`, drawn from the set.
        linear_maximiser: `(g, x) -> [...]`, the point `z` of the set with the greatest `<g, z>`: the whole attack, if the loss is
            linear in its input.
        stride: `g -> [...]`, the steepest step against a loss of slope `g` that is as long as the set is wide; the box aside.
    """

    box: Box
    project: Callable[[Array, Array], Array]
    random_point: Callable[[Key, Array], Array]
    linear_maximiser: Callable[[Array, Array], Array]
    stride: Callable[[Array], Array]


def linf(eps: float | Array, box: Box) -> PerturbationSet:
    """Lets every number move by up to `eps`, within the box. Projection and linear maximiser are exact.

    Args:
        eps: non-negative; a traced scalar will do, to `vmap` over it.
        box: (0, 1) for such images, (-1, 1) for the library's own, `UNBOUNDED` for points.

    Raises:
        UserError: eps negative, infinite or no scalar, or the box empty. So do all sets below.
    """
    eps, (low, high) = _radius(eps), _sides(box)

    def limits(x):
        return jnp.maximum(_shift(x, -eps), low), jnp.minimum(_shift(x, eps), high)

    def random_point(key, x):
        least, greatest = limits(x)
        return jnp.clip(jax.random.uniform(key, x.shape, x.dtype, least, greatest), least, greatest)

    return PerturbationSet(
        box=(low, high),
        project=lambda z, x: jnp.clip(z, *limits(x)),
        random_point=random_point,
        linear_maximiser=lambda g, x: _corner(g, x, *limits(x)),
        stride=lambda g: eps * jnp.sign(g),
    )


def l2(eps: float | Array, box: Box) -> PerturbationSet:
    """Lets an example move by a Euclidean distance of up to `eps`, within the box.

    Points are drawn uniformly from the ball and, like projected ones, scaled into the ball and then clipped to the box. That
    leaves them in both, though not always at the nearest point of both.
    """
    eps, (low, high) = _radius(eps), _sides(box)

    def inside(x, delta):
        return jnp.clip(_shift(x, _shortened(delta, _l2(delta), eps)), low, high)

    def random_point(key, x):
        return inside(x, eps * _in_ball(key, _unit(jax.random.normal(jax.random.fold_in(key, 0), x.shape, x.dtype)), x.size))

    def linear_maximiser(g, x):
        """`min(t |g|, room)` with the greatest `t` the radius allows: numbers meet the box's side in the order of room / |g|."""
        steep, room = _relative(g), jnp.where(g.ravel() == 0, 0, _room(g, x, low, high, eps))
        when = room / jnp.where(steep > 0, steep, 1)  # the t at which a number has used its room
        order = jnp.argsort(when)
        used = jnp.cumsum(jnp.square(room[order]))
        free = jnp.append(jnp.cumsum(jnp.square(steep[order])[::-1])[::-1], 0)
        at_side = jnp.sum(used + jnp.square(when[order]) * free[1:] <= eps**2)
        left = jnp.maximum(eps**2 - jnp.append(0, used)[at_side], 0)
        t = jnp.where(free[at_side] > 0, jnp.sqrt(left / jnp.where(free[at_side] > 0, free[at_side], 1)), jnp.max(when))
        moves = jnp.minimum(t * steep, room)
        return inside(x, moves.reshape(x.shape) * jnp.sign(g))

    return PerturbationSet((low, high), lambda z, x: inside(x, z - x), random_point, linear_maximiser, lambda g: eps * _unit(g))


def l1(eps: float | Array, box: Box) -> PerturbationSet:
    """Lets an example's numbers move by up to `eps` in total, within the box.

    Projection finds the nearest point of both ball and box: clipping to the box after the ball would leave much of `eps` unspent.
    Strides are Euclidean; along the one number with the greatest slope, as the norm has it, iterates would not get far.

    Reference:
        Croce and Hein, 2021, section 2 (https://arxiv.org/abs/2103.01208).
    """
    eps, (low, high) = _radius(eps), _sides(box)

    def inside(x, delta):
        return jnp.clip(_shift(x, _shortened(delta, jnp.sum(jnp.abs(delta)), eps)), low, high)

    def project(z, x):
        """`min(|delta| - t, room)` with the least `t` that the radius allows, found by halving."""
        delta = z - x
        sizes, room = jnp.abs(delta), _room(delta, x, low, high, eps).reshape(x.shape)
        moves = lambda t: jnp.clip(sizes - t, 0, room)

        def halve(_, bounds):
            least, most = bounds
            middle = (least + most) / 2
            fits = jnp.sum(moves(middle)) <= eps
            return jnp.where(fits, least, middle), jnp.where(fits, middle, most)

        most = jnp.max(sizes)
        _, t = jax.lax.fori_loop(0, jnp.finfo(x.dtype).nmant + 8, halve, (jnp.zeros_like(most), most))
        return inside(x, jnp.sign(delta) * moves(jnp.where(jnp.sum(moves(0)) <= eps, 0, t)))

    def random_point(key, x):
        direction = jax.random.laplace(jax.random.fold_in(key, 0), x.shape, x.dtype)
        return inside(x, eps * _in_ball(key, direction / jnp.sum(jnp.abs(direction)), x.size))

    def linear_maximiser(g, x):
        """Fills the room there is in the order of slopes, until eps is spent."""
        order, room = jnp.argsort(-jnp.abs(g).ravel()), _room(g, x, low, high, eps)
        sorted_room = room[order]
        spent_before = jnp.append(0, jnp.cumsum(sorted_room)[:-1])
        moves = jnp.zeros_like(room).at[order].set(jnp.clip(eps - spent_before, 0, sorted_room))
        return inside(x, moves.reshape(x.shape) * jnp.sign(g))

    return PerturbationSet((low, high), project, random_point, linear_maximiser, lambda g: eps * _unit(g))


def patch(mask: np.ndarray, box: Box) -> PerturbationSet:
    """Lets the numbers under a mask become anything in the box: occlusion by a patch of the attacker's making.

    Args:
        mask: bool, of an example's shape, or of one that broadcasts to it with as many axes, as `[height, width, 1]`.
        box: finite.
    """
    (low, high), mask = _sides(box), np.asarray(mask)
    if not math.isfinite(low) or not math.isfinite(high):
        raise UserError(f"numbers that may become anything need a finite box, not {box}")
    if mask.dtype != bool:
        raise UserError(f"a mask is an array of bool, not {mask.dtype}")

    def chosen(then, x):
        if mask.ndim and (mask.ndim != x.ndim or any(m not in (1, n) for m, n in zip(mask.shape, x.shape))):
            raise UserError(f"a mask of {list(mask.shape)} does not fit examples of {list(x.shape)}; give one of their shape")
        return jnp.where(mask, then, x)

    def random_point(key, x):
        return chosen(jax.random.uniform(key, x.shape, x.dtype, low, high), x)

    return PerturbationSet(
        box=(low, high),
        project=lambda z, x: chosen(jnp.clip(z, low, high), x),
        random_point=random_point,
        linear_maximiser=lambda g, x: chosen(_corner(g, x, low, high), x),
        stride=lambda g: chosen((high - low) * jnp.sign(g), jnp.zeros_like(g)),
    )


def anywhere(box: Box) -> PerturbationSet:
    """Lets an example become any other in the box, as an l-infinity ball with eps = infinity does."""
    return patch(np.array(True), box)


def affine(directions: np.ndarray, eps: float | Array, box: Box) -> PerturbationSet:
    """Lets an example move by a Euclidean distance of up to `eps` within the span of given directions.

    A point outside the box is drawn back to `x` in a straight line, for clipping would leave the span. So an `x` that already has
    numbers at the box's side may not get far; the linear maximiser is exact for one direction, or where the box is not reached.

    Args:
        directions: `[k, ...]`, independent of each other, each of an example's shape.
        eps: as for `linf`.
        box: as for `linf`.

    Raises:
        UserError: directions dependent, besides what all sets refuse.
    """
    eps, (low, high), directions = _radius(eps), _sides(box), np.asarray(directions, np.float64)
    rows = directions.reshape(len(directions), -1)
    if rows.shape[0] > rows.shape[1] or np.linalg.matrix_rank(rows) < len(rows):
        raise UserError(f"the {len(rows)} directions of an affine set must be independent of each other; leave some out")
    orthonormal = np.linalg.qr(rows.T)[0].T

    def along(v):
        if v.shape != directions.shape[1:]:
            raise UserError(f"directions of {list(directions.shape[1:])} do not fit examples of {list(v.shape)}")
        basis = jnp.asarray(orthonormal, v.dtype)
        return ((basis @ v.ravel()) @ basis).reshape(v.shape)

    def inside(x, delta):
        delta = _shortened(delta, _l2(delta), eps)
        room = jnp.where(delta > 0, high - x, x - low)
        shares = jnp.where(delta != 0, room / jnp.where(delta != 0, jnp.abs(delta), 1), jnp.inf)
        return jnp.clip(_shift(x, delta * jnp.minimum(1, jnp.min(shares))), low, high)

    def random_point(key, x):
        coefficients = _unit(jax.random.normal(jax.random.fold_in(key, 0), (len(rows),), x.dtype))
        at = (coefficients @ jnp.asarray(orthonormal, x.dtype)).reshape(x.shape)
        return inside(x, eps * _in_ball(key, at, len(rows)))

    stride = lambda g: eps * _unit(along(g))
    return PerturbationSet(
        (low, high), lambda z, x: inside(x, along(z - x)), random_point, lambda g, x: inside(x, stride(g)), stride
    )


def _radius(eps):
    if isinstance(eps, jax.core.Tracer):
        return eps
    if np.ndim(eps) or not 0 <= float(eps) < math.inf:
        raise UserError(f"eps must be a finite number of at least 0, not {eps}; for no bound but the box take `anywhere`")
    return float(eps)


def _sides(box) -> Box:
    low, high = box
    if not low < high:
        raise UserError(f"a box is (least, greatest), as (0, 1), not {box}")
    return float(low), float(high)


def _shift(x, delta):
    """`x + delta`, rounded towards x: no number moves by more than |delta|."""
    z = x + delta
    return jnp.where(jnp.abs(z - x) > jnp.abs(delta), jnp.nextafter(z, x), z)


def _shortened(delta, length, eps):
    """Scales a perturbation that is too long to `eps`, less what its length's own rounding may have hidden."""
    bound = eps * (1 - 8 * jnp.finfo(delta.dtype).eps)
    return delta * jnp.minimum(1, bound / jnp.maximum(length, jnp.finfo(delta.dtype).tiny))


def _l2(v):
    """Euclidean norm that neither overflows nor underflows on the way."""
    largest = jnp.max(jnp.abs(v))
    return largest * jnp.sqrt(jnp.sum(jnp.square(v / jnp.where(largest > 0, largest, 1))))


def _unit(v):
    return v / jnp.maximum(_l2(v), jnp.finfo(v.dtype).tiny)


def _relative(g):
    """Sizes of slopes, flat, the greatest of them one; all zero where there is no slope."""
    sizes = jnp.abs(g).ravel()
    return sizes / jnp.maximum(jnp.max(sizes), jnp.finfo(g.dtype).tiny)


def _room(g, x, low, high, eps):
    """How far each number may move along its slope, flat: to the box's side, and never by more than eps."""
    return jnp.minimum(jnp.where(g > 0, high - x, x - low), eps).ravel()


def _corner(g, x, least, greatest):
    return jnp.where(g > 0, greatest, jnp.where(g < 0, least, x))


def _in_ball(key, direction, dimension):
    """From uniform on the unit sphere of a norm to uniform in its ball."""
    return direction * jax.random.uniform(jax.random.fold_in(key, 1), (), direction.dtype) ** (1 / dimension)
