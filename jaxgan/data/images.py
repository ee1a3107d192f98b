"""Images on this machine as arrays: scikit-learn's digits, IDX files, folders, .npz archives.

Every reader returns two `Examples`: what is trained on and what is held out. Where a set brings no test part, a tenth is held out
by a fixed permutation, the same for every seed and run.
"""

import dataclasses
import gzip
import os
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxgan.types import UserError

RESIDENT_BYTES = 2**30  # a set up to this size is kept on the device; a larger one is streamed
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga")
ORIENTATION = 0x0112  # the EXIF tag; from 5 on, width and height change places


@dataclasses.dataclass(frozen=True)
class Files:
    """Images left on the disk, in place of a uint8 array `[n, height, width, channels]`: decodes what is asked for.

    An image of another size is cropped about its centre and resized; transparency is laid on white.

    Attributes:
        paths: one an image.
        size: (height, width) of every image handed out.
        channels: 1 (grey) or 3.
    """

    paths: Sequence[Path]
    size: tuple[int, int]
    channels: int

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.paths), *self.size, self.channels

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return np.stack([self.read(self.paths[i]) for i in index])

    def read_all(self) -> np.ndarray:
        """Decodes every image, in threads (Pillow decodes outside Python's lock)."""
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(self.read, self.paths)))

    def read(self, path: Path) -> np.ndarray:
        """Decodes one image to uint8 `[height, width, channels]`.

        Raises:
            UserError: the file cannot be decoded; it is named.
        """
        try:
            with Image.open(path) as image:
                image = ImageOps.exif_transpose(image)
                if image.mode == "F":
                    raise ValueError("its pixels are floats of unknown range")
                if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip at 255
                    image = Image.fromarray(np.rint(np.clip(np.asarray(image, float), 0, 65535) / 257).astype(np.uint8))
                if image.has_transparency_data:
                    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
                image = image.convert("L" if self.channels == 1 else "RGB")
                if image.size != self.size[::-1]:
                    image = ImageOps.fit(image, self.size[::-1], Image.Resampling.BICUBIC)  # widens the filter where it shrinks
                return np.asarray(image).reshape(*self.size, self.channels)
        except Exception as problem:  # Pillow's plugins raise what they like
            raise UserError(f"{path} is not a readable image ({reason(problem)}): repair or remove it") from problem


class Examples(NamedTuple):
    """A finite set of labelled or unlabelled images.

    Attributes:
        images: uint8 or float32 `[n, height, width, channels]`, or `Files`.
        labels: int32 `[n]`, or None.
        middle: the stored value that means 0, so that a stored v means v / middle - 1; None where the values, float32 in [-1, 1],
            are stored as they are meant.
    """

    images: np.ndarray | Files
    labels: np.ndarray | None
    middle: float | None = 127.5


def as_meant(images, middle: float | None):
    """Turns stored values into float32 in [-1, 1].

    Subtracting first leaves a single rounding, so NumPy and every XLA backend give the same bits.

    Args:
        images: a NumPy or JAX array.
        middle: as in `Examples`.
    """
    if middle is None:
        return images
    return (images.astype(np.float32) - np.float32(middle)) * np.float32(1 / middle)


