"""Draws from a trained run, and shows what its generator has learnt.

python experiments/sample.py RUN_DIR --count=100 --out=grid.png           a grid, with a column a class where it is told labels
python experiments/sample.py RUN_DIR --count=1000 --out=samples.npz       arrays, float32, images in [-1, 1]
python experiments/sample.py RUN_DIR --label=3 --truncation=0.5           one class, from latents near the middle
python experiments/sample.py RUN_DIR --interpolate --out=path.png         each row from one latent to another
python experiments/sample.py RUN_DIR --interpolate=classes --count=8      each row one latent, as every class
python experiments/sample.py RUN_DIR --nearest --count=16                 each row a sample | its 3 nearest training images
python experiments/sample.py RUN_DIR --sweep=0.2,0.5,1,1.5,2              what truncation gains and loses: a curve and a JSON file
"""

import dataclasses
import functools
import json
import math
import pathlib
import sys
import warnings
from typing import Any, Literal, NamedTuple

from experiments import config, evaluate, features

COUNT = 64  # examples, paths or rows, where nothing is said
FRAMES = 10  # pictures on a path
NEAREST = 3  # training images beside a sample


@dataclasses.dataclass(frozen=True)
class Request:
    """Draws from a trained run: from the generator's moving average, where it keeps one."""

    count: int | None = None
    """Examples to draw, or with --interpolate rows, 64 unless told; with --sweep as many as are held out."""
    out: str = "samples.png"
    """Where to: .png for a picture, .npz for the arrays."""
    seed: int = 0
    """Decides the latents."""
    step: Literal["newest", "best"] | int = "newest"
    """Which checkpoint: newest, best, or that of a step."""
    label: int | None = None
    """The only class to draw, of a generator that is told labels; otherwise they take turns."""
    truncation: float = 0.0
    """Redraw components of normal latents beyond this (BigGAN, section 3.1), 0 for none."""
    standing_statistics: int = 0
    """Batches to measure the generator's BatchNorm by anew, of just such inputs; 0 leaves the averages of training, which do not
    fit truncated latents."""
    interpolate: Literal["none", "latents", "classes"] = "none"
    """latents, or no value: ten examples on the arc between two latents; classes: one latent as every class. A row each."""
    nearest: bool = False
    """Draw each sample beside the training images with the nearest features: a classifier's, or pixels where no labels are."""
    sweep: str = ""
    """Thresholds with commas between: measure samples truncated at each, by these features, against held-out images."""

    @property
    def thresholds(self) -> list[float]:
        try:
            return sorted(float(word) for word in self.sweep.split(",") if self.sweep)
        except ValueError:
            return [math.nan]

    def validate(self) -> None:
        """Checks that every value makes sense, and that what is asked for goes together.

        Raises:
            ValueError: names the first mistake, and what to do.
        """
        kinds = {"--interpolate": self.interpolate != "none", "--nearest": self.nearest, "--sweep": self.sweep != ""}
        chosen, ending = [flag for flag, asked in kinds.items() if asked], pathlib.Path(self.out).suffix
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} make a picture each; take one of them at a time")
        if ending not in (".png", ".npz"):
            raise ValueError(f"--out={self.out} must end in .png or .npz")
        if ending == ".npz" and (self.nearest or self.sweep):
            raise ValueError(f"{chosen[0]} makes a picture; --out={self.out} must end in .png")
        if self.count is not None and self.count < 1:
            raise ValueError(f"--count={self.count} must be at least 1")
        if not 0 <= self.truncation < math.inf:
            raise ValueError(f"--truncation={self.truncation} must be above 0, or 0 for none")
        if self.standing_statistics < 0:
            raise ValueError(f"--standing_statistics={self.standing_statistics} must be at least 1, or 0 for those of training")
        if self.label is not None and (self.sweep or self.interpolate == "classes"):
            raise ValueError(f"{chosen[0]} is of all classes; leave --label out")
        if self.sweep and self.truncation:
            raise ValueError("--sweep has thresholds of its own; leave --truncation out")
        if not all(0 < threshold < math.inf for threshold in self.thresholds):
            raise ValueError(f"--sweep={self.sweep} must be numbers above 0 with commas between, as 0.5,1,2")


class Run(NamedTuple):
    """A run as it was found: its config.json, the step of its checkpoint, the experiment of one seed, the states of all."""

    run_dir: pathlib.Path
    told: dict
    step: int
    experiment: Any
    states: list


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    helps = {"-h", "--help"}.intersection(argv)
    if not helps and (not argv or argv[0].startswith("-")):
        config.fail("name the run's directory first: python experiments/sample.py RUN_DIR --count=64 --out=samples.png")
    words = ["--interpolate=latents" if word == "--interpolate" else word for word in argv[1:]]
    request = config.read_flags(["--help"] if helps else words, Request(), __doc__)
    try:
        request.validate()
    except ValueError as error:
        config.fail(error)

    import jax

    from jaxgan import runs
    from jaxgan.types import UserError

    out, run_dir = pathlib.Path(request.out), pathlib.Path(argv[0]).expanduser().absolute()
    try:
        with warnings.catch_warnings(), jax.default_matmul_precision("float32"):  # GPUs would round factors to 11 bits
            warnings.showwarning = lambda message, *where: print(f"warning: {message}", file=sys.stderr)
            restored = runs.restore_each(run_dir, None if request.step == "newest" else request.step)
            run = Run(run_dir, json.loads((run_dir / "config.json").read_text()), *restored)
            print(sweep(run, request, out) if request.sweep else draw(run, request, out))
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {error.filename or out}: {error.strerror or error}")
    return 0


