"""Random changes of what a critic sees, so that it cannot learn few images by heart.

Real and generated images are changed alike, before the critic scores them and in both players' turns, by operations the
generator's gradient flows through. Were only real images changed, the generator would learn to make changed ones.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.games.adversarial import Augment, fields
from jaxgan.parallel import average, draw
from jaxgan.types import Array, Key, Loss, Network, Outcome, UserError


class Change(NamedTuple):
    """A change of images `[n, height, width, channels]`, of any size and in [-1, 1], by random numbers for each.

    Attributes:
        numbers: how many an image takes.
        apply: `(images, u [n, numbers] in [0, 1)) -> images`, differentiable in the images.
    """

    numbers: int
    apply: Callable[[Array, Array], Array]


def brightness(reach: float = 0.5) -> Change:
    """Adds one number in [-reach, reach] to all pixels."""
    return Change(1, lambda x, u: x + reach * (2 * _lift(u[:, 0]) - 1))


def saturation() -> Change:
    """Multiplies each pixel's distance from its own grey by a number in [0, 2]; does nothing to grey images."""

    def change(x, u):
        grey = jnp.mean(x, axis=3, keepdims=True)
        return grey + (x - grey) * 2 * _lift(u[:, 0])

    return Change(1, change)


def contrast() -> Change:
    """Multiplies each pixel's distance from the mean of its image by a number in [0.5, 1.5]."""

    def change(x, u):
        mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
        return mean + (x - mean) * (0.5 + _lift(u[:, 0]))

    return Change(1, change)


def translation(share: float = 1 / 8) -> Change:
    """Moves each image by whole pixels, up to a share of its height and width; zeros come in."""

    def change(x, u):
        height, width = x.shape[1:3]
        reach = [int(share * size + 0.5) for size in (height, width)]
        padded = jnp.pad(x, ((0, 0), *((r, r) for r in reach), (0, 0)))
        start = jnp.stack([_integer(u[:, i], 2 * r + 1) for i, r in enumerate(reach)], axis=1)
        window = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), x.shape[1:])
        return jax.vmap(window)(padded, start)

    return Change(2, change)


def cutout(share: float = 0.5) -> Change:
    """Sets a rectangle of a share of height and width to zero, its centre anywhere in the image."""

    def change(x, u):
        masks = []
        for i, size in enumerate(x.shape[1:3]):
            hole = int(share * size + 0.5)
            start = _integer(u[:, i], size + 1 - hole % 2)[:, None] - hole // 2
            pixel = jnp.arange(size)[None]
            masks.append((start <= pixel) & (pixel < start + hole))
        return jnp.where((masks[0][:, :, None] & masks[1][:, None, :])[..., None], 0, x)

    return Change(2, change)


def flip() -> Change:
    """Mirrors every other image, left to right."""
    return Change(1, lambda x, u: jnp.where(_lift(u[:, 0]) < 0.5, x[:, :, ::-1], x))


def quarter_turns() -> Change:
    """Turns each image by 0, 90, 180 or 270 degrees; images must be square."""

    def change(x, u):
        if x.shape[1] != x.shape[2]:
            raise UserError(f"images of {x.shape[1]}x{x.shape[2]} pixels cannot be turned by a quarter; leave quarter_turns out")
        turn, turned = _integer(u[:, 0], 4), x
        for i in range(1, 4):
            turned = jnp.where(_lift(turn) == i, jnp.rot90(x, i, axes=(1, 2)), turned)
        return turned

    return Change(1, change)


COLOUR = (brightness(), saturation(), contrast())
DIFF_AUGMENT = (*COLOUR, translation(), cutout())  # the policy of Zhao et al. that is best with few images
ADAPTIVE = (flip(), quarter_turns(), translation(), *COLOUR)  # of Karras et al., without scaling, filters and any angle


def diff_augment(changes: Sequence[Change] = DIFF_AUGMENT, axis_name: str | None = None) -> Augment:
    """Makes every change to every image the critic sees, for `adversarial`'s `augment`.

    Args:
        changes: in their order.
        axis_name: of the devices, on which an image meets the same numbers whatever their count.

    Reference:
        Zhao et al., 2020, section 3 (https://arxiv.org/abs/2006.10738); strengths are those of their code.
    """
    alter = _alter(changes, axis_name)
    return lambda key, images, step: alter(key, images, 1.0)


