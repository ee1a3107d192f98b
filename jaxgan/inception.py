"""Features of the Inception network that FID and its kin are defined by: weights, how images are brought to 299x299, batches.

A score is comparable with others of the same protocol alone. Here that is: the published weights (`SHA256`), images in 8 bits as
files hold them, one of two resizings, the network in float32.

    features = extractor(load_weights("inception-2015-12-05.npz"), resize="tensorflow")
    frechet_distance(features(real)["pool3"], features(fake)["pool3"])

`experiments/convert_inception.py` fetches the weights.
"""

import functools
import zipfile
from collections.abc import Callable, Mapping
from os import PathLike

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.nets.inception import InceptionV3
from jaxgan.networks import from_linen
from jaxgan.parallel import compiler_options
from jaxgan.types import Array, Net, UserError

SOURCE = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of the file at SOURCE
SIZE = 299
NETWORK = from_linen(InceptionV3())
TORCH_NAMES = {"kernel": "conv.weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def extractor(weights: Net, resize: str = "tensorflow", batch_size: int = 32) -> Callable[[Array], dict[str, np.ndarray]]:
    """Makes what turns images into features.

    Images are rounded to the 256 levels of a file, which both reference implementations read, and resized bilinearly without
    smoothing beforehand. Every batch has `batch_size` rows, the last one filled up, so that the features of an image do not
    depend on how many others there are.

    Args:
        weights: from `load_weights`.
        resize: "tensorflow" is that of the original FID, and of torch-fidelity: pixel i of the result lies at i size / 299, and
            levels v become (v - 128) / 128. "pytorch" is pytorch-fid's, with pixel centres at (i + 1/2) size / 299 - 1/2 and
            v / 127.5 - 1. Scores from the two are not comparable.
        batch_size: images to a pass; memory grows with it.

    Returns:
        `images -> features`: of float images `[n, height, width, 1 or 3]` in [-1, 1], n >= 1, any size, float32 arrays "pool3"
        `[n, 2048]`, "logits" and "logits_unbiased" `[n, 1008]`; see `nets.inception.InceptionV3`.

    Raises:
        UserError: an unknown resizing or a batch size below 1; from the result, images of another shape, type or range.

    Reference:
        Heusel et al., 2017 (https://arxiv.org/abs/1706.08500); Parmar et al., 2022, on resizing (https://arxiv.org/abs/2104.11222).
    """
    if resize not in RESIZINGS:
        raise UserError(f"unknown resizing '{resize}'; choose from {', '.join(RESIZINGS)}")
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: give at least 1")
    weights = jax.device_put(weights)

    def features(images):
        images, found = _checked(images), []
        for start in range(0, len(images), batch_size):
            levels = _levels(images[start : start + batch_size])
            count = len(levels)
            levels = np.pad(levels, ((0, batch_size - count), (0, 0), (0, 0), (0, 0)))
            with jax.default_matmul_precision("float32"):  # some devices round factors to 8 or 11 bits otherwise
                batch = _program()(weights, _resize(levels, RESIZINGS[resize]))
            found.append({name: np.asarray(rows)[:count] for name, rows in batch.items()})
        return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}

    return features


def load_weights(file: str | PathLike) -> Net:
    """Reads the published weights, as `experiments/convert_inception.py` stored them.

    Args:
        file: an `.npz` of the state dict's arrays by name, and "source", the SHA-256 of the file they are from.

    Raises:
        UserError: the file is missing, is no such archive, or has another source.
    """
    convert = "python experiments/convert_inception.py makes it from the published weights"
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except FileNotFoundError:
        raise UserError(f"there are no Inception weights at {file}; {convert}") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as problem:
        raise UserError(f"{file} is no sound .npz of Inception weights ({problem}); {convert}") from None
    if str(arrays.pop("source", "")) != SHA256:
        raise UserError(f"{file} does not hold the weights that FID is defined by; {convert}")
    return from_state_dict(arrays)


def from_state_dict(arrays: Mapping[str, np.ndarray]) -> Net:
    """Arranges the arrays of pytorch-fid's state dict, by their names there, as weights of `NETWORK`."""
    shapes = jax.eval_shape(NETWORK.init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))

    def leaf(path, like):
        *owner, kind = (part.key for part in path if part.key != "batch_stats")
        name = ".".join([*owner, TORCH_NAMES.get(kind, kind)]).replace("fc.conv.", "fc.")
        value = np.asarray(arrays[name], np.float32)
        return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T

    return Net(*(jax.tree.map_with_path(leaf, tree) for tree in shapes))


def _checked(images):
    """Gives a NumPy array, or says what keeps it from being images in [-1, 1]; half a grey level more is rounding."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UserError(f"Inception features need images [n, height, width, 1 or 3], not an array of shape {images.shape}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f"Inception features need float images in [-1, 1], not {images.dtype}; for uint8: images / 127.5 - 1")
    low, high = images.min(), images.max()
    if not max(-low, high) <= 1 + 1 / 255:  # NaN, too
        raise UserError(f"Inception features need images in [-1, 1], and these go from {low:.4g} to {high:.4g}")
    return images


def _levels(images):
    """Rounds to what an 8-bit file holds: whole numbers 0 to 255, float32 `[n, height, width, 3]`."""
    levels = np.rint(np.clip(images.astype(np.float32) * 127.5 + 127.5, 0, 255))
    return np.broadcast_to(levels, (*levels.shape[:3], 3))


@functools.cache
def _program():
    infer = lambda weights, x: NETWORK.apply(weights.weights, weights.stats, x, train=False)[0]
    return jax.jit(infer, compiler_options=compiler_options())


# Resizing: where the 299 pixels of the result lie among `size` of the image, and which of the levels 0 to 255 becomes 0 ---------


def _tensorflow(size):
    return np.arange(SIZE, dtype=np.float32) * np.float32(size / SIZE)


def _pytorch(size):
    centres = np.arange(SIZE, dtype=np.float32) + np.float32(0.5)
    return np.maximum(centres * np.float32(size / SIZE) - np.float32(0.5), 0)


RESIZINGS = {"tensorflow": (_tensorflow, 128.0), "pytorch": (_pytorch, 127.5)}


@functools.partial(jax.jit, static_argnames="resizing")
def _resize(levels, resizing):
    places, middle = resizing
    x = _interpolate(levels, 2, places(levels.shape[2]))
    x = _interpolate(x, 1, places(levels.shape[1]))
    return (x - middle) / middle


def _interpolate(x, axis, places):
    """Reads `x` along one axis at `places`, in pixels from the first one, linearly between the two nearest pixels."""
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    share = np.expand_dims(places - low.astype(np.float32), [i for i in range(4) if i != axis])
    before, after = jnp.take(x, low, axis), jnp.take(x, high, axis)
    return before + (after - before) * share
