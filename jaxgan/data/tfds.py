"""TensorFlow Datasets without TensorFlow: read once, then kept as plain arrays.

Where a data set was prepared before, or its builder does without TensorFlow, nothing else is needed. Several of TFDS's own
builders (Fashion-MNIST among them) use TensorFlow to prepare: prepare those elsewhere as array_record, or use `idx:` and `npz:`.
"""

import contextlib
import difflib
import logging
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np

from jaxgan.data.images import Examples, divided, reason, resized
from jaxgan.types import UserError

SPEC = re.compile(r"(?P<name>[\w./-]+(?::\d+\.\d+\.\d+)?)(?::(?P<split>.+))?")  # name[/config][:version][:split]
HELD_OUT = ("test", "validation")


def read(where: str, size: int) -> tuple[Examples, Examples]:
    """Reads `NAME[:SPLIT]`: the features `image` (uint8) and, where there is one, `label`.

    Without a split, `train` is trained on and `test` or `validation` held out; where there is only one split, or one is named, a
    tenth of it is held out. The arrays are kept in `$XDG_CACHE_HOME/jaxgan/data` (`~/.cache/jaxgan/data`); remove the file to
    read anew. TFDS's own files are in `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.

    Args:
        where: as in `cifar10`, `cifar10:3.0.2`, `cifar10:train[:50%]`.
        size: height and width to crop and resize to; 0 keeps the native size, which all must share.

    Raises:
        UserError: unknown name, no network, or a builder that needs TensorFlow.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxgan" / "data"
    kept = cache / f"{quote(where, safe='')}-{size}.npz"
    try:
        with np.load(kept, allow_pickle=False) as archive:
            arrays = dict(archive)
    except Exception:  # absent, or not what was written
        arrays = prepare(where, size)
        keep(kept, arrays)
    parts = {
        part: Examples(arrays[f"{part}_images"], arrays.get(f"{part}_labels"))
        for part in ("train", "held_out")
        if f"{part}_images" in arrays
    }
    return (parts["train"], parts["held_out"]) if "held_out" in parts else divided(parts["train"])


def prepare(where: str, size: int) -> dict[str, np.ndarray]:
    """Downloads and prepares a data set where that has not been done, and reads it.

    Returns:
        `train_images` uint8 `[n, height, width, channels]`, `train_labels` int32 `[n]` where it has labels, and the same for
        `held_out` where a split of its own is there for it.
    """
    parsed = SPEC.fullmatch(where)
    if not parsed:
        raise UserError(f"tfds:{where} is not of the form tfds:NAME or tfds:NAME:SPLIT, as in tfds:cifar10")
    try:
        import tensorflow_datasets as tfds
    except ImportError as problem:
        raise UserError(f"tfds:{where} needs a package ({reason(problem)}): pip install tensorflow-datasets") from problem
    logging.getLogger("absl").setLevel(logging.ERROR)
    name, data_dir = parsed["name"], os.environ.get("TFDS_DATA_DIR")

    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
            reach(name, builder)
            builder.download_and_prepare()
    except UserError:
        raise
    except tfds.core.DatasetNotFoundError as problem:
        near = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False))
        hint = f"did you mean {' or '.join(near)}?" if near else "see tensorflow.org/datasets/catalog"
        raise UserError(f"tfds:{name} is unknown to tensorflow-datasets: {hint}") from problem
    except Exception as problem:  # whatever somebody else's builder raises
        raise UserError(
            f"tfds:{name} could not be prepared ({reason(problem)}): if its builder needs TensorFlow, prepare it "
            "elsewhere with file_format='array_record' and set TFDS_DATA_DIR"
        ) from problem

    features = builder.info.features
    if "image" not in features:
        raise UserError(f"tfds:{name} has no feature 'image' (but {', '.join(features)}): choose a set of images")
    labelled = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    splits = {"train": parsed["split"] or "train"}
    apart = [other for other in HELD_OUT if other in builder.info.splits]
    if apart and not parsed["split"]:
        splits["held_out"] = apart[0]
    print(f"tfds:{where}: reading it once, to be kept as arrays", file=sys.stderr)
    arrays = {}
    for part, chosen in splits.items():
        try:
            found = collect(where, builder.as_data_source(chosen), size, labelled)
        except UserError:
            raise
        except Exception as problem:  # an unknown split, a format without random access, a decoder of TensorFlow's
            raise UserError(
                f"tfds:{where} cannot be read ({reason(problem)}): name one of the splits "
                f"{', '.join(builder.info.splits)}, prepared with file_format='array_record'"
            ) from problem
        arrays |= {f"{part}_{name}": values for name, values in found.items()}
    return arrays


def reach(name: str, builder) -> None:
    """Asks the data set's host for a sign of life, because TFDS itself would go on trying for minutes.

    Raises:
        UserError: there is none.
    """
    import requests  # tensorflow-datasets depends on it

    for url in list(builder.url_infos or ())[:1]:
        if url.startswith("http"):
            try:
                requests.head(url, timeout=10)
            except (requests.ConnectionError, requests.Timeout) as problem:
                raise UserError(
                    f"tfds:{name} is not on this machine and {url.split('/')[2]} cannot be reached: connect to the "
                    "network, or set TFDS_DATA_DIR to where it was prepared"
                ) from problem


def collect(where: str, source, size: int, labelled: bool) -> dict[str, np.ndarray]:
    """Reads a data source into the arrays `images` and, where it is labelled, `labels`."""
    images, labels = [], []
    for example in source:
        image = example["image"]
        if image.dtype != np.uint8 or image.ndim != 3:
            raise UserError(
                f"tfds:{where} holds {image.dtype} {list(image.shape)}: choose a set of uint8 [height, width, channels]"
            )
        images.append(resized(image[None], size)[0])
        if images[-1].shape != images[0].shape:
            raise UserError(f"tfds:{where} holds images of different sizes: give --image_size")
        if labelled:
            labels.append(example["label"])
    arrays = {"images": np.stack(images) if images else np.empty((0, 1, 1, 1), np.uint8)}
    return arrays | ({"labels": np.array(labels, np.int32)} if labelled else {})


def keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays whole or not at all; a cache that cannot be written only costs time."""
    half = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(half, "wb") as file:
                np.savez(file, **arrays)
            os.replace(half, path)
        finally:
            half.unlink(missing_ok=True)
