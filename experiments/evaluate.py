"""Measures finished runs, and says by which protocol.

python experiments/evaluate.py RUN_DIR                                      pixels, all held-out images, best and final
python experiments/evaluate.py RUN_DIR --features=classifier --samples=5000
python experiments/evaluate.py RUN_DIR --features=inception --split=train --samples=50000      FID and IS as papers have them
python experiments/evaluate.py RUN_DIR --metrics=memorisation               are samples copies? A picture beside the scores
python experiments/evaluate.py RUN_DIR RUN_DIR RUN_DIR                      the same run with several seeds: mean and spread

Scores are kept in RUN_DIR/evaluation.json, each with the id of its protocol: scores with different ids must not be compared.
What was measured earlier, of the same checkpoints by other protocols, stays there.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from experiments import config, features

LABELLED = ("intra_class", "classifier_accuracy")
TRAINED_ON = ("classifier_accuracy", "memorisation")  # look at training images, too
PATHS = 1_024  # between latents, whole blocks of them
SHOWN = 16  # samples most like a training image, in the picture


@dataclasses.dataclass(frozen=True)
class Request:
    """Measures finished runs, and says by which protocol."""

    metrics: str = "frechet,kernel,prdc"
    """Which, with commas between: frechet, kernel, prdc, inception_score, sliced_wasserstein, diversity, ms_ssim,
    frechet_infinity, intra_class, classifier_accuracy, memorisation, perceptual_path_length."""
    features: Literal["pixels", "classifier", "inception"] = "pixels"
    """What images are seen through: 8x8 pixels, a classifier trained on the data set's labels, or the InceptionV3 FID network."""
    split: Literal["held_out", "train"] = "held_out"
    """Which real images to compare with."""
    samples: int = 0
    """How many real and generated images; 0 for as many as there are real ones. Papers have 50000."""
    step: Literal["both", "newest", "best"] = "both"
    """Which checkpoints."""
    seed: int = 0
    """Decides the latents."""
    bootstrap: int = 0
    """Resamples, for 95 % intervals around frechet, kernel, sliced_wasserstein and inception_score; 0 for none."""
    path: Literal["slerp", "lerp"] = "slerp"
    """How perceptual_path_length goes between latents: on the arc, as for normal ones, or straight."""
    devices: int = 1
    """How many devices samples are generated on; 0 for all there are. Features are computed on the first."""
    resize: Literal["tensorflow", "pytorch"] = "tensorflow"
    """How images are brought to Inception's size: as the original FID code does, or as pytorch-fid does."""
    inception_weights: str = ""
    """File of the Inception weights; otherwise they are looked for in the cache, and downloaded."""

    @property
    def chosen(self) -> list[str]:
        return [name.strip() for name in self.metrics.split(",") if name.strip()]

    def validate(self) -> None:
        """Checks that every number makes sense, and that what is asked for goes together.

        Raises:
            ValueError: names the first mistake, and what to do.
        """
        from jaxgan.metrics.quality import FAMILIES

        resampled = [name for name, family in FAMILIES.items() if family.resampled]
        unknown = [name for name in self.chosen if name not in FAMILIES]
        if unknown or not self.chosen:
            raise ValueError(f"unknown metric '{', '.join(unknown)}'" + config.nearest(unknown[0] if unknown else "", FAMILIES))
        if "inception_score" in self.chosen and self.features == "pixels":
            raise ValueError("inception_score needs probabilities of classes; take --features=inception or classifier")
        if "perceptual_path_length" in self.chosen and self.features == "inception":
            told = "Inception sees images in 256 levels, which hide a ten-thousandth of a path"
            raise ValueError(f"perceptual_path_length: {told}; take --features=classifier or pixels")
        if self.split == "train" and (seen := [name for name in self.chosen if name in TRAINED_ON]):
            raise ValueError(f"{seen[0]} compares with images that training never saw; take --split=held_out")
        if self.samples < 0 or self.samples == 1:
            raise ValueError(f"--samples={self.samples} must be at least 2, or 0 for as many as there are real images")
        if self.bootstrap < 0 or self.bootstrap == 1:
            raise ValueError(f"--bootstrap={self.bootstrap} must be at least 2, or 0 for no intervals")
        if self.bootstrap and not set(self.chosen) & set(resampled):
            raise ValueError(f"--bootstrap has intervals for {', '.join(resampled)} alone; put one of them among --metrics")
        if self.devices < 0:
            raise ValueError(f"--devices={self.devices} must be at least 1, or 0 for all there are")


