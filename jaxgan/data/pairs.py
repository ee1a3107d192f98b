"""Images that belong together in pairs, and pairs of domains whose images do not.

A pair is stored as one image: its first half of the channels is the source, its second half what belongs to it. So a set of pairs
is a set of images as every other, with its batches, flips and streaming, until `parted` parts them.

The photographs are those that come with scikit-learn, both under CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/):
"china" by danielbuechele (https://www.flickr.com/photos/danielbuechele/6061409035) and "flower" by vultilion
(https://www.flickr.com/photos/vultilion/6056698931). Show them with these names.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from jaxgan.data import images
from jaxgan.data.images import Examples
from jaxgan.types import Batch, UserError

CROPS = 2_000  # of a photograph's part that is trained on; fewer where they are large
CROPS_BYTES = 2**27  # that all crops of a photograph and their sources may take
HELD = {"china": 200, "flower": 320}  # first held-out column of 640, where the right half of the pagoda or the blossom begins
LARGEST = 160  # crop, in pixels, and as many columns are held out; those beside them are trained on
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue; ITU-R BT.601


class Domains(NamedTuple):
    """Two sets of images without pairs, each as what is trained on and what is held out."""

    a: tuple[Examples, Examples]
    b: tuple[Examples, Examples]


def parted(batch: Batch) -> Batch:
    """Parts stored pairs: "real" `[..., 2 c]` to "source" and "real" `[..., c]`; other fields stay."""
    channels = batch["real"].shape[-1] // 2
    return {**batch, "source": batch["real"][..., :channels], "real": batch["real"][..., channels:]}


def side_by_side(a_at: Callable[[int], Batch], b_at: Callable[[int], Batch]) -> Callable[[int], Batch]:
    """Joins the batches of two domains: images of A under "source", with their "label" if they have one, of B under "real"."""

    def batch_at(step):
        a = dict(a_at(step))
        return {**a, "source": a["real"], "real": b_at(step)["real"]}

    return batch_at


# Pairs --------------------------------------------------------------------------------------------------------------------------


def grey(photos: np.ndarray) -> np.ndarray:
    """Takes the colour out of uint8 images `[n, height, width, 3]`, which keep three channels."""
    return np.repeat(np.rint(photos @ LUMINANCE)[..., None], 3, axis=-1).astype(np.uint8)


def edges(photos: np.ndarray) -> np.ndarray:
    """Draws the outlines of uint8 images `[n, height, width, 3]`, dark on white: slopes of the smoothed luminance."""
    luminance = photos @ LUMINANCE
    slopes = (ndimage.gaussian_filter(luminance, (0, 1, 1), order) for order in ((0, 1, 0), (0, 0, 1)))
    ink = np.rint(4 * np.hypot(*slopes)).clip(0, 255)  # an edge of 180 grey levels is black
    return np.repeat(255 - ink[..., None], 3, axis=-1).astype(np.uint8)


def blurred(photos: np.ndarray) -> np.ndarray:
    """Blurs uint8 images `[n, height, width, 3]` by a Gaussian of two pixels' deviation."""
    return np.rint(ndimage.gaussian_filter(photos.astype(np.float32), (0, 2, 2, 0))).astype(np.uint8)


TASKS = {"grey2colour": grey, "edges2photo": edges, "blur2sharp": blurred}


def photographs(task: str, size: int) -> tuple[Examples, Examples]:
    """Makes pairs of crops of two photographs.

    Args:
        task: a key of `TASKS`, which makes the source of a crop.
        size: height and width of a crop; 0 for 64.

    Raises:
        UserError: crops larger than the photographs give.
    """
    parts = []
    for crops in zip(*(photograph_crops(name, size or 64) for name in ("china", "flower")), strict=True):
        crops = np.concatenate(crops)
        parts.append(Examples(np.concatenate([TASKS[task](crops), crops], axis=-1), None))
    return parts[0], parts[1]


