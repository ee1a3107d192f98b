"""Translates image files by a trained run of pix2pix or CycleGAN, and clips by one of vid2vid.

python experiments/translate.py RUN_DIR photo.jpg --out=translated             one file, in its own size
python experiments/translate.py RUN_DIR photos/ more.png --out=translated      folders, with what is in their sub-folders
python experiments/translate.py RUN_DIR photos/ --direction=b2a                CycleGAN's way back
python experiments/translate.py RUN_DIR outlines.gif film.mp4 frames/           vid2vid: animations, films, folders of frames

A GIF becomes a GIF, a film (MP4, MOV, MKV, WebM, AVI; needs jaxgan[video]) an MP4 without sound, any other clip a WebP.
"""

import dataclasses
import importlib
import itertools
import json
import pathlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from experiments import config, features, translation
from experiments.variants import vid2vid

MULTIPLE = 32  # pixels; images are padded to it, so that few sizes are compiled for, and no image is too small


@dataclasses.dataclass(frozen=True)
class Request:
    """Translates image files, each to a PNG of its own size, or clips, each to an animation of its own size."""

    out: str = "translated"
    """Folder to write into; what lies in a folder keeps its place below it."""
    direction: Literal["a2b", "b2a"] = "a2b"
    """Which way CycleGAN translates; the others know a2b alone."""
    seed: int = 0
    """Decides the noise."""
    step: Literal["newest", "best"] | int = "newest"
    """Which checkpoint: newest, best, or that of a step."""


class Run(NamedTuple):
    """A run as it was found: its config.json, and how it infers from its state."""

    told: dict
    infer: Callable
    state: Any


class Translator(NamedTuple):
    """How one kind of thing is translated.

    Attributes:
        things: what they are, in words.
        below: finds them in a folder, `folder -> {path: its files}`.
        ending: of what is written for a path.
        length: how many images a thing's files hold.
        write: translates: `(files, target, number)`; number and the request's seed decide the noise.
    """

    things: str
    below: Callable[[pathlib.Path], dict[pathlib.Path, list[pathlib.Path]]]
    ending: Callable[[pathlib.Path], str]
    length: Callable[[list[pathlib.Path]], int]
    write: Callable[[list[pathlib.Path], pathlib.Path, int], None]


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
    """Writes the translation of everything; says what it wrote. Of a run of several seeds, the first one translates.

    Raises:
        UserError: no such run, not one that translates or not that way, no such checkpoint; or as of `named`.
    """
    from jaxgan import runs
    from jaxgan.metrics.quality import Images
    from jaxgan.types import UserError

    step, experiment, (state, *_) = runs.restore_each(run_dir, None if request.step == "newest" else request.step)
    told = json.loads((run_dir.absolute() / "config.json").read_text())
    kinds = {translation.Config: of_images, vid2vid.Config: of_clips}
    made_by = importlib.import_module(told["module"]).Config
    kind = next((kind for base, kind in kinds.items() if issubclass(made_by, base)), None)
    if kind is None:
        take = "name one of pix2pix or cyclegan, or of vid2vid for clips"
        raise UserError(f"{run_dir} is a run of {told['variant']}, which translates no images; {take}")
    translator = kind(Run(told, experiment.phases[0].game.infer, state), request)
    found = named(given, pathlib.Path(request.out), translator.below, translator.ending)

    def made():
        for number, (files, target) in enumerate(found):
            translator.write(files, target, number)
            yield range(translator.length(files))

    count = sum(translator.length(files) for files, _ in found)
    for _ in features.watched(Images(f"translating into {request.out}", count, made)):
        pass
    return f"{len(found)} {translator.things} by step {step} of {run_dir}: {request.out}"