class Bench(NamedTuple):
    """What all checkpoints of a run are measured by.

    Attributes:
        run_dir: the run.
        request: what was asked for.
        extract: `images -> {"features", ...}`.
        by_row: whether features are kept row by row, and not only their moments.
        real: a `quality.Seen` of real images.
        training: another one of all training images, where a family asks for them, or None.
    """

    run_dir: pathlib.Path
    request: Request
    extract: Callable
    by_row: bool
    real: Any
    training: Any


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if {"-h", "--help"}.intersection(argv):
        config.read_flags(["--help"], Request(), __doc__)
    runs = [word for word in argv if not word.startswith("-")]
    request = config.read_flags([word for word in argv if word.startswith("-")], Request(), __doc__)
    if not runs:
        config.fail("name the run's directory first: python experiments/evaluate.py RUN_DIR")
    try:
        request.validate()
    except ValueError as error:
        config.fail(error)

    import jax

    from jaxgan.types import UserError

    try:
        with warnings.catch_warnings(), jax.default_matmul_precision("float32"):  # GPUs would round factors to 11 bits
            warnings.showwarning = lambda message, *where: print(f"warning: {message}", file=sys.stderr)
            records = [evaluate(pathlib.Path(run).expanduser().absolute(), request) for run in runs]
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {error.filename}: {error.strerror or error}")
    print("\n".join(table(records)))
    return 0


def evaluate(run_dir: pathlib.Path, request: Request) -> dict:
    """Measures one run, adds what it found to `evaluation.json` beside the checkpoints, and returns that."""
    from jax.sharding import NamedSharding, PartitionSpec

    from jaxgan import data, parallel, runs
    from jaxgan.metrics.quality import FAMILIES
    from jaxgan.train import infer_blocks

    steps = {"both": ["newest", "best"], "newest": ["newest"], "best": ["best"]}[request.step]
    restored = {which: runs.restore_each(run_dir, None if which == "newest" else which) for which in steps}
    told = json.loads((run_dir / "config.json").read_text())
    cfg = told["config"]
    dataset, plan = data.load(cfg["dataset"], cfg["image_size"]), parallel.make_plan("jit", request.devices)
    refuse(run_dir, told, restored[steps[0]], dataset, request, plan.mesh.size)
    real = features.stored_images(dataset, request.split, request.samples)
    training = features.stored_images(dataset, "train") if set(request.chosen) & set(TRAINED_ON) else None
    extract, extractor = features.extractor(dataset, request.features, request.resize, request.inception_weights)
    by_row = request.chosen != ["frechet"] or request.bootstrap > 0
    seen = [part and features.stored(part, extract, extractor, by_row) for part in (real, training)]
    bench = Bench(run_dir, request, extract, by_row, *seen)

    found: dict[int, list[dict]] = {}  # step -> what each seed has
    protocols, scores, code = {}, [], commit()
    for which, (step, experiment, states) in restored.items():
        if step not in found:
            infer = infer_blocks(experiment.phases[0].game, NamedSharding(plan.mesh, PartitionSpec(parallel.AXIS)))
            names = [f"step {step}" + f", seed {i}" * (len(states) > 1) for i in range(len(states))]
            found[step] = [
                measured(bench, name, experiment.inputs, functools.partial(infer, plan.replicate(state)))
                for name, state in zip(names, states)
            ]
        for name in request.chosen:
            protocol = {
                "metric": name,
                "settings": FAMILIES[name].settings,
                "features": extractor,
                "real": f"{dataset.name}, {cfg['image_size'] or 'native'} pixels, {real.told}",
                "generated": real.count,
            }
            if name in TRAINED_ON:
                protocol["training"] = training.told
            if name == "perceptual_path_length":
                protocol["paths"] = f"{PATHS}, {request.path}"
            known = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:8]
            protocols[known] = protocol
            where = {"protocol": known, "which": which, "step": step, "latents_seed": request.seed, "commit": code}
            where |= {"resamples": request.bootstrap} if request.bootstrap else {}
            scores += [score | where for score in over_seeds([own[name] for own in found[step]])]
    record = {
        "run": str(run_dir),
        "variant": told["variant"],
        "seed": cfg["seed"],
        "config_hash": hashlib.sha256(json.dumps({**cfg, "seed": 0, "workdir": ""}, sort_keys=True).encode()).hexdigest()[:8],
        "versions": told["versions"],
        "protocols": protocols,
        "scores": scores,
    }
    kept = run_dir / "evaluation.json"
    kept.write_text(json.dumps(beside_earlier(kept, record), indent=2) + "\n")
    return record