def augmented(disc: Network, changes: Sequence[Change] = ADAPTIVE, chance: float = 0.0, axis_name: str | None = None) -> Network:
    """Makes a critic see its images changed in training, each change with a chance that it carries: for any game.

    As the chance is part of the stats, both players meet the same, a checkpoint holds it, and `adaptive` may move it. Penalties
    on the critic go through the changes. With a chance of 1 this is `diff_augment`.

    Args:
        disc: takes images, and may take more.
        changes: in their order.
        chance: at the start, in [0, 1].
        axis_name: as in `diff_augment`. A joint pass of real and generated images would meet numbers by the device count.

    Returns:
        A `Network` whose stats are `{"network": stats, "chance": scalar}`.

    Raises:
        UserError: a chance outside [0, 1].
    """
    if not 0 <= chance <= 1:
        raise UserError(f"changes cannot be made with a chance of {chance}; take one in [0, 1]")
    alter = _alter(changes, axis_name)

    def init(key, x, *given):
        params, stats = disc.init(key, x, *given)
        return params, {"network": stats, "chance": jnp.float32(chance)}

    def apply(params, stats, x, *given, train, key=None):
        if train:
            key, own = jax.random.split(key)
            x = alter(own, x, stats["chance"])
        output, carried = disc.apply(params, stats["network"], x, *given, train=train, key=key)
        return output, {**stats, "network": carried}

    return Network(init, apply)


def adaptive(
    loss: Loss,
    disc: Network,
    given: Sequence[str] = (),
    target: float = 0.6,
    images: int = 500_000,
    every: int = 4,
    axis_name: str | None = None,
) -> Loss:
    """Moves the chance of an `augmented` critic by how sure it is of the real images: `r = E sign(critic(real))`.

    A critic that knows the real images by heart gives them all a positive score, r = 1; one that knows nothing has r = 0. The
    chance rises where r is above the target, and falls where it is below. Take changes that do not leak, as those of `ADAPTIVE`:
    made with a chance below 0.8 or so, they let only the right distribution look right.

    Args:
        loss: the critic's, from any game; scores above zero mean real.
        disc: from `augmented`: images, and what is given, to scores `[batch]`.
        given: as in `adversarial`.
        target: of r.
        images: how many real ones it takes to move the chance from 0 to 1.
        every: rounds from one look at r to the next, each of which costs a pass over the batch without a gradient.
        axis_name: of the devices that r is taken over.

    Returns:
        The critic's loss, which also reports "chance".

    Reference:
        Karras et al., 2020, sections 2.2 and 3 (https://arxiv.org/abs/2006.06676), where r is over the last four batches.
    """

    def adapted(nets, turn):
        loss_key, key = jax.random.split(turn.key)
        value, outcome = loss(nets, turn._replace(key=loss_key))
        weights, stats = jax.lax.stop_gradient(nets["disc"])
        real, told = turn.batch["real"], fields(turn, given)

        def look():
            return jnp.mean(jnp.sign(disc.apply(weights, stats, real, *told, train=True, key=key)[0]))

        now = turn.step % every == 0
        r = average(jax.lax.cond(now, look, lambda: 0 * jax.lax.stop_gradient(value)), axis_name)
        devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
        speed = every * devices * len(real) / images
        chance = jnp.clip(stats["chance"] + jnp.where(now, speed * jnp.sign(r - target), 0), 0, 1)
        moved = {**outcome.stats, "chance": chance}
        return value, Outcome(moved, {**outcome.metrics, "chance": chance})

    return adapted


def _alter(changes: Sequence[Change], axis_name: str | None) -> Callable[[Key, Array, Array | float], Array]:
    """Makes `(key, images, chance) -> images`, where each image meets each change with that chance."""
    wanted = sum(1 + change.numbers for change in changes)
    numbers = draw(lambda key, count: jax.random.uniform(key, (count, wanted)), axis_name)

    def alter(key, images, chance):
        if images.ndim != 4:
            raise UserError(f"these changes are for images [n, height, width, channels], not for examples {images.shape[1:]}")
        left = numbers(key, len(images))
        for change in changes:
            toss, own, left = left[:, 0], left[:, 1 : 1 + change.numbers], left[:, 1 + change.numbers :]
            images = jnp.where(_lift(toss) < chance, change.apply(images, own), images)
        return images

    return alter


def _lift(numbers: Array) -> Array:
    """Lays `[n]` out as `[n, 1, 1, 1]`."""
    return numbers.reshape(-1, 1, 1, 1)


def _integer(u: Array, count: int) -> Array:
    """Turns numbers in [0, 1) into integers 0 .. count - 1, all equally likely."""
    return jnp.minimum(jnp.floor(u * count), count - 1).astype(jnp.int32)
