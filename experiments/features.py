"""Which real images are looked at, through what, and where the outcome is kept.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator

from experiments import config

BLOCK = 256  # images read at a time
SHOWN = 2**29  # pixel values that a classifier is shown at most, 2 GiB
PAUSE = 10  # seconds between lines of progress


def stored_images(dataset, split: str, count: int = 0):
    """Gives real images, a `quality.Images`: the first ones of a fixed order, as many as asked for or all."""
    import numpy as np

    from jaxgan.data.images import as_meant
    from jaxgan.metrics.quality import Images
    from jaxgan.types import UserError

    source = dataset.held_out if split == "held_out" else dataset.train
    if count > len(source.images):
        raise UserError(
            f"{dataset.name} has {len(source.images)} {split} images, not {count}; take fewer --samples or another --split"
        )
    index = np.random.default_rng(0).permutation(len(source.images))[: count or None]

    def blocks():
        for start in range(0, len(index), BLOCK):
            yield as_meant(source.images[index[start : start + BLOCK]], source.middle)

    return Images(split, len(index), blocks, None if source.labels is None else source.labels[index])


def stored(images, extract, name: str, by_row: bool):
    """Looks at stored images, or takes what was kept when they were looked at before; gives a `quality.Seen`.

    Raises:
        UserError: all of them are the same to the extractor.
    """
    import numpy as np

    from jaxgan.metrics import quality
    from jaxgan.types import UserError

    def make():
        return quality.look(images.name, watched(images), extract, by_row)

    parts = [images.told, images.pick([0]).shape, name, by_row]
    seen = quality.seen_of(images, cached("features", make, parts))
    spread = np.sqrt(np.diagonal(seen.moments.scatter) / images.count)
    if images.count > 1 and (spread <= 1e-12 * np.abs(seen.moments.mean)).all():
        told = f"all {images.count} images of {images.name} have the same features"
        raise UserError(f"{told}; look at the data, or take other --features")
    return seen


def watched(images) -> Iterator:
    """Gives a set's blocks and shows how far it is: a bar on a terminal, elsewhere a line now and then."""
    from rich.console import Console
    from rich.progress import Progress

    console, told, done = Console(highlight=False, soft_wrap=True), time.monotonic(), 0
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(images.name, total=images.count)
        for block in images.blocks():
            yield block
            done += len(block)
            bar.advance(task, len(block))
            if done == images.count or (not console.is_terminal and time.monotonic() - told > PAUSE):
                console.print(f"{images.name}: {done} of {images.count} images", markup=False)
                told = time.monotonic()


def extractor(dataset, features: str, resize: str, weights_file: str):
    """Makes what images are seen through: `(images -> {"features", "probabilities"}, its name in the protocol)`.

    Args:
        dataset: whose classifier it may be.
        features: "pixels", "classifier" or "inception".
        resize: "tensorflow" or "pytorch", for Inception.
        weights_file: of Inception; "" looks for it.
    """
    import numpy as np
    from scipy.special import softmax

    from jaxgan import inception, metrics
    from jaxgan.types import UserError

    if features == "pixels":
        return lambda images: {"features": metrics.pixels(images)}, "8x8 area means"
    if features == "classifier":
        if not dataset.num_classes:
            raise UserError(f"{dataset.name} has no labels to train a classifier with; take --features=pixels or inception")
        own = classifier_of(dataset)

        def through(images):
            features, chances = own(images)
            return {"features": features, "probabilities": chances}

        return through, f"classifier of {dataset.name}, {own.accuracy:.4f} right, parameters {own.digest}"
    from experiments import convert_inception

    weights = inception.load_weights(convert_inception.weights_file(weights_file))
    network = inception.extractor(weights, resize)

    def seen(images):
        found = network(images)
        return {"features": found["pool3"], "probabilities": softmax(found["logits_unbiased"].astype(np.float64), axis=1)}

    return seen, f"InceptionV3 {inception.SHA256[:8]}, {resize} resize of 8-bit images"


def classifier_of(dataset):
    """Gives the classifier of a labelled data set, a `classifier.Trained`: trained once, on what fits into memory, and kept."""
    import numpy as np

    from jaxgan import classifier

    most = SHOWN // math.prod(dataset.shape)
    parts = [
        stored_images(dataset, split, min(most, len(source.images)))
        for split, source in (("train", dataset.train), ("held_out", dataset.held_out))
    ]
    shown = [x for part in parts for x in (np.concatenate(list(part.blocks())), part.labels)]
    return classifier.train(*shown, keep=functools.partial(cached, "classifiers"))


def cached(folder: str, make, parts) -> dict:
    """Keeps arrays that take long to make, by a hash of all that decides them; a damaged file is made anew."""
    import zipfile

    import numpy as np

    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    path = config.cache_directory() / folder / f"{key}.npz"
    if path.exists():
        with contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile), np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{key}-{os.getpid()}.tmp.npz")
    np.savez(unfinished, **made)
    unfinished.replace(path)
    return made