def beside_earlier(path: pathlib.Path, record: dict) -> dict:
    """Adds what a file holds of the same checkpoints by other protocols; what was measured again is replaced."""
    try:
        earlier = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # there is none, or writing it was cut short
        return record
    place = lambda score: (score["metric"], score["which"], score["protocol"])
    again, steps = {place(score) for score in record["scores"]}, {score["which"]: score["step"] for score in record["scores"]}
    kept = [
        score
        for score in earlier["scores"]
        if place(score) not in again and score["step"] == steps.get(score["which"], score["step"])
    ]
    used = {score["protocol"] for score in kept}
    protocols = {known: protocol for known, protocol in earlier["protocols"].items() if known in used}
    return record | {"protocols": protocols | record["protocols"], "scores": kept + record["scores"]}


def refuse(run_dir: pathlib.Path, told: dict, restored, dataset, request: Request, devices: int) -> None:
    """Says what of a request this run cannot answer, before anything is computed."""
    import jax

    from jaxgan.train import INFER_BATCH
    from jaxgan.types import UserError

    if len(dataset.shape) == 4:
        raise UserError(f"{run_dir} was trained on clips; its scores are those in metrics.jsonl")
    if len(dataset.shape) != 3:
        raise UserError(f"{run_dir} was trained on points; its modes are counted in metrics.jsonl and by experiments/table.py")
    _, experiment, states = restored
    inputs = experiment.inputs
    given = jax.eval_shape(lambda key: inputs(key, INFER_BATCH), jax.random.key(0))
    made = jax.eval_shape(experiment.phases[0].game.infer, states[0], given).shape
    if len(made) != 4 or made[-1] != told["data"]["shape"][-1]:
        raise UserError(f"{run_dir} does not draw images like its data, {told['variant']} does other things; see metrics.jsonl")
    before, now = ("x".join(map(str, shape)) for shape in (told["data"]["shape"], dataset.shape))
    if before != now:
        raise UserError(f"{run_dir} was trained on images of {before}, and {dataset.name} holds {now} now; bring those back")
    for name in request.chosen:
        if name in LABELLED and not dataset.num_classes:
            raise UserError(f"{name} needs labels, and {dataset.name} has none; leave it out of --metrics")
        if name in LABELLED and labels_in(inputs(jax.random.key(0), 2)) is None:
            raise UserError(f"{name} needs a generator that is told labels, and {told['variant']} tells none; leave it out")
    if "perceptual_path_length" in request.chosen and told["config"].get("precision") == "bfloat16":
        raise UserError(f"perceptual_path_length needs more digits than bfloat16 has, which {run_dir} computes in; leave it out")
    if INFER_BATCH % devices:
        raise UserError(f"{devices} devices cannot share blocks of {INFER_BATCH} samples; take --devices=1, 2, 4 or 8")


