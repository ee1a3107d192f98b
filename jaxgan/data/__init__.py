"""Real examples for training and for judging: `load` a set, train on `batches`, compare with `held_out`.

A batch is a pure function of (seed, step): nothing about the data belongs into a checkpoint, and a resumed run sees what the
uninterrupted one would have seen.
"""

import difflib
import functools
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data import clips, images, pairs, tfds, toys
from jaxgan.types import Array, Batch, UserError

TOYS = {"line": toys.line_modes, "ring": toys.ring_modes, "grid": toys.grid_modes}
EMBEDDED = {
    "digits": images.digits,
    **{task: functools.partial(pairs.photographs, task) for task in pairs.TASKS},
    **{name: functools.partial(pairs.painted_digits, name) for name in pairs.PAINTS},
    "china2flower": pairs.two_photographs,
    "moving_digits": clips.moving_digits,
    "maze": clips.maze,
}
READERS = {
    **{"idx": images.idx, "folder": images.folder, "npz": images.npz, "tfds": tfds.read},
    **{"pairs": pairs.folder, "unpaired": pairs.unpaired, "clips": lambda where, size: clips.folder(where, size=size)},
}
# What stands before a spec's colon.
PAIRED, UNPAIRED = {*pairs.TASKS, "pairs"}, {*pairs.PAINTS, "china2flower", "unpaired"}
CLIPS, CLIPS_WITH_SOURCES = {"moving_digits", "maze", "clips"}, {"moving_digits", "clips"}
GIVEN = ("idx:DIR", "folder:DIR", "npz:FILE", "tfds:NAME", "pairs:DIR", "unpaired:DIR_A,DIR_B", "clips:DIR")
SPECS = {spec.partition(":")[0]: spec for spec in (*EMBEDDED, *TOYS, *GIVEN)}
BLANK = "blank"  # the name of a set that stands for one that is not there
ORDER, MIRROR = 1, 2  # what a host-side random stream is for


class Dataset(NamedTuple):
    """A set of real examples, divided once and for all.

    Attributes:
        name: canonical spec, paths made absolute: `digits`, `idx:/usr/share/datasets/fashion-mnist`.
        shape: of one example: (height, width, channels), or (2,) for points. A pair of images is one example of twice the
            channels, which `pairs.parted` parts; a clip is (frames, height, width, channels).
        num_classes: labels are 0 .. num_classes - 1; 0 where there are none, and for clips.
        train: what `batches` draws from: a finite set, or a mixture or clips without end.
        held_out: what `held_out` draws from; shares no example with `train`.
        other: of two domains without pairs the second, B, with images of the same shape; all else is the first, A.
    """

    name: str
    shape: tuple[int, ...]
    num_classes: int
    train: images.Examples | toys.Mixture | clips.Clips
    held_out: images.Examples | toys.Mixture | clips.Clips
    other: "Dataset | None" = None


def load(spec: str, image_size: int = 0, labels: bool = False) -> Dataset:
    """Loads a set of real examples by its name.

    Args:
        spec: `digits`, `line`, `ring`, `grid`, `idx:DIR`, `folder:DIR`, `npz:FILE` or `tfds:NAME[:SPLIT]`; of pairs
            `grey2colour`, `edges2photo`, `blur2sharp` or `pairs:DIR`; of two domains without pairs `digits2inverted`,
            `digits2colour`, `china2flower` or `unpaired:DIR_A,DIR_B`; of clips `moving_digits`, `maze` or `clips:DIR`.
        image_size: height and width to crop and resize to; 0 keeps the native size. Points have no size.
        labels: whether labels are needed. They are there either way where the set has them.

    Raises:
        UserError: no such set, not readable, fewer than 2 examples to train on, or no labels where they are needed.
    """
    kind, _, where = spec.partition(":")
    if kind in ("idx", "folder", "npz", "pairs", "unpaired", "clips") and where:
        paths = where.split(",") if kind == "unpaired" else [where]
        where = ",".join(os.path.abspath(os.path.expanduser(path)) for path in paths)
        spec = f"{kind}:{where}"
    if image_size < 0:
        raise UserError(f"image_size={image_size}: give a positive height and width, or 0 for the native size")
    if spec in TOYS:
        if image_size:
            raise UserError(f"{spec} holds points, which have no image_size: leave it at 0")
        modes = TOYS[spec]()
        return Dataset(spec, modes.centres.shape[1:], len(modes.centres), modes, modes)
    if spec in EMBEDDED:
        found = EMBEDDED[spec](image_size)
    elif kind in READERS and where:
        found = READERS[kind](where, image_size)
    else:
        near = difflib.get_close_matches(kind, SPECS, n=1)
        hint = f"did you mean {SPECS[near[0]]}? Otherwise " if near else ""
        raise UserError(f"unknown dataset {spec!r}: {hint}choose from {', '.join(SPECS.values())}")

    if isinstance(found, clips.Clips):
        if labels:
            raise UserError(f"{spec} holds clips, of which no labels are learned: use digits, for one")
        return Dataset(spec, found.shape, 0, found, found)
    if isinstance(found, pairs.Domains):
        a, b = (_checked(f"{side} of {spec}", *parts, labels) for side, parts in zip("AB", found, strict=True))
        return a._replace(name=spec, other=b)
    return _checked(spec, *found, labels)