def draw(run: Run, request: Request, out: pathlib.Path) -> str:
    """Writes examples as arrays `[count, ...]`, of several seeds `[count, seeds, ...]`, or as a picture; says what it wrote."""
    import jax
    import numpy as np

    from jaxgan import pictures
    from jaxgan.train import make_sampler

    inputs, count, columns, picture = asked(run, request), request.count or COUNT, None, run.experiment.picture
    states = standing(run, request, inputs)
    rows = {"latents": (paths, FRAMES), "classes": (every_class, run.told["data"]["num_classes"])}
    if request.interpolate in rows:
        along, columns = rows[request.interpolate]
        inputs, count = along(inputs, columns), count * columns
    if len(run.told["data"]["shape"]) == 3 and (columns or request.label is not None):
        picture = functools.partial(pictures.grid, columns=columns)
    if request.nearest:
        picture = beside_nearest(run)
    sample = make_sampler(run.experiment.phases[0].game, inputs)
    examples = [sample(state)(jax.random.key(request.seed), count) for state in states]
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        np.savez(out, images=examples[0] if len(examples) == 1 else np.stack(examples, axis=1))
    else:
        pictures.save_png(out, np.concatenate([picture(own) for own in examples], axis=1))
    return f"{count} examples of step {run.step}: {out}"


def asked(run: Run, request: Request):
    """Gives the run's inputs as the request wants them: truncated, and of one class.

    Raises:
        UserError: the generator is told no labels, or there is no such class; its latents cannot be truncated.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan.types import UserError

    inputs, classes, label = run.experiment.inputs, run.told["data"]["num_classes"], request.label
    flag = f"--label={label}" if label is not None else "--interpolate=classes" if request.interpolate == "classes" else ""
    if flag and evaluate.labels_in(inputs(jax.random.key(0), 2)) is None:
        raise UserError(f"{flag} needs a generator that is told labels, and {run.told['variant']} tells none; leave it out")
    if label is not None and not 0 <= label < classes:
        raise UserError(f"--label={label} must lie between 0 and {classes - 1}")
    if request.truncation:
        inputs = truncated(inputs, request.truncation)
    if label is None:
        return inputs
    return lambda key, count: on_latents(lambda z: z, inputs(key, count), labels=lambda x: jnp.full_like(x, label))


def standing(run: Run, request: Request, inputs) -> list:
    """Gives every seed's state, with BatchNorm statistics of these inputs where the request wants them.

    Raises:
        UserError: the generator has no BatchNorm, or its variant offers no way to it.
    """
    import jax

    from jaxgan.types import UserError

    if not request.standing_statistics:
        return run.states
    if not run.experiment.stand:
        raise UserError(f"--standing_statistics is made for variants that learn from labels, not {run.told['variant']}")
    key = jax.random.fold_in(jax.random.key(request.seed), 1)
    return [run.experiment.stand(state, inputs, key, request.standing_statistics) for state in run.states]


def on_latents(change, *given, labels=lambda x: x):
    """Applies `change` to the latents, floats, among what a generator is given, and `labels` to all else, the labels."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *x: (change if jnp.issubdtype(x[0].dtype, jnp.floating) else labels)(*x), *given)