def measured(bench: Bench, name: str, inputs, infer) -> dict[str, dict[str, list[float]]]:
    """Measures one generator.

    Args:
        bench: what it is measured by.
        name: where it is from.
        inputs: draws what the generator is given, `(key, count)`.
        infer: `(inputs, count) -> iterator of samples`.

    Returns:
        For each family its scores by name: `[value]`, or `[value, low, high]` where there is an interval.
    """
    import jax

    from jaxgan.metrics import quality
    from jaxgan.train import INFER_BATCH

    request, count = bench.request, bench.real.images.count
    drawn = inputs(jax.random.key(request.seed), -(-count // INFER_BATCH) * INFER_BATCH)
    labels = labels_in(drawn)
    images = quality.Images(name, count, lambda: infer(drawn, count), None if labels is None else labels[:count])
    fake = quality.seen_of(images, quality.look(name, features.watched(images), bench.extract, bench.by_row))
    length = functools.partial(path_length, inputs, infer, bench.extract, request)
    view = quality.View(bench.real, fake, bench.training, length)
    found = {}
    for chosen in request.chosen:
        family = quality.FAMILIES[chosen]
        found[chosen] = {label: [float(value)] for label, value in family.measure(view).items()}
        if request.bootstrap and family.resampled:
            _, *ends = family.interval(view, request.bootstrap, request.seed)
            found[chosen][chosen] += ends
    if "memorisation" in request.chosen:
        show_nearest(view, bench.run_dir / f"nearest, {name}.png".replace(", ", "-").replace(" ", "_"))
    return found


def labels_in(inputs):
    """Finds the labels among what a generator is given, integers `[count]`; None where it is told none."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    found = [x for x in jax.tree.leaves(inputs) if jnp.issubdtype(x.dtype, jnp.integer) and x.ndim == 1]
    return np.asarray(found[0]) if len(found) == 1 else None


def path_length(inputs, infer, extract, request: Request) -> float:
    """Computes the perceptual path length between latents at the generator's input; all else there, as labels, stays."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import latents, metrics
    from jaxgan.types import UserError

    leaves, tree = jax.tree.flatten(inputs(jax.random.key(request.seed), 2 * PATHS))
    moving = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    if len(moving) != 1 or leaves[moving[0]].ndim != 2:
        raise UserError("perceptual_path_length needs a generator of one latent [n, size]; leave it out of --metrics")

    def features_at(z):
        given = jax.tree.unflatten(tree, [z if i in moving else leaf[:PATHS] for i, leaf in enumerate(leaves)])
        return np.concatenate([extract(block)["features"] for block in infer(given, PATHS)])

    between = {"slerp": latents.slerp, "lerp": latents.lerp}[request.path]
    return metrics.perceptual_path_length(features_at, *jnp.split(leaves[moving[0]], 2), between, request.seed)


def show_nearest(view, path: pathlib.Path) -> None:
    """Draws pairs, generated | nearest training image, of the `SHOWN` samples that are closest to one, closest first."""
    import numpy as np

    from jaxgan import metrics, pictures
    from jaxgan.metrics.quality import FIRST

    found = metrics.nearest_neighbours(view.fake.rows["features"][:FIRST], view.training.rows["features"])
    closest = np.argsort(found.distance[:, 0], kind="stable")[:SHOWN]
    sides = view.fake.images.pick(closest), view.training.images.pick(found.index[closest, 0])
    pairs = np.stack(sides, axis=1).reshape(-1, *sides[0].shape[1:])
    pictures.save_png(path, pictures.grid(pairs, columns=8))
    print(f"samples most like training images, each beside its nearest: {path}")


def over_seeds(found: list[dict[str, list[float]]]) -> list[dict]:
    """Makes one record of each score that the seeds of a run have: their mean is its value, and theirs stand beside it."""
    import numpy as np

    scores = []
    for label in found[0]:
        values, intervals = [own[label][0] for own in found], [own[label][1:] for own in found]
        score = {"metric": label, "value": float(np.mean(values))}
        if len(values) > 1:
            score |= {"sd": float(np.std(values, ddof=1)), "seeds": values}
        scores.append(score | ({"intervals": intervals} if intervals[0] else {}))
    return scores


def commit() -> str:
    """Names the state of the code: the commit, with a plus where something is changed, or the installed version."""
    import importlib.metadata

    root = pathlib.Path(__file__).parents[1]
    words = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"]
    with contextlib.suppress(OSError):  # git may not be there
        found = subprocess.run(words, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.strip()
    return f"jaxgan {importlib.metadata.version('jaxgan')}"


def table(records: list[dict]) -> list[str]:
    """Writes scores as lines: a row a metric and checkpoint, a column a run or seed; of several alike, mean and spread, too."""
    import numpy as np

    columns: dict[str, dict] = {}  # what stands above -> {row: (value, interval)}
    rows: dict[tuple, set[int]] = {}  # (metric, which, protocol) -> steps
    for number, record in enumerate(records):
        for score in record["scores"]:
            row = score["metric"], score["which"], score["protocol"]
            rows.setdefault(row, set()).add(score["step"])
            values = score.get("seeds", [score["value"]])
            for i, value in enumerate(values):
                head = f"{record['variant']} seed {record['seed']}" + f", {i}" * (len(values) > 1)
                ends = score["intervals"][i] if "intervals" in score else None
                columns.setdefault((number, head), {})[row] = (value, ends)
    alike = len(columns) > 1 and len({record["config_hash"] for record in records}) == 1
    alike = alike and len({head for _, head in columns}) == len(columns)  # no run stands there twice
    heads = [head for _, head in columns] + ["mean ± sd"] * alike
    lines = [f"{'metric':<26} {'checkpoint':<22} {'protocol':<10}" + "".join(f"{head:>26}" for head in heads)]
    for row, steps in rows.items():
        found = [column.get(row) for column in columns.values()]
        cells = [
            "-" if own is None else f"{own[0]:.4g}" + (" [{:.4g}, {:.4g}]".format(*own[1]) if own[1] else "") for own in found
        ]
        if alike and None not in found:
            values = [value for value, _ in found]
            cells.append(f"{np.mean(values):.4g} ± {np.std(values, ddof=1):.2g}")
        metric, which, protocol = row
        at = " to ".join(f"{step:,}" for step in sorted({min(steps), max(steps)}))
        lines.append(f"{metric:<26} {f'{which}, {at}':<22} {protocol:<10}" + "".join(f"{cell:>26}" for cell in cells))
    for known, protocol in {known: protocol for record in records for known, protocol in record["protocols"].items()}.items():
        lines.append(f"{known}: " + "; ".join(f"{name} {value}" for name, value in protocol.items()))
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
