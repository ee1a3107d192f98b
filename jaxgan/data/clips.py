"""Clips: digits that move by a known flow, a figure in a maze that turns left or right, and the user's own.

A clip is a whole under "real", `[frames, height, width, 3]` in [-1, 1], and its frames' sources, which are grey, are under
"source". For the prediction of frames `continued` divides it into "past" and "real".
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageSequence

from jaxgan import pictures
from jaxgan.data import images, pairs, toys
from jaxgan.types import Array, Batch, UserError

Draw = Callable[[tuple[int, int], int], Batch]  # ((seed, step), count) -> leaves [count, ...]
WINDOW = 3  # what a host-side random stream is for
FILMS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
STILL_MS = 100  # that a frame is shown where its file does not say


class Clips(NamedTuple):
    """A source of clips.

    Attributes:
        name: canonical spec.
        shape: (frames, height, width, channels) of a clip.
        train: draws what is trained on; the same for the same (seed, step) and count.
        held_out: draws what is not.
    """

    name: str
    shape: tuple[int, int, int, int]
    train: Draw
    held_out: Draw


def batches(clips: Clips, batch_size: int, slices: int = 1, seed: int = 0) -> Callable[[int], Batch]:
    """Gives the batch of every step, leaves `[slices, batch_size, ...]`, as a pure function of (seed, step).

    Args:
        clips: from a function below.
        batch_size: clips in a slice, >= 1.
        slices: slices in a batch, one for each turn of a round, >= 1.
        seed: in [0, 2^32).
    """
    lead = (slices, batch_size)

    def batch_at(step):
        return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), clips.train((seed, step), slices * batch_size))

    return batch_at


def held_out(clips: Clips, count: int) -> dict[str, np.ndarray]:
    """Gives `count` clips that are never trained on, the same ones at every call."""
    return jax.device_get(dict(clips.held_out(toys.HELD_OUT, count)))


def continued(batch: Batch) -> Batch:
    """Divides clips under "real" into all frames but the last, "past", and the last, "real"; keeps labels alone."""
    clip = batch["real"]
    rest = {name: batch[name] for name in batch if name == "label"}
    return {**rest, "past": clip[..., :-1, :, :, :], "real": clip[..., -1, :, :, :]}


# Moving digits ------------------------------------------------------------------------------------------------------------------


def moving_digits(size: int = 0, frames: int = 6) -> Clips:
    """Makes clips of scikit-learn's digits that move by whole pixels on an even ground, with their true flow.

    The source tells where strokes are; their colour and that of the ground, one for a clip, it leaves open. Batches hold "real",
    "source" `[count, frames, size, size, 1]`, "label", and "flow" `[count, frames - 1, size, size, 3]`: of every frame but the
    first, where each pixel was in the frame before, in rows and columns, and 1 where it was visible there.

    Args:
        size: height and width of a frame, at least 16; 0 for 32. Digits are half as large.
        frames: of a clip, at least 2.

    Raises:
        UserError: an argument out of its range.
    """
    size = size or 32
    if size < 16 or frames < 2:
        raise UserError(f"moving digits need 16 pixels and 2 frames at least, not image_size={size} and {frames} frames")

    def drawer(part):
        strokes = (images.as_meant(part.images, part.middle)[..., 0] + 1) / 2
        stored = jax.device_put((np.where(strokes > 0.1, strokes, 0).astype(np.float32), part.labels))
        return lambda address, count: _move(*stored, _address(address), count, frames, size)

    train, held = images.digits(size // 2)
    return Clips("moving_digits", (frames, size, size, 3), drawer(train), drawer(held))


@functools.partial(jax.jit, static_argnames=("count", "frames", "size"))
def _move(digits: Array, labels: Array, address: Array, count: int, frames: int, size: int) -> Batch:
    keys = jax.random.split(_key(address), 4)
    room, last = size - digits.shape[1], frames - 1
    which = jax.random.randint(keys[0], (count,), 0, len(digits))
    fastest = min(2, room // last)
    speed = jax.random.randint(keys[1], (count, 2), -fastest, fastest + 1)
    first = jax.random.randint(keys[2], (count, 2), jnp.maximum(0, -speed * last), room + 1 - jnp.maximum(0, speed * last))
    stroke, ground = jnp.split(jax.random.uniform(keys[3], (count, 1, 1, 1, 6)), 2, axis=-1)

    def place(digit, corner):
        return jax.lax.dynamic_update_slice(jnp.zeros((size, size)), digit, corner)

    corners = first[:, None] + speed[:, None] * jnp.arange(frames)[None, :, None]
    ink = jax.vmap(lambda digit, path: jax.vmap(lambda corner: place(digit, corner))(path))(digits[which], corners)[..., None]
    there = ink > 0
    real = jnp.where(there, ink * (0.2 + 0.8 * stroke) * 2 - 1, 0.8 * ground - 1)
    moved = jnp.where(there[:, 1:], -speed[:, None, None, None].astype(jnp.float32), 0)
    visible = there[:, 1:] | ~there[:, :-1]  # ground where the digit was before has just come into sight
    flow = jnp.concatenate([moved, visible.astype(jnp.float32)], axis=-1)
    return {"real": real, "source": 2.0 * there - 1, "flow": flow, "label": labels[which]}


# A maze with a fork -------------------------------------------------------------------------------------------------------------

JUNCTIONS = np.array([(row, column) for row in range(1, 5) for column in range(2, 6)])  # of a maze of 8 by 8 cells


def maze(size: int = 0, past: int = 3) -> Clips:
    """Makes clips of a yellow figure that comes up a corridor of a maze and turns left or right at its end, with equal chances.

    Batches hold "real" and "label", 0 for left and 1 for right: nothing in the frames before the last tells it. A quarter of the
    places where the corridor can end are held out.

    Args:
        size: height and width of a frame, a multiple of 8, at least 16; 0 for 32.
        past: frames before the turn, 1 to 4.

    Raises:
        UserError: an argument out of its range.
    """
    size = size or 32
    if size % 8 or size < 16 or not 1 <= past <= 4:
        raise UserError(f"a maze is a multiple of 8 pixels, 16 at least, after 1 to 4 frames, not {size} pixels after {past}")
    kept_back = JUNCTIONS.sum(axis=1) % 4 == 0

    def drawer(junctions):
        stored = jax.device_put(junctions)
        return lambda address, count: _walk(stored, _address(address), count, past, size)

    return Clips("maze", (past + 1, size, size, 3), drawer(JUNCTIONS[~kept_back]), drawer(JUNCTIONS[kept_back]))


@functools.partial(jax.jit, static_argnames=("count", "past", "size"))
def _walk(junctions: Array, address: Array, count: int, past: int, size: int) -> Batch:
    cell = size // 8
    place_key, side_key = jax.random.split(_key(address))
    end = junctions[jax.random.randint(place_key, (count,), 0, len(junctions))]
    label = jax.random.bernoulli(side_key, 0.5, (count,)).astype(jnp.int32)

    row, column = (end[:, i, None, None] for i in (0, 1))
    down, across = (jnp.arange(size) // cell)[None, :, None], (jnp.arange(size) // cell)[None, None]
    corridor = ((across == column) & (down >= row)) | ((down == row) & (jnp.abs(across - column) <= 2))

    up = jnp.arange(past - 1, -1, -1)
    rows = jnp.concatenate([end[:, :1] + up[None], end[:, :1]], axis=1)  # [count, frames]
    columns = jnp.concatenate([jnp.repeat(end[:, 1:], past, axis=1), end[:, 1:] + 2 * label[:, None] - 1], axis=1)
    distance = lambda axis, at: jnp.arange(size).reshape(axis) + 0.5 - cell * (at[..., None, None] + 0.5)
    figure = distance((1, 1, -1, 1), rows) ** 2 + distance((1, 1, 1, -1), columns) ** 2 < (0.48 * cell) ** 2

    colour = lambda *rgb: jnp.array(rgb, jnp.float32)[None, None, None, None]
    floor = jnp.where(corridor[:, None, ..., None], colour(-1, -1, -1), colour(-1, -1, 1))
    return {"real": jnp.where(figure[..., None], colour(1, 1, -1), floor), "label": label}


def sides(past: Array, frame: Array) -> np.ndarray:
    """Measures to which side of its corridor the maze's figure is: -1 left, 1 right, 0 where it is on both alike, or on neither.

    What is red (the figure, and nothing else, is yellow) is compared with the figure of the last frame, a cell further on.

    Args:
        past: `[count, frames, height, width, 3]`, whose last frame has the figure at the fork.
        frame: `[count, height, width, 3]`, real or predicted.

    Returns:
        `[count]`: the share of the figure that is to the right, less the share that is to the left.
    """
    seen, before = ((1 + np.clip(x[..., 0], -1, 1)) / 2 for x in (np.asarray(frame), np.asarray(past)[:, -1]))
    left, right = (np.roll(before, step * frame.shape[2] // 8, axis=2) for step in (-1, 1))
    return (seen * (right - left)).sum(axis=(1, 2)) / np.square(before).sum(axis=(1, 2))


# The user's clips ---------------------------------------------------------------------------------------------------------------


def folder(where: str, frames: int = 6, size: int = 0) -> Clips:
    """Reads clips: each sub-folder of frames, in the order of their names, each animated GIF, WebP or PNG, and each film.

    Frames that lie in the folder itself are a clip, too. Of several clips a tenth, at least one, is held out; of a single one the
    end. Drawn are `frames` neighbours at a random place. Sources are outlines, by `pairs.edges`. All frames become RGB.

    Args:
        where: the folder.
        frames: of what is drawn, at least 2.
        size: height and width to crop and resize to; 0 keeps the native size, which all must share.

    Raises:
        UserError: no clips, a clip with too few frames, a file that cannot be read, or several sizes and no `size`.
    """
    root = Path(where)
    if not root.is_dir():
        raise UserError(f"clips:{where} is not a folder: check the path")
    found = {path: read(files)[0] for path, files in below(root).items()}
    if not found:
        raise UserError(f"clips:{where} has no clips: put a sub-folder of frames, an animated GIF or WebP, or a film there")
    for path, clip in found.items():
        if len(clip) < frames:
            raise UserError(f"{path} is a clip of {len(clip)} frames where {frames} are needed: add frames, or take it away")
    clips = list(found.values())
    shapes = {clip[0].shape[:2] for clip in clips} | {frame.shape[:2] for clip in clips for frame in clip}
    if not size and len(shapes) > 1:
        (one, other) = sorted(shapes)[:2]
        raise UserError(
            f"clips:{where} holds frames of different sizes ({one[1]}x{one[0]} and {other[1]}x{other[0]}): give --image_size"
        )
    arrays = [np.concatenate([images.resized(frame[None], size) for frame in clip]) for clip in clips]
    if len(arrays) > 1:
        train, held = ([arrays[i] for i in index] for index in images.split(len(arrays)))
    else:
        end = max(frames, len(arrays[0]) // 10)
        train, held = [arrays[0][:-end]], [arrays[0][-end:]]
        if len(train[0]) < frames:
            raise UserError(f"clips:{where} has one clip of {len(arrays[0])} frames: give a second clip, or {2 * frames} frames")
    return Clips(f"clips:{where}", (frames, *arrays[0].shape[1:]), _windows(train, frames), _windows(held, frames))


def _windows(clips: list[np.ndarray], frames: int) -> Draw:
    """Draws stretches of clips, all equally likely."""
    starts = [(i, start) for i, clip in enumerate(clips) for start in range(len(clip) - frames + 1)]
    outlines = [pairs.edges(clip)[..., :1].copy() for clip in clips]

    def draw(address, count):
        chosen = np.random.default_rng([*address, WINDOW]).integers(0, len(starts), count)
        cut = lambda parts: np.stack([parts[i][at : at + frames] for i, at in (starts[n] for n in chosen)])
        return {name: jnp.asarray(images.as_meant(cut(parts), 127.5)) for name, parts in (("real", clips), ("source", outlines))}

    return draw


def below(root: Path) -> dict[Path, list[Path]]:
    """Finds the files of each clip in a folder: a film or an animation alone, or all other images of a folder, named as it is.

    Raises:
        UserError: a file that cannot be read.
    """
    found: dict[Path, list[Path]] = {}
    for path in sorted(path for path in images.walk(root) if path.suffix.lower() in images.SUFFIXES + FILMS):
        found.setdefault(path if is_film(path) or length([path]) > 1 else path.parent, []).append(path)
    return found


def is_film(path: Path) -> bool:
    """Says whether a file is a film by its name."""
    return path.suffix.lower() in FILMS


def length(files: list[Path]) -> int:
    """Counts a clip's frames, without decoding them where the file tells; arguments and errors as of `read`."""
    if len(files) > 1:
        return len(files)
    with _opened(files[0]) as found:
        if not is_film(files[0]):
            return getattr(found, "n_frames", 1)
        return found.streams.video[0].frames or sum(1 for _ in found.decode(video=0))