def truncated(inputs, threshold: float):
    """Redraws every component of the latents until it lies in [-threshold, threshold]; labels stay.

    Raises:
        UserError: what `inputs` draws is not, number for number, what `latents.normal` does.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import latents
    from jaxgan.types import UserError

    def check(z):
        if z.ndim != 2 or not jnp.array_equal(z, latents.normal(z.shape[1])(jax.random.key(0), len(z))):
            raise UserError("truncation is made for normal latents, and this generator starts from others; leave it out")

    on_latents(check, inputs(jax.random.key(0), 8))
    return lambda key, count: on_latents(lambda z: latents.truncated(z.shape[1], threshold)(key, count), inputs(key, count))


def paths(inputs, frames: int):
    """Draws paths of some frames along the arc between two latents; labels are those of the start."""
    import jax
    import jax.numpy as jnp

    from jaxgan import latents

    def drawn(key, count):
        def arc(start, end):
            t = jnp.linspace(0.0, 1.0, frames).reshape(1, frames, *[1] * (start.ndim - 1))
            return latents.slerp(start[:, None], end[:, None], t).reshape(-1, *start.shape[1:])[:count]

        ends = [inputs(own, -(-count // frames)) for own in jax.random.split(key)]
        return on_latents(arc, *ends, labels=lambda start, end: jnp.repeat(start, frames, axis=0)[:count])

    return drawn


def every_class(inputs, classes: int):
    """Draws each latent once for every class, labels in order."""
    import jax.numpy as jnp

    def drawn(key, count):
        again = lambda z: jnp.repeat(z, classes, axis=0)[:count]
        return on_latents(again, inputs(key, -(-count // classes)), labels=lambda x: jnp.arange(count, dtype=x.dtype) % classes)

    return drawn


def look(run: Run, split: str, count: int = 0):
    """Looks at real images as a `quality.Seen`: `(seen, extract, its name)`, through a classifier, or pixels without labels.

    Raises:
        UserError: points; data that are not the run's; fewer images than asked for.
    """
    from jaxgan import data
    from jaxgan.types import UserError

    dataset = data.load(run.told["config"]["dataset"], run.told["config"]["image_size"])
    evaluate.refuse(run.run_dir, run.told, (run.step, run.experiment, run.states), dataset, evaluate.Request(), 1)
    if count > (held := len(dataset.held_out.images)):
        raise UserError(f"--count={count} must be at most {held}, as many as {dataset.name} holds out to compare with")
    extract, name = features.extractor(dataset, "classifier" if dataset.num_classes else "pixels", "tensorflow", "")
    return features.stored(features.stored_images(dataset, split, count), extract, name, by_row=True), extract, name


def beside_nearest(run: Run):
    """Makes what draws samples beside the training images whose features are nearest, a row each."""
    import numpy as np

    from jaxgan import metrics, pictures

    training, extract, _ = look(run, "train")

    def picture(images):
        found = metrics.nearest_neighbours(extract(images)["features"], training.rows["features"], NEAREST).index
        beside = training.images.pick(found.ravel()).reshape(*found.shape, *images.shape[1:])
        rows = np.concatenate([images[:, None], beside], axis=1)
        return pictures.grid(rows.reshape(-1, *images.shape[1:]), columns=1 + NEAREST)

    return picture


def sweep(run: Run, request: Request, out: pathlib.Path) -> str:
    """Measures samples truncated at each threshold, and not truncated; writes a curve and a JSON file, and gives a table."""
    from jaxgan import pictures
    from jaxgan.train import infer_blocks

    given = {threshold: truncated(run.experiment.inputs, threshold) for threshold in request.thresholds}
    real, extract, name = look(run, "held_out", request.count or 0)
    measures = evaluate.Request(metrics="prdc,frechet", seed=request.seed)
    bench, infer = evaluate.Bench(run.run_dir, measures, extract, True, real, None), infer_blocks(run.experiment.phases[0].game)
    curve, lines = [], []
    for threshold, inputs in {**given, None: run.experiment.inputs}.items():
        found = [
            evaluate.measured(bench, f"truncation {threshold or 'none'}", inputs, functools.partial(infer, state))
            for state in standing(run, request, inputs)
        ]
        scores = evaluate.over_seeds([own["prdc"] | own["frechet"] for own in found])
        curve.append({"truncation": threshold, "scores": scores})
        cells = [f"{score['value']:.4g}" + (f" ± {score['sd']:.2g}" if "sd" in score else "") for score in scores]
        lines.append(f"{threshold or 'none':<12}" + "".join(f"{cell:>20}" for cell in cells))
    record = {
        "run": str(run.run_dir),
        "step": run.step,
        "latents_seed": request.seed,
        "standing_statistics": request.standing_statistics,
        "features": name,
        "real": f"{run.told['config']['dataset']}, {real.images.told}",
        "generated": real.images.count,
        "curve": curve,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_png(out, chart(curve))
    out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    head = f"{'truncation':<12}" + "".join(f"{score['metric']:>20}" for score in curve[0]["scores"])
    return "\n".join([head, *lines, f"{real.images.count} samples of step {run.step}, through {name}: {out}"])


def chart(curve: list[dict]):
    """Draws what `sweep` measured over the thresholds: shares on the left, the Frechet distance on the right."""
    from experiments import figures
    from jaxgan import pictures

    figure, [[left, right]] = figures.panels(1, 2, 4.6, 3.4)
    ticks = [f"{point['truncation']:g}" if point["truncation"] else "none" for point in curve]
    colours = (figures.BLUE, figures.VERMILION, figures.SKY, figures.ORANGE, figures.BLACK)
    for scores, colour in zip(zip(*(point["scores"] for point in curve)), colours):
        axes, spread = right if scores[0]["metric"] == "frechet" else left, [score.get("sd", 0.0) for score in scores]
        values = [score["value"] for score in scores]
        axes.errorbar(ticks, values, spread, fmt="o-", color=colour, label=scores[0]["metric"])
    left.set(xlabel="truncation", ylabel="share", ylim=(0, None))
    left.legend()
    right.set(xlabel="truncation", ylabel="Frechet distance", ylim=(0, None))
    return pictures.drawn(figure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