def _checked(spec: str, train: images.Examples, held: images.Examples, labels: bool) -> Dataset:
    """Makes a set of what was read, if it is enough and its labels make sense."""
    count = len(train.images) + len(held.images)
    if len(train.images) < 2 or len(held.images) < 1:
        raise UserError(f"{spec} has too few images ({count}): give at least 3, two to train on and one to hold out")
    num_classes = 0
    if train.labels is not None:
        both = np.concatenate([train.labels, held.labels])
        if both.min() < 0:
            raise UserError(f"{spec} has a negative label ({both.min()}): number the classes from 0, or leave the labels out")
        num_classes = int(both.max()) + 1
    if labels and not num_classes:
        raise UserError(
            f"{spec} has no labels, which are needed here: use digits, a folder with a sub-folder for each class, "
            "or an .npz with 'labels'"
        )
    return Dataset(spec, tuple(train.images.shape[1:]), num_classes, train, held)


def blank(shape: tuple[int, ...], num_classes: int = 0) -> Dataset:
    """Makes a set of the given example shape with nothing in it: enough to trace a game, or to load a trained one.

    Args:
        shape: of one example.
        num_classes: as in `Dataset`.
    """
    nothing = images.Examples(np.zeros((8, *shape), np.uint8), np.zeros(8, np.int32) if num_classes else None)
    return Dataset(BLANK, tuple(shape), num_classes, nothing, nothing)