def folder(where: str, size: int) -> tuple[Examples, Examples]:
    """Reads pairs of image files: from sub-folders A and B, by equal names without their endings, or else each A|B side by side.

    All images become RGB. A small set is decoded at once; a large one as it is needed.

    Args:
        where: the folder.
        size: height and width to crop and resize to; 0 keeps the native size, which all must share.

    Raises:
        UserError: no images, one that cannot be read, one without a partner or of an odd width (each is named), or several sizes
            and no `size`.
    """
    root = Path(where)
    if not root.is_dir():
        raise UserError(f"pairs:{where} is not a folder: check the path")
    apart = (root / "A").is_dir() and (root / "B").is_dir()
    pairs = _partners(root) if apart else [(path,) for path in _pictures(root)]
    if not pairs:
        raise UserError(
            f"pairs:{where} has no images: put files there that show A and B side by side, or files of equal names into {root}/A "
            f"and {root}/B"
        )
    sizes = {}
    for paths in pairs:
        for path in paths:
            height, width = size_of(path)
            if not apart and width % 2:
                raise UserError(f"{path} is {width} pixels wide, which two images side by side are not: crop it to an even width")
            sizes.setdefault((height, width if apart else width // 2), path)
    if not size and len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise UserError(
            f"pairs:{where} holds images of different sizes ({first.relative_to(root)} {one[1]}x{one[0]}, "
            f"{second.relative_to(root)} {other[1]}x{other[0]}): give --image_size"
        )
    parts = []
    for index in images.split(len(pairs)):
        files = PairFiles([pairs[i] for i in index], (size, size) if size else next(iter(sizes)), 6)
        small = len(files) and files.nbytes <= images.RESIDENT_BYTES
        parts.append(Examples(files.read_all() if small else files, None))
    return parts[0], parts[1]


@dataclasses.dataclass(frozen=True)
class PairFiles(images.Files):
    """Pairs left on the disk; `paths` has tuples, of one file that shows both or of two. Each image is cropped by itself."""

    def read(self, path: tuple[Path, ...]) -> np.ndarray:
        """Decodes one pair to uint8 `[height, width, 6]`."""
        shown = [read_native(file) for file in path]
        if len(shown) == 1:
            shown = np.split(shown[0], 2, axis=1)
        fit = lambda pixels: ImageOps.fit(Image.fromarray(pixels), self.size[::-1], Image.Resampling.BICUBIC)
        return np.concatenate([x if x.shape[:2] == self.size else np.asarray(fit(x)) for x in shown], axis=-1)


# Domains without pairs ----------------------------------------------------------------------------------------------------------


class Paint(NamedTuple):
    """Colours in [-1, 1] that grey digits are painted with, one number a channel: of their ground and of their strokes."""

    ground: tuple[float, ...]
    stroke: tuple[float, ...]

    def apply(self, digits: np.ndarray) -> np.ndarray:
        """Paints digits `[..., 1]` in [-1, 1]: `[..., channels]`."""
        ground, stroke = np.array(self.ground, np.float32), np.array(self.stroke, np.float32)
        return ground + (digits + 1) / 2 * (stroke - ground)

    def remove(self, painted: np.ndarray) -> np.ndarray:
        """Finds the digits `[..., 1]` nearest to what is painted `[..., channels]`, to score by what reads grey digits."""
        ground, stroke = np.array(self.ground, np.float32), np.array(self.stroke, np.float32)
        along = (painted - ground) @ (stroke - ground) / np.square(stroke - ground).sum()
        return (2 * along - 1).clip(-1, 1)[..., None]


WHITE_ON_BLACK = Paint((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
PAINTS = {"digits2inverted": (Paint((-1.0,), (1.0,)), Paint((1.0,), (-1.0,))),
          "digits2colour": (WHITE_ON_BLACK, Paint((-0.6, -0.2, 0.6), (1.0, 0.6, -0.8)))}  # fmt: skip


def painted_digits(name: str, size: int) -> Domains:
    """Makes two domains of scikit-learn's digits in different colours, with labels; no digit is trained on in both.

    Args:
        name: a key of `PAINTS`, which has the paints of A and B.
        size: height and width to resize to; 0 keeps 8x8.
    """
    train, held = images.digits(size)
    half = len(train.images) // 2

    def part(examples, paint, index=slice(None)):
        meant = images.as_meant(examples.images[index], examples.middle)
        return Examples(paint.apply(meant), examples.labels[index], None)

    a, b = PAINTS[name]
    return Domains((part(train, a, slice(half)), part(held, a)), (part(train, b, slice(half, None)), part(held, b)))


def two_photographs(size: int) -> Domains:
    """Makes the domains of crops of one photograph, "china", and of another, "flower"; 0 is for crops of 64 pixels."""
    return Domains(
        *(tuple(Examples(crops, None) for crops in photograph_crops(name, size or 64)) for name in ("china", "flower"))
    )


def unpaired(where: str, size: int) -> Domains:
    """Reads the domains "DIR_A,DIR_B", two folders of images; grey becomes RGB where the other domain is RGB.

    Args:
        where: the folders, with a comma between them.
        size: height and width to crop and resize to; 0 keeps the native size, which all must share.

    Raises:
        UserError: not two folders, no images in one, one that cannot be read, or several sizes and no `size`.
    """
    folders = where.split(",")
    if len(folders) != 2:
        raise UserError(f"unpaired:{where} does not name two folders: write unpaired:DIR_A,DIR_B, with no other comma")
    read = [images.folder(each, size) for each in folders]
    (one, other), channels = (parts[0].images.shape[1:3] for parts in read), max(parts[0].images.shape[3] for parts in read)
    if one != other:
        raise UserError(
            f"unpaired:{where} holds images of different sizes ({one[1]}x{one[0]} and {other[1]}x{other[0]}): give --image_size"
        )
    return Domains(*(tuple(_with_channels(part, channels) for part in parts) for parts in read))


# What both are made of ----------------------------------------------------------------------------------------------------------


def photograph_crops(name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops squares out of one of scikit-learn's photographs, at random places that are always the same.

    A crop is up to three times as large as asked for and reduced, so that there is something to be seen on it. Those that are
    held out lie in a strip, all others beside it: they have no pixel in common. The strip has the right half of what is shown,
    so that there is something to be learned of it from the left half.

    Args:
        name: "china" or "flower".
        size: height and width of the crops made, 1 to 160.

    Returns:
        uint8 `[n, size, size, 3]` to be trained on, and a tenth as many that are held out.

    Raises:
        UserError: larger crops.
    """
    from sklearn.datasets import load_sample_image  # half a second that other sets need not pay

    if not 1 <= size <= LARGEST:
        raise UserError(f"image_size={size}: the photographs give crops of 1 to {LARGEST} pixels; take one of these")
    photo, side = load_sample_image(f"{name}.jpg"), min(3 * size, LARGEST)
    count, rng = max(10, min(CROPS, CROPS_BYTES // (6 * size * size))), np.random.default_rng(0)

    def cut(part, count):
        corners = rng.integers(0, np.array(part.shape[:2]) - side + 1, (count, 2))
        squares = (Image.fromarray(part[top : top + side, left : left + side]) for top, left in corners)
        return np.stack([np.asarray(square.resize((size, size), Image.Resampling.BICUBIC)) for square in squares])

    left, held, right = np.split(photo, [HELD[name], HELD[name] + LARGEST], axis=1)
    return np.concatenate([cut(left, count // 2), cut(right, count // 2)]), cut(held, count // 10)


def size_of(path: Path) -> tuple[int, int]:
    """Reads the height and width of an image file, as it is meant to be seen.

    Raises:
        UserError: it is no image.
    """
    try:
        with Image.open(path) as image:
            turned = "exif" in image.info and image.getexif().get(images.ORIENTATION, 1) >= 5
            return image.size if turned else image.size[::-1]
    except Exception as problem:  # Pillow's plugins raise what they like
        raise UserError(f"{path} is not a readable image ({images.reason(problem)}): repair or remove it") from problem


def read_native(path: Path) -> np.ndarray:
    """Decodes an image file in its own size: uint8 `[height, width, 3]`; errors as of `images.Files`."""
    return images.Files([path], size_of(path), 3).read(path)


def _pictures(root: Path) -> list[Path]:
    return sorted(path for path in images.walk(root) if path.suffix.lower() in images.SUFFIXES)


def _partners(root: Path) -> list[tuple[Path, Path]]:
    found = [{path.relative_to(root / side).with_suffix(""): path for path in _pictures(root / side)} for side in "AB"]
    for one, other, side in zip(found, found[::-1], "BA", strict=True):
        alone = sorted(one.keys() - other.keys())
        if alone:
            raise UserError(
                f"{one[alone[0]]} and {len(alone) - 1} more have no partner of that name in {root / side}: "
                f"add them, or take unpaired:{root / 'A'},{root / 'B'}"
            )
    return [(path, found[1][name]) for name, path in sorted(found[0].items())]


def _with_channels(examples: Examples, channels: int) -> Examples:
    pixels = examples.images
    if isinstance(pixels, images.Files):
        return examples._replace(images=dataclasses.replace(pixels, channels=channels))
    return examples if pixels.shape[-1] == channels else examples._replace(images=np.repeat(pixels, channels, axis=-1))
