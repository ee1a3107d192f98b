"""Translates image files by a trained run of pix2pix or CycleGAN.

python experiments/translate.py RUN_DIR photo.jpg --out=translated             one file, in its own size
python experiments/translate.py RUN_DIR photos/ more.png --out=translated      folders, with what is in their sub-folders
python experiments/translate.py RUN_DIR photos/ --direction=b2a                CycleGAN's way back
"""

import dataclasses
import importlib
import itertools
import json
import pathlib
import sys
import warnings
from typing import Literal

from experiments import config, features, translation

MULTIPLE = 32  # pixels; images are padded to it, so that few sizes are compiled for, and no image is too small


@dataclasses.dataclass(frozen=True)
class Request:
    """Translates image files, each to a PNG of its own size."""

    out: str = "translated"
    """Folder to write into; an image of a folder keeps its place below it."""
    direction: Literal["a2b", "b2a"] = "a2b"
    """Which way CycleGAN translates; pix2pix knows a2b alone."""
    seed: int = 0
    """Decides the noise."""
    step: Literal["newest", "best"] | int = "newest"
    """Which checkpoint: newest, best, or that of a step."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    helps = {"-h", "--help"}.intersection(argv)
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), argv))
    if not helps and len(words) < 2:
        config.fail(
            "name the run's directory, then images or folders: python experiments/translate.py RUN_DIR photo.jpg --out=DIR"
        )
    request = config.read_flags(["--help"] if helps else argv[len(words) :], Request(), __doc__)

    import jax

    from jaxgan.types import UserError

    run_dir, *given = (pathlib.Path(word).expanduser() for word in words)
    try:
        with warnings.catch_warnings(), jax.default_matmul_precision("float32"):  # GPUs would round factors to 11 bits
            warnings.showwarning = lambda message, *where: print(f"warning: {message}", file=sys.stderr)
            print(translate(run_dir, given, request))
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {error.filename or request.out}: {error.strerror or error}")
    return 0


def translate(run_dir: pathlib.Path, given: list[pathlib.Path], request: Request) -> str:
    """Writes the translation of every image; says what it wrote. Of a run of several seeds, the first one translates."""
    from jaxgan import pictures
    from jaxgan.metrics.quality import Images

    files = named(given, pathlib.Path(request.out))
    step, apply = translator(run_dir, request)

    def made():
        for i, (path, target) in enumerate(files.items()):
            pictures.save_png(target, apply(path, i))
            yield [path]

    for _ in features.watched(Images(f"translating into {request.out}", len(files), made)):
        pass
    return f"{len(files)} images by step {step} of {run_dir}: {request.out}"


def named(given: list[pathlib.Path], out: pathlib.Path) -> dict[pathlib.Path, pathlib.Path]:
    """Finds the images among files and folders, and where the translation of each is to be written.

    Raises:
        UserError: nothing there, a folder without images, or a translation in the place of another or of an image.
    """
    from jaxgan.data import images
    from jaxgan.types import UserError

    found: dict[pathlib.Path, pathlib.Path] = {}
    for place in given:
        if not place.exists():
            raise UserError(f"there is no {place}: name images, or folders of images")
        root, inside = place.parent, [place]
        if place.is_dir():
            root, inside = place, sorted(path for path in images.walk(place) if path.suffix.lower() in images.SUFFIXES)
        if not inside:
            raise UserError(f"{place} has no images: put files there that end in {' '.join(images.SUFFIXES)}")
        found |= {path: out / path.relative_to(root).with_suffix(".png") for path in inside}
    taken: dict[pathlib.Path, pathlib.Path] = {}
    for path, target in found.items():
        if taken.setdefault(target, path) != path:
            raise UserError(f"{taken[target]} and {path} would both become {target}: rename one, or translate them apart")
        if target.exists() and any(target.samefile(image) for image in found):
            raise UserError(f"{target} is one of the images: give another --out")
    return found


def translator(run_dir: pathlib.Path, request: Request):
    """Loads a run: `(step, (path, number) -> uint8 [height, width, 3])`; seed and number decide an image's noise.

    Raises:
        UserError: no such run, not one that translates or not that way, or no such checkpoint.
    """
    import jax
    import numpy as np

    from jaxgan import data, pictures, runs
    from jaxgan.data import images, pairs
    from jaxgan.types import UserError

    step, experiment, (state, *_) = runs.restore_each(run_dir, None if request.step == "newest" else request.step)
    told = json.loads((run_dir.absolute() / "config.json").read_text())
    if not issubclass(importlib.import_module(told["module"]).Config, translation.Config):
        raise UserError(f"{run_dir} is a run of {told['variant']}, which translates no images; name one of pix2pix or cyclegan")
    infer, key = experiment.phases[0].game.infer, jax.random.key(request.seed)
    channels, paired = told["data"]["shape"][2], told["config"]["dataset"].partition(":")[0] in data.PAIRED
    if paired and request.direction != "a2b":
        raise UserError(f"--direction={request.direction} is not what {told['variant']} has learnt; leave it out")
    channels = channels // 2 if paired else channels
    first = translation.MADE[request.direction] * channels

    @jax.jit
    def made(source, number):
        inputs = {"source": source, "real": source, "key": jax.random.fold_in(key, number)[None]}
        return infer(state, inputs)[..., first : first + channels]  # the rest is not computed

    def apply(path, number):
        height, width = size = pairs.size_of(path)
        pixels = images.as_meant(images.Files([path], size, channels).read(path), 127.5)
        padded = np.pad(pixels, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), mode="symmetric")
        image = np.asarray(made(padded[None], number))[:, :height, :width]
        return pictures.grid(image, scale=1, pad=0)

    return step, apply


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