def named(given: list[pathlib.Path], out: pathlib.Path, below, ending) -> list[tuple[list[pathlib.Path], pathlib.Path]]:
    """Finds what is to be translated among files and folders: the files of each, and where its translation is to be written.

    Args:
        given: files and folders.
        out: folder to write into.
        below, ending: as in `Translator`.

    Raises:
        UserError: nothing there, a folder without images, or a translation in the place of another or of an image.
    """
    from jaxgan.data import images
    from jaxgan.types import UserError

    found: dict[pathlib.Path, tuple[list[pathlib.Path], pathlib.Path]] = {}
    for place in given:
        if not place.exists():
            raise UserError(f"there is no {place}: name images, or folders of images")
        inside = below(place) if place.is_dir() else {place: [place]}
        if not inside:
            raise UserError(f"{place} has no images: put files there that end in {' '.join(images.SUFFIXES)}")
        for path, files in inside.items():
            relative = path.relative_to(place) if path != place else pathlib.Path(path.absolute().name)
            name = relative.name if path.is_dir() else relative.stem
            found[path] = files, out / relative.parent / (name + ending(path))
    taken: dict[pathlib.Path, pathlib.Path] = {}
    for path, (_, target) in found.items():
        if taken.setdefault(target, path) != path:
            raise UserError(f"{taken[target]} and {path} would both become {target}: rename one, or translate them apart")
        if target.exists() and any(target.samefile(image) for files, _ in found.values() for image in files):
            raise UserError(f"{target} is one of the images: give another --out")
    return list(found.values())


def of_images(run: Run, request: Request) -> Translator:
    """Makes what translates images, each to a PNG.

    Raises:
        UserError: the run does not translate that way.
    """
    import jax

    from jaxgan import data, pictures
    from jaxgan.data import images, pairs

    channels, paired = run.told["data"]["shape"][2], run.told["config"]["dataset"].partition(":")[0] in data.PAIRED
    if paired:
        one_way(run, request)
        channels //= 2
    first, key = translation.MADE[request.direction] * channels, jax.random.key(request.seed)

    @jax.jit
    def made(source, number):
        inputs = {"source": source, "real": source, "key": jax.random.fold_in(key, number)[None]}
        return run.infer(run.state, inputs)[..., first : first + channels]  # the rest is not computed

    def write(files, target, number):
        pixels = images.Files(files, pairs.size_of(files[0]), channels).read(files[0])
        image = uncut(made, images.as_meant(pixels, 127.5)[None], number)
        pictures.save_png(target, pictures.grid(image, scale=1, pad=0))

    def below(folder):
        return {path: [path] for path in sorted(images.walk(folder)) if path.suffix.lower() in images.SUFFIXES}

    return Translator("images", below, lambda path: ".png", len, write)


def of_clips(run: Run, request: Request) -> Translator:
    """Makes what translates clips, each to an animation whose frames are shown as long as before; errors as of `of_images`."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import pictures
    from jaxgan.data import clips, images, pairs
    from jaxgan.types import UserError

    one_way(run, request)
    channels, key = run.told["data"]["shape"][-1], jax.random.key(request.seed)

    @jax.jit
    def made(source, number):
        nothing = jnp.zeros((*source.shape[:-1], channels))
        inputs = {"source": source, "real": nothing, "key": jax.random.fold_in(key, number)[None]}
        return run.infer(run.state, inputs)[..., channels : 2 * channels]

    def write(files, target, number):
        frames, durations = clips.read(files)
        if len({frame.shape for frame in frames}) > 1:
            raise UserError(f"{files[0].parent} holds frames of different sizes: bring them to one")
        source = images.as_meant(pairs.grey(np.stack(frames))[..., :1], 127.5)
        clip = uncut(made, source[None], number)[0]
        pictures.save_clip(target, [pictures.grid(frame[None], scale=1, pad=0) for frame in clip], durations)

    def ending(path):
        return ".mp4" if clips.is_film(path) else ".gif" if path.suffix.lower() == ".gif" else ".webp"

    return Translator("clips", clips.below, ending, clips.length, write)


def one_way(run: Run, request: Request) -> None:
    """Refuses the way back."""
    from jaxgan.types import UserError

    if request.direction != "a2b":
        raise UserError(f"--direction={request.direction} is not what {run.told['variant']} has learnt; leave it out")


def uncut(made, source, number):
    """Applies what takes images of few sizes to `[..., height, width, channels]` of any, whose border is mirrored meanwhile."""
    import numpy as np

    height, width = source.shape[-3:-1]
    frame = [(0, 0)] * (source.ndim - 3) + [(0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)]
    return np.asarray(made(np.pad(source, frame, mode="symmetric"), number))[..., :height, :width, :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