def digits(size: int) -> tuple[Examples, Examples]:
    """Reads the 1,797 real 8x8 grey digits that come with scikit-learn.

    With p = `numpy.random.default_rng(0).permutation(1797)`, p[:898] is held out and p[898:], 899 images, are trained on.

    Args:
        size: height and width to resize to; 0 keeps 8x8, whose values 0..16 are exact.
    """
    from sklearn.datasets import load_digits  # half a second that other sets need not pay

    bunch = load_digits()
    images, labels, middle = bunch.images[..., None].astype(np.uint8), bunch.target.astype(np.int32), 8.0
    if size not in (0, 8):
        images, middle = resized(as_meant(images, middle), size), None
    train, held = split(len(images), len(images) // 2)
    return Examples(images[train], labels[train], middle), Examples(images[held], labels[held], middle)


def idx(where: str, size: int) -> tuple[Examples, Examples]:
    """Reads MNIST-like IDX files, plain or gzipped: `train-images*`, `train-labels*`, `t10k-images*`, `t10k-labels*`.

    The t10k files are held out where they are there. Labels are used where every part has them.

    Args:
        where: folder of the files.
        size: height and width to resize to; 0 keeps the native size.

    Raises:
        UserError: the training images are missing, or a file is corrupt or does not hold unsigned bytes.
    """
    folder, parts = Path(where), {}
    for part in ("train", "t10k"):
        found = {kind: sorted(folder.glob(f"{part}-{kind}*")) for kind in ("images", "labels")}
        if not found["images"]:
            continue
        images = read_idx(found["images"][0])
        if images.ndim not in (3, 4):
            raise UserError(f"{found['images'][0]} has {images.ndim} axes, images have 3 or 4: fetch it again")
        labels = read_idx(found["labels"][0]).astype(np.int32) if found["labels"] else None
        if labels is not None and labels.shape != (len(images),):
            raise UserError(f"{found['labels'][0]} does not hold one label for each of {len(images)} images: fetch both again")
        parts[part] = Examples(resized(images if images.ndim == 4 else images[..., None], size), labels)
    if "train" not in parts:
        raise UserError(f"idx:{where} has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz: name the folder that has")
    if "t10k" not in parts:
        return divided(parts["train"])
    train, held = parts["train"], parts["t10k"]
    if train.images.shape[1:] != held.images.shape[1:]:
        raise UserError(f"idx:{where}: train and t10k images differ in size: give --image_size, or take the t10k files away")
    if train.labels is None or held.labels is None:
        return train._replace(labels=None), held._replace(labels=None)
    return train, held


def folder(where: str, size: int) -> tuple[Examples, Examples]:
    """Reads a folder of images, sub-folders included, in the order of their sorted paths.

    The first level of sub-folders gives the labels, in alphabetical order, where there are two or more and no image lies outside
    them. Grey stays one channel where every image is stored as grey; otherwise all are RGB. Files whose names start with a dot or
    do not end like an image's are passed over. A small set is decoded at once; a large one as it is needed.

    Args:
        where: the folder.
        size: height and width to crop and resize to; 0 keeps the native size, which all must share.

    Raises:
        UserError: no images, one that cannot be read (it is named), or several sizes and no `size`.
    """
    root = Path(where)
    if not os.path.isdir(root):
        raise UserError(f"folder:{where} is not a folder: check the path")
    paths = sorted(path for path in walk(root) if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"folder:{where} has no images: put files there that end in {' '.join(SUFFIXES)}")

    sizes, grey = {}, True
    for path in paths:
        try:
            with Image.open(path) as image:
                grey = grey and (image.mode in ("1", "L", "LA") or image.mode.startswith("I"))
                turned = "exif" in image.info and image.getexif().get(ORIENTATION, 1) >= 5
                sizes.setdefault(image.size if turned else image.size[::-1], path)
        except Exception as problem:  # Pillow's plugins raise what they like
            raise UserError(f"{path} is not a readable image ({reason(problem)}): repair or remove it") from problem
    if not size and len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise UserError(
            f"folder:{where} holds images of different sizes ({first.name} {one[1]}x{one[0]}, "
            f"{second.name} {other[1]}x{other[0]}): give --image_size"
        )

    tops = [path.relative_to(root).parts[:-1][:1] for path in paths]
    names = sorted(set(tops))
    labels = np.array([names.index(top) for top in tops], np.int32) if len(names) > 1 and () not in names else None
    parts = []
    for index in split(len(paths)):
        files = Files([paths[i] for i in index], (size, size) if size else next(iter(sizes)), 1 if grey else 3)
        small = len(files) and files.nbytes <= RESIDENT_BYTES
        parts.append(Examples(files.read_all() if small else files, None if labels is None else labels[index]))
    return parts[0], parts[1]


def npz(where: str, size: int) -> tuple[Examples, Examples]:
    """Reads an .npz archive of plain arrays.

    Images are the array `images` or `x`, otherwise the only array that can be images: uint8 `[n, height, width]` or
    `[n, height, width, channels]`, or float32 of the same shapes in [-1, 1]. Labels are the integers `labels` or `y`, if any.

    Args:
        where: the file.
        size: height and width to crop and resize to; 0 keeps the native size.

    Raises:
        UserError: not such an archive. Pickles are refused.
    """
    if not os.path.isfile(where):
        raise UserError(f"npz:{where} is not a file: check the path")
    if not zipfile.is_zipfile(where):
        raise UserError(f"npz:{where} is not an .npz archive: write one with numpy.savez (pickles are refused)")
    try:
        with np.load(where, allow_pickle=False) as archive:
            known = [name for name in ("images", "x") if name in archive.files][:1]
            arrays = {name: np.asarray(archive[name]) for name in known or archive.files}
            named = [name for name in ("labels", "y") if name in archive.files][:1]
            labels = archive[named[0]] if named else None
    except Exception as problem:  # NumPy's and zipfile's errors have no common ancestor
        raise UserError(
            f"npz:{where} cannot be read ({reason(problem)}): save plain arrays with numpy.savez (pickles are refused)"
        ) from problem

    fitting = [name for name in arrays if known or (arrays[name].ndim in (3, 4) and arrays[name].dtype in (np.uint8, np.float32))]
    if len(fitting) != 1:
        raise UserError(
            f"npz:{where} has {len(fitting)} arrays that could be images: name one 'images', uint8 [n, height, width, channels]"
        )
    images = arrays[fitting[0]]
    if images.dtype not in (np.uint8, np.float32) or images.ndim not in (3, 4):
        raise UserError(
            f"npz:{where}: '{fitting[0]}' is {images.dtype} {list(images.shape)}: "
            "save uint8 or float32 [n, height, width] or [n, height, width, channels]"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise UserError(f"npz:{where}: '{fitting[0]}' {list(images.shape)} has its channels first: transpose(0, 2, 3, 1) it")
    if images.dtype == np.float32 and images.size and not (np.abs(images).max() <= 1 and images.min() < 0):  # NaN fails too
        raise UserError(
            f"npz:{where}: the values of '{fitting[0]}' run from {images.min():g} to {images.max():g}: "
            "scale floats to [-1, 1], or save uint8"
        )
    if labels is not None:
        if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
            raise UserError(f"npz:{where}: '{named[0]}' is {labels.dtype} {list(labels.shape)}: save integers [{len(images)}]")
        labels = labels.astype(np.int32)
    images = resized(images if images.ndim == 4 else images[..., None], size)
    return divided(Examples(images, labels, 127.5 if images.dtype == np.uint8 else None))


def split(count: int, held: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Divides `count` examples by a fixed permutation.

    Returns:
        Indices trained on, and the first `held` of the permutation (a tenth, at least one), which are held out.
    """
    order = np.random.default_rng(0).permutation(count)
    held = max(1, count // 10) if held is None else held
    return order[held:], order[:held]


def divided(examples: Examples) -> tuple[Examples, Examples]:
    """Holds out a tenth of a set that is one array."""
    images, labels, middle = examples
    train, held = split(len(images))
    return (
        Examples(images[train], None if labels is None else labels[train], middle),
        Examples(images[held], None if labels is None else labels[held], middle),
    )


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Crops images about their centres and resizes them, whatever the number of channels.

    Resizing is linear along each axis, so what Pillow's filter makes of the identity is the matrix that does it: far faster for
    many small images than one call for each.

    Args:
        images: uint8, or float32 in [-1, 1], `[n, height, width, channels]`.
        size: new height and width; 0 for no change.
    """
    count, height, width, channels = images.shape
    if not size or (height, width) == (size, size):
        return images
    side = min(height, width)

    def matrix(length):
        start = (length - side) / 2
        identity = Image.fromarray(np.eye(length, dtype=np.float32))
        return np.asarray(identity.resize((length, size), Image.Resampling.BICUBIC, box=(0, start, length, start + side)))

    down, across = matrix(height), matrix(width)
    result = np.empty((count, size, size, channels), images.dtype)
    some = max(1, 2**24 // (height * width * channels))  # at a time: 64 MB as floats
    for start in range(0, count, some):
        planes = np.moveaxis(images[start : start + some].astype(np.float32), 3, 1)
        planes = np.moveaxis(down @ planes @ across.T, 1, 3)
        result[start : start + some] = np.rint(planes).clip(0, 255) if images.dtype == np.uint8 else planes.clip(-1, 1)
    return result


def read_idx(path: Path) -> np.ndarray:
    """Reads one IDX file of unsigned bytes, gzipped or not.

    Raises:
        UserError: it is corrupt, cut short, or holds another type.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as problem:
        raise UserError(f"{path} cannot be read ({reason(problem)}): fetch it again") from problem
    start = 4 + 4 * content[3] if len(content) > 3 else 4
    if content[:2] != b"\0\0" or len(content) < start:
        raise UserError(f"{path} is not an IDX file: fetch it again")
    if content[2] != 8:
        raise UserError(f"{path} holds IDX type 0x{content[2]:02x}, only unsigned bytes (0x08) are read: convert it")
    shape = np.frombuffer(content[4:start], ">u4").astype(int)
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != shape.prod():
        raise UserError(f"{path} holds {values.size} bytes where its header says {shape.prod()}: fetch it again")
    return values.reshape(shape)


def walk(root: Path):
    """Yields every file below a folder, following links, except hidden ones and macOS's shadows."""
    for place, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def reason(problem: Exception) -> str:
    """Shortens an exception to part of one line."""
    return " ".join(str(problem).split())[:200] or type(problem).__name__
