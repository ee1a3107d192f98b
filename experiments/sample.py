"""Draws from a trained run.

python experiments/sample.py runs/sngan-digits-0 --count=100 --out=grid.png            a grid
python experiments/sample.py runs/sngan-digits-0 --count=1000 --out=samples.npz        arrays, float32, images in [-1, 1]
python experiments/sample.py runs/sngan-digits-0 --interpolate --out=path.png          each row from one latent to another
"""

import dataclasses
import functools
import pathlib
import sys
from typing import Literal

from experiments import config

FRAMES = 10  # pictures on a path


@dataclasses.dataclass(frozen=True)
class Request:
    """Draws from a trained run: from the generator's moving average, where it keeps one."""

    count: int = 64
    """Examples to draw; with --interpolate, paths."""
    out: str = "samples.png"
    """Where to: .png for a picture, .npz for the arrays."""
    seed: int = 0
    """Decides the latents."""
    step: Literal["newest", "best"] | int = "newest"
    """Which checkpoint: newest, best, or that of a step."""
    interpolate: bool = False
    """Draw paths between two latents along the arc, ten examples each."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    helps = {"-h", "--help"}.intersection(argv)
    if not helps and (not argv or argv[0].startswith("-")):
        config.fail("name the run's directory first: python experiments/sample.py RUN_DIR --count=64 --out=samples.png")
    request = config.read_flags(["--help"] if helps else argv[1:], Request(), __doc__)
    out = pathlib.Path(request.out)
    if out.suffix not in (".png", ".npz"):
        config.fail(f"--out={out} must end in .png or .npz")
    if request.count < 1:
        config.fail(f"--count={request.count} must be at least 1")

    from jaxgan.types import UserError

    try:
        step, examples, picture = draw(argv[0], request)
        write(out, examples, picture)
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {out}: {error.strerror or error}")
    print(f"{len(examples)} examples of step {step}: {out}")
    return 0


def draw(run_dir: str, request: Request):
    """Draws examples, numpy `[count, ...]` or `[count * FRAMES, ...]` for paths.

    Returns:
        The checkpoint's step, the examples, and what makes a picture of them.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import latents, pictures, runs
    from jaxgan.train import make_sampler

    reached, experiment, state = runs.restore(run_dir, None if request.step == "newest" else request.step)
    inputs, count, picture = experiment.inputs, request.count, experiment.picture

    def path(start, end):
        """From one input to the other: latents along the arc, all else (labels) as at the start."""
        if not jnp.issubdtype(start.dtype, jnp.floating):
            return jnp.repeat(start, FRAMES, axis=0)
        frames = jnp.linspace(0.0, 1.0, FRAMES).reshape(1, FRAMES, *[1] * (start.ndim - 1))
        return latents.slerp(start[:, None], end[:, None], frames).reshape(-1, *start.shape[1:])

    if request.interpolate:
        count = count * FRAMES
        if picture is pictures.grid:
            picture = functools.partial(pictures.grid, columns=FRAMES)

        def inputs(key, count):
            ends = experiment.inputs(key, 2 * -(-count // FRAMES))
            return jax.tree.map(lambda x: path(x[0::2], x[1::2])[:count], ends)

    sample = make_sampler(experiment.phases[0].game, inputs)(state)
    return reached, sample(jax.random.key(request.seed), count), picture


def write(out: pathlib.Path, examples, picture) -> None:
    """Writes the examples, or a picture of them, as the file's ending says."""
    import numpy as np

    from jaxgan import pictures

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        np.savez(out, images=examples)
    else:
        pictures.save_png(out, picture(examples))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
