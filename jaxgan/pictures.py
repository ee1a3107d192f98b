"""Pictures of samples as uint8 arrays `[height, width, 3]`, and files of them. Needs no display."""

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan.types import UserError

CELL = 64  # pixels that a small image is enlarged to, at most
BACKGROUND = 112
LAST_FRAME_MS = 1500


def grid(images, columns=None, scale=None, pad=None) -> np.ndarray:
    """Lays images out in rows, in reading order.

    Small images grow by whole-number pixel repetition, so that every pixel stays visible as it is.

    Args:
        images: floats `[n, height, width, channels]` in [-1, 1]; values outside are clipped, NaN is drawn as 0 (mid-grey). Three
            channels are red, green and blue, one is grey; of more than three the first three are shown, of two the first.
        columns: images a row; by default the smallest square that holds them all.
        scale: how often each pixel is repeated; by default as often as fits a cell of 64 pixels.
        pad: grey pixels between images and around them; by default an image's pixel as shown, at least 2.

    Returns:
        uint8 `[rows * (scale * height + pad) + pad, columns * (scale * width + pad) + pad, 3]`.

    Raises:
        UserError: no images, or another rank.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or 0 in images.shape:
        raise UserError(f"a grid shows images [n, height, width, channels], not an array of shape {images.shape}")
    count, height, width, channels = images.shape
    images = images[..., : 3 if channels > 2 else 1]
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    scale = scale or max(1, CELL // max(height, width))
    pad = max(2, scale) if pad is None else pad
    pixels = np.rint((np.clip(np.nan_to_num(images), -1, 1) + 1) * 127.5).astype(np.uint8)
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    down, across = height * scale + pad, width * scale + pad
    picture = np.full((rows * down + pad, columns * across + pad, 3), BACKGROUND, np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * down + pad, i % columns * across + pad
        picture[top : top + height * scale, left : left + width * scale] = image
    return picture


def scatter(points, modes=None) -> np.ndarray:
    """Draws points of the plane, or a histogram of points of the line, and where the modes of their distribution should be.

    With `modes` the frame depends on them alone, so pictures of one run can be compared; a line counts the points outside it.

    Args:
        points: generated points `[n, 2]` or `[n, 1]`.
        modes: centres of the true distribution `[m, 2]` or `[m, 1]`, or None to frame the points themselves.

    Returns:
        uint8 `[480, 480, 3]`.

    Raises:
        UserError: `points` is neither `[n, 2]` nor `[n, 1]`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # costs a second or two, so only where it is used
    from matplotlib.figure import Figure

    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] not in (1, 2):
        raise UserError(f"a scatter shows points [n, 2] or [n, 1], not an array of shape {points.shape}")
    framed = points[np.isfinite(points).all(1)] if modes is None else np.asarray(modes, np.float64)
    low, high = (framed.min(0), framed.max(0)) if len(framed) else np.zeros((2, points.shape[1]))
    centre, reach = (low + high) / 2, 0.7 * max(*(high - low), 1e-6)
    figure = Figure(figsize=(4.8, 4.8), dpi=100, layout="tight")
    frame = np.stack([centre - reach, centre + reach])  # [2, dimensions]
    axes = figure.add_subplot(xlim=frame[:, 0])
    if points.shape[1] == 2:
        axes.set(ylim=frame[:, 1], aspect="equal")
        axes.plot(*points.T, ".", color="#0072b2", alpha=0.4, markersize=4, markeredgewidth=0)
    else:
        axes.hist(points[:, 0], bins=120, range=tuple(frame[:, 0]), color="#0072b2")
    if modes is not None:
        across = framed.T if points.shape[1] == 2 else (framed[:, 0], np.zeros(len(framed)))
        axes.plot(*across, "+", color="#d55e00", markersize=14, markeredgewidth=1.5, zorder=1.9)
    outside = len(points) - (np.abs(points - centre) <= reach).all(1).sum()
    axes.set_title(f"{len(points)} points" + (f", {outside} outside the frame" if outside else ""), fontsize=10)
    axes.tick_params(labelsize=8)
    FigureCanvasAgg(figure)
    return drawn(figure)


def drawn(figure) -> np.ndarray:
    """Draws a matplotlib figure: uint8 `[height, width, 3]`."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]


def save_png(path, picture) -> None:
    """Writes a uint8 picture `[height, width, 3]` as PNG; the file appears whole or not at all."""
    _save(Path(path), "PNG", Image.fromarray(picture))


def load_png(path) -> np.ndarray:
    """Reads what `save_png` wrote, uint8 `[height, width, 3]`."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def save_gif(path, pictures: Iterable[np.ndarray], duration_ms=200) -> None:
    """Writes pictures as an endless animation that rests on its last frame; the file appears whole or not at all.

    Args:
        path: where to write.
        pictures: at least one uint8 `[height, width, 3]`; smaller ones are enlarged to the size of the last by repetition.
        duration_ms: time each is shown. GIF counts in hundredths of a second.

    Raises:
        UserError: there are no pictures.
    """
    frames = [Image.fromarray(picture) for picture in pictures]
    if not frames:
        raise UserError(f"no pictures to write to {path}")
    frames = [frame.resize(frames[-1].size, Image.Resampling.NEAREST) for frame in frames]
    durations = [duration_ms] * (len(frames) - 1) + [max(duration_ms, LAST_FRAME_MS)]
    _save(Path(path), "GIF", frames[0], save_all=True, append_images=frames[1:], duration=durations, loop=0)


def save_clip(path, frames: Sequence[np.ndarray], durations_ms: Sequence[float]) -> None:
    """Writes frames as an endless GIF of 256 colours, an endless WebP, which is exact, or a film in H.264, which is not.

    The file appears whole or not at all. Pillow makes one frame of neighbours that are alike, shown as long as both.

    Args:
        path: ends in .gif, .webp or .mp4.
        frames: at least one uint8 `[height, width, 3]`, all of one size.
        durations_ms: time each is shown; a film's frames are all shown as long as its first.

    Raises:
        UserError: a film, and PyAV is not installed.
    """
    kind = Path(path).suffix[1:].upper()
    if kind == "MP4":
        return _whole(Path(path), lambda unfinished: _encode(unfinished, frames, Fraction(1000 / durations_ms[0])))
    first, *rest = [Image.fromarray(frame) for frame in frames]
    exact = {"lossless": True} if kind == "WEBP" else {}
    _save(Path(path), kind, first, save_all=True, append_images=rest, duration=list(durations_ms), loop=0, **exact)


def pyav():
    """Imports what reads and writes films.

    Raises:
        UserError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise UserError("films need PyAV: pip install 'jaxgan[video]'; or give each as a folder of its frames") from None
    return av


def evenly(items, most) -> list:
    """Chooses at most `most` >= 2 of a sequence at even distances, the first and the last among them."""
    count = len(items)
    return list(items) if count <= most else [items[i * (count - 1) // (most - 1)] for i in range(most)]


def _save(path, kind, image, **options):
    _whole(path, lambda unfinished: image.save(unfinished, kind, **options))


def _whole(path, write):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    write(unfinished)
    os.replace(unfinished, path)


def _encode(path, frames, rate):
    av, (height, width) = pyav(), frames[0].shape[:2]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate.limit_denominator(1001), options={"crf": "17"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"  # what plays everywhere wants even sizes
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