def batches(dataset: Dataset, batch_size: int, slices: int = 1, seed: int = 0, flips: bool = False) -> Callable[[int], Batch]:
    """Gives the batch of every step, as a pure function of (seed, step).

    Every epoch visits each example once, in its own random order; batches run on across its end. A small set lives on the device
    as it is stored and is gathered there. A larger one is streamed: threads read the steps ahead, and asking for a step out of
    turn only restarts them. Both give the same bits.

    Args:
        dataset: from `load`.
        batch_size: examples in a slice, >= 1.
        slices: slices in a batch, one for each turn of a round, >= 1.
        seed: of order, flips and points, in [0, 2^32).
        flips: mirror each image left to right with probability 1/2.

    Returns:
        `step -> {"real": float32 [slices, batch_size, *shape], "label": int32 [slices, batch_size]}`, without "label" where the
        set has none; images in [-1, 1]. Clips come with all that `data.clips` gives them.

    Raises:
        UserError: a size or seed out of range, or `flips` for points or clips.
    """
    if batch_size < 1 or slices < 1:
        raise UserError(f"batch_size={batch_size}, slices={slices}: give at least 1")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: give a seed from 0 to 2^32 - 1")
    lead, source = (slices, batch_size), dataset.train
    if isinstance(source, clips.Clips):
        if flips:
            raise UserError(f"{dataset.name} holds clips, which are not mirrored: turn flips off")
        return clips.batches(source, batch_size, slices, seed)
    if isinstance(source, toys.Mixture):
        if flips:
            raise UserError(f"{dataset.name} holds points, which are not mirrored: turn flips off")
        centres = jax.device_put(source.centres.astype(np.float32))
        return lambda step: toys.draw(centres, source.sigma, jax.device_put(np.array([seed, step], np.uint32)), lead)

    count, per_step = len(source.images), slices * batch_size

    @functools.lru_cache(maxsize=2)
    def order(epoch):
        return np.random.default_rng([seed, epoch, ORDER]).permutation(count).astype(np.int32)

    def chosen(step):
        first, end = step * per_step, (step + 1) * per_step
        epochs = range(first // count, (end - 1) // count + 1)
        return np.concatenate([order(epoch)[max(first - epoch * count, 0) : end - epoch * count] for epoch in epochs])

    def mirrored(step):
        return np.random.default_rng([seed, step, MIRROR]).random(lead) < 0.5 if flips else None

    def read(step):
        index = chosen(step)
        return source.images[index], None if source.labels is None else source.labels[index]

    if isinstance(source.images, np.ndarray) and source.images.nbytes <= images.RESIDENT_BYTES:
        resident = jax.device_put((source.images, source.labels))

        def batch_at(step):
            return gather(*resident, *jax.device_put((chosen(step).reshape(lead), mirrored(step))), source.middle)
    else:
        read_at = in_turn(read)
        everything = jax.device_put(np.arange(per_step, dtype=np.int32).reshape(lead))

        def batch_at(step):
            return gather(*jax.device_put(read_at(step)), everything, jax.device_put(mirrored(step)), source.middle)

    return batch_at


def held_out(dataset: Dataset, count: int | None = None) -> dict[str, np.ndarray]:
    """Gives examples that are never trained on, the same ones at every call.

    Of a finite set, the first `count` in the order of `numpy.random.default_rng(0).permutation`; of a mixture or of clips, those
    of a stream of their own.

    Args:
        dataset: from `load`.
        count: how many; None for all, or for 2,500 points (the protocol of ring and grid) or 400 clips.

    Returns:
        `{"real": float32 [count, *shape], "label": int32 [count]}`, without "label" where the set has none; images in [-1, 1].
        Clips come with all that `data.clips` gives them.

    Raises:
        UserError: `count` is below 1 or more than there are.
    """
    source = dataset.held_out
    if count is not None and count < 1:
        raise UserError(f"{count} held-out examples: ask for at least 1")
    if isinstance(source, clips.Clips):
        return clips.held_out(source, count or 400)
    if isinstance(source, toys.Mixture):
        centres, address = jax.device_put((source.centres.astype(np.float32), np.array(toys.HELD_OUT, np.uint32)))
        return jax.device_get(toys.draw(centres, source.sigma, address, (count or 2500,)))
    if (count or 0) > len(source.images):
        raise UserError(f"{dataset.name} has {len(source.images)} held-out examples, not {count}: ask for fewer or add images")
    index = np.random.default_rng(0).permutation(len(source.images))[:count]
    real = {"real": images.as_meant(source.images[index], source.middle)}
    return real if source.labels is None else real | {"label": source.labels[index]}


@functools.partial(jax.jit, static_argnames="middle")
def gather(stored: Array, labels: Array | None, index: Array, mirrored: Array | None, middle: float | None) -> Batch:
    """Picks a batch out of stored images.

    Args:
        stored: `[n, height, width, channels]`.
        labels: int32 `[n]`, or None.
        index: int32 `[slices, batch]`, in [0, n).
        mirrored: bool `[slices, batch]`, which to mirror; or None.
        middle: as in `images.Examples`.
    """
    real = images.as_meant(jnp.take(stored, index, axis=0, mode="clip"), middle)
    if mirrored is not None:
        real = jnp.where(mirrored[..., None, None, None], jnp.flip(real, axis=-2), real)
    return {"real": real} if labels is None else {"real": real, "label": jnp.take(labels, index, axis=0, mode="clip")}


def in_turn(read: Callable):
    """Makes `read(step)` run ahead in threads for as long as it is asked for one step after the other."""
    import grain  # seconds that sets on the device need not pay

    ahead = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
    stream, due = None, None

    def read_at(step):
        nonlocal stream, due
        if step != due:
            stream = iter(grain.MapDataset.range(step, sys.maxsize).map(read).to_iter_dataset(ahead))
        due = None  # where the reading fails, the next call starts anew
        result = next(stream)
        due = step + 1
        return result

    return read_at