def read(files: list[Path]) -> tuple[list[np.ndarray], list[float]]:
    """Decodes a clip: uint8 frames `[height, width, 3]`, transparency laid on white, and the milliseconds each is shown.

    Args:
        files: as from `below`.

    Raises:
        UserError: a file that cannot be read, or a film where PyAV is not installed.
    """
    if len(files) > 1:
        return [pairs.read_native(path) for path in files], [STILL_MS] * len(files)
    if is_film(files[0]):
        with _opened(files[0]) as film:
            upright = lambda frame: np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)  # as telephones hold it
            frames = [upright(frame) for frame in film.decode(video=0)]
            return frames, [float(1000 / film.streams.video[0].average_rate)] * len(frames)
    if length(files) == 1:
        return [pairs.read_native(files[0])], [STILL_MS]
    frames, durations = [], []
    with _opened(files[0]) as image:
        white = Image.new("RGBA", image.size, "white")
        for frame in ImageSequence.Iterator(image):
            shown = Image.alpha_composite(white, frame.convert("RGBA"))  # decoding it is what tells its duration
            frames.append(np.asarray(shown.convert("RGB")))
            durations.append(round(frame.info.get("duration", 0)) or STILL_MS)
    return frames, durations


@contextlib.contextmanager
def _opened(path: Path) -> Iterator:
    """Opens a film or an image file; what goes wrong with it is a UserError."""
    opened, kind = (pictures.pyav().open, "film") if is_film(path) else (Image.open, "image")
    try:
        with opened(path) as found:
            yield found
    except Exception as problem:  # Pillow's plugins and PyAV raise what they like
        raise UserError(f"{path} is not a readable {kind} ({images.reason(problem)}): repair or remove it") from problem


# What the drawn ones share ------------------------------------------------------------------------------------------------------


def _address(address: tuple[int, int]) -> Array:
    return jax.device_put(np.array(address, np.uint32))


def _key(address: Array) -> Array:
    return jax.random.fold_in(jax.random.key(address[0]), address[1])
