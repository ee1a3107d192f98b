"""Attacks that see values of the loss but no gradient: NES and Square, which query it, and grids of fixed transformations."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.attacks.gradient import ascend
from jaxgan.attacks.protocol import Attack, aim_of, fold, march, over, positive, prepare, where
from jaxgan.attacks.sets import PerturbationSet
from jaxgan.types import Array, UserError

SHRINKS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries, when Square halves its window's share


def nes(allowed: PerturbationSet, steps: int = 40, samples: int = 50, spread: float = 1e-3, step: float | None = None) -> Attack:
    """Climbs as PGD does, along a gradient estimated from `2 samples` values of the loss a step.

    `mean (loss(z + spread u) - loss(z - spread u)) u / (2 spread)` over standard normal `u` is the gradient of the loss smoothed
    by that noise. The loss is asked a little outside of the set, too.

    Args:
        allowed: the set.
        steps: at least 1.
        samples: pairs of queries, at least 1.
        spread: positive, in units of the examples.
        step: as for `pgd`.

    Reference:
        Ilyas et al., 2018, algorithm 1 (https://arxiv.org/abs/1804.08598).
    """
    length = 2.5 / positive("steps", steps) if step is None else step
    positive("samples", samples)
    if not 0 < length < math.inf or not 0 < spread < math.inf:
        raise UserError(f"a step and a spread must be positive, not {length} and {spread}")

    def attack(loss, x, key):
        aim, x, keys = prepare(allowed, loss, x, key)

        def look(z, keys, given, i):
            def add(total, j):
                draw = lambda key: jax.random.normal(key, z.shape[1:], z.dtype)
                u = jax.vmap(draw)(fold(keys, i * samples + j))
                ahead, behind = (aim.judge(z + move, *given)[0] for move in (spread * u, -spread * u))
                return total + over(ahead - behind, z).astype(z.dtype) * u, None

            return jax.lax.scan(add, jnp.zeros_like(z), jnp.arange(samples))[0], aim.judge(z, *given)[1]

        return ascend(allowed, aim, look, x, x, keys, steps, length)

    return attack


def square(allowed: PerturbationSet, steps: int = 1000, share: float = 0.8) -> Attack:
    """Tries a random window of the set's extreme values at a time, and keeps what raises the loss: one query a step.

    It starts from stripes along an image's first axis; windows shrink on the paper's schedule. For l-infinity this is the paper's
    attack; in other sets the same moves are projected. Points `[batch, size]` are attacked by intervals of their numbers.

    Args:
        allowed: the set.
        steps: at least 1.
        share: in (0, 1], of an example's area that the first windows take.

    Reference:
        Andriushchenko et al., 2020, algorithms 1 and 2 (https://arxiv.org/abs/1912.00049).
    """
    if not 0 < share <= 1:
        raise UserError(f"a window takes a share of an image in (0, 1], not {share}")
    times = np.searchsorted(np.array(SHRINKS) * positive("steps", steps) / 10_000, np.arange(steps), side="right")
    shares = share / 2.0**times

    def attack(loss, x, key):
        aim, x, keys = prepare(allowed, loss, x, key)
        shape = x.shape[1:]
        sides, colour = (shape[:-1], (*(1,) * len(shape[:-1]), shape[-1])) if len(shape) > 1 else (shape, (1,))
        stripes = (1, *shape[1:]) if len(shape) > 1 else shape

        def signs(key, shape):
            return jax.random.rademacher(key, shape, x.dtype)

        def begin(key, x):
            return allowed.project(x + allowed.stride(jnp.broadcast_to(signs(key, stripes), shape)), x)

        def propose(key, z, x, share):
            key, own = jax.random.split(key)
            window = jnp.ones(shape, bool)
            for axis, size in enumerate(sides):
                length = jnp.clip(jnp.round(size * share ** (1 / len(sides))), 1, size).astype(int)
                key, drawn = jax.random.split(key)
                first = jax.random.randint(drawn, (), 0, size - length + 1)
                at = jnp.arange(size).reshape(-1, *(1,) * (len(shape) - 1 - axis))
                window &= jnp.broadcast_to((at >= first) & (at < first + length), shape)
            move = allowed.stride(jnp.where(window, signs(own, colour), 0))
            return allowed.project(jnp.where(window, x + move, z), x)

        def search(state, done, own, at):
            (z, value), (x, keys, given), (i, share) = state, own, at
            tried = jax.vmap(propose, (0, 0, 0, None))(fold(keys, i), z, x, share.astype(x.dtype))
            tried_value, succeeds = aim.judge(tried, *given)
            better = ~done & (succeeds | (tried_value > value))
            return (where(better, tried, z), jnp.where(better, tried_value, value)), done | (better & succeeds)

        z = where(aim.success(x), x, jax.vmap(begin)(fold(keys, steps), x))
        value, done = aim.judge(z, *aim.given)
        return march(search, (z, value), done, (x, keys, aim.given), (jnp.arange(steps), shares), aim.divisible)[0]

    return attack


def spatial(transformations: Iterable[Callable[[Array], Array]]) -> Attack:
    """Tries every one of some fixed transformations, and keeps the one that does each example the most harm.

    The model is called as a plain function of numpy arrays, and may be anything: a program on another machine, say. So this
    attack itself cannot be jitted. The example as it is counts as tried; the only set to stay in is that of the transformations.

    Args:
        transformations: each `[batch, height, width, channels] -> ` the same shape; see `rotations` and `occlusions`.

    Reference:
        Engstrom et al., 2019, section 3 (https://arxiv.org/abs/1712.02779).
    """
    transformations = tuple(transformations)

    def attack(loss, x, key):
        del key  # a grid is searched, nothing is drawn
        worst = x = _images(x)
        aim, found = aim_of(loss), np.full(len(x), -np.inf)
        for change in (lambda x: x, *transformations):
            z = np.asarray(change(x))
            value, done = map(np.asarray, aim.judge(z, *aim.given))
            if value.shape != found.shape:
                raise UserError(f"the loss must give one value an example, [{len(x)}], not an array of shape {list(value.shape)}")
            value = np.where(done, np.inf, value)
            worst = np.where((value > found)[:, None, None, None], z, worst)
            found = np.maximum(value, found)
        return worst

    return attack


def rotations(
    degrees: Sequence[float] = tuple(range(-30, 31, 2)), shifts: Sequence[float] = (-3, 0, 3), fill: float = 0.0
) -> list[Callable[[Array], Array]]:
    """Lists all combinations of a rotation with shifts down and to the right, for `spatial`.

    Args:
        degrees: counter-clockwise.
        shifts: in pixels.
        fill: the number that comes in from outside; the box's least one for black.
    """
    return [
        lambda x, turn=(angle, down, right): np.asarray(moved(jnp.asarray(x), *turn, fill))
        for angle in degrees
        for down in shifts
        for right in shifts
    ]


def occlusions(shape: tuple[int, ...], side: int, fill: float = 0.0) -> list[Callable[[Array], Array]]:
    """Lists squares of one number, half overlapping, that together cover an image, for `spatial`.

    Args:
        shape: height, width and perhaps channels.
        side: of the squares, in 1 .. the smaller side of the image.
        fill: the number.
    """
    height, width = shape[:2]
    if not 1 <= side <= min(height, width):
        raise UserError(f"a square of side {side} does not fit in an image of {height}x{width}")
    starts = [sorted({*range(0, n - side, max(side // 2, 1)), n - side}) for n in (height, width)]

    def cover(x, top, left):
        x = np.array(x)
        x[:, top : top + side, left : left + side] = fill
        return x

    return [lambda x, at=(top, left): cover(x, *at) for top in starts[0] for left in starts[1]]


@functools.partial(jax.jit, static_argnums=4)
def moved(images: Array, degrees: float, down: float, right: float, fill: float) -> Array:
    """Turns images `[batch, height, width, channels]` counter-clockwise about their middle, then shifts them; bilinear.

    What comes in from outside is `fill`, which must be a Python number.
    """
    height, width = images.shape[1:3]
    angle = jnp.deg2rad(degrees)
    middle = (height - 1) / 2, (width - 1) / 2
    row, column = jnp.meshgrid(jnp.arange(height) - middle[0] - down, jnp.arange(width) - middle[1] - right, indexing="ij")
    source = [
        jnp.cos(angle) * row + jnp.sin(angle) * column + middle[0],
        jnp.cos(angle) * column - jnp.sin(angle) * row + middle[1],
    ]
    read = lambda plane: jax.scipy.ndimage.map_coordinates(plane, source, order=1, mode="constant", cval=fill)
    return jax.vmap(jax.vmap(read, -1, -1))(images)


def _images(x):
    x = np.asarray(x)
    if x.ndim != 4 or not np.issubdtype(x.dtype, np.floating):
        raise UserError(f"images are floating-point [batch, height, width, channels], not {x.dtype}{list(x.shape)}")
    return x
