"""Measures finished runs, and says by which protocol.

python experiments/evaluate.py RUN_DIR                                      pixels, all held-out images, best and final
python experiments/evaluate.py RUN_DIR --features=classifier --samples=5000
python experiments/evaluate.py RUN_DIR --features=inception --split=train --samples=50000      FID and IS as papers have them
python experiments/evaluate.py RUN_DIR RUN_DIR RUN_DIR                      the same run with several seeds: mean and spread

Scores are kept in RUN_DIR/evaluation.json, each with the id of its protocol: scores with different ids must not be compared.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys
import warnings
from typing import Literal

from experiments import config

SPLITS = 10  # of the inception score
NEIGHBOURS = 5  # of precision, recall, density and coverage
METRICS = {
    "frechet": "covariances divide by n - 1",
    "kernel": "cubic kernel, all pairs, unbiased",
    "prdc": f"k = {NEIGHBOURS}, strict",
    "inception_score": f"{SPLITS} splits",
}


@dataclasses.dataclass(frozen=True)
class Request:
    """Measures finished runs, and says by which protocol."""

    metrics: str = "frechet,kernel,prdc"
    """Which, with commas between: frechet, kernel, prdc, inception_score."""
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
    resize: Literal["tensorflow", "pytorch"] = "tensorflow"
    """How images are brought to Inception's size: as the original FID code does, or as pytorch-fid does."""
    inception_weights: str = ""
    """File of the Inception weights; otherwise they are looked for in the cache, and downloaded."""

    @property
    def chosen(self) -> list[str]:
        return [name.strip() for name in self.metrics.split(",") if name.strip()]


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if {"-h", "--help"}.intersection(argv):
        config.read_flags(["--help"], Request(), __doc__)
    runs = [word for word in argv if not word.startswith("-")]
    request = config.read_flags([word for word in argv if word.startswith("-")], Request(), __doc__)
    if not runs:
        config.fail("name the run's directory first: python experiments/evaluate.py RUN_DIR")
    unknown = [name for name in request.chosen if name not in METRICS]
    if unknown or not request.chosen:
        config.fail(f"unknown metric '{', '.join(unknown)}'" + config.nearest(unknown[0] if unknown else "", METRICS))
    if "inception_score" in request.chosen and request.features == "pixels":
        config.fail("inception_score needs probabilities of classes; take --features=inception or classifier")
    if request.samples < 0:
        config.fail(f"--samples={request.samples} must be at least 1, or 0 for as many as there are real images")

    from jaxgan.types import UserError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *where: print(f"warning: {message}", file=sys.stderr)
            records = [evaluate(pathlib.Path(run).expanduser().absolute(), request) for run in runs]
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {error.filename}: {error.strerror or error}")
    print("\n".join(table(records)))
    return 0


def evaluate(run_dir: pathlib.Path, request: Request) -> dict:
    """Measures one run, writes `evaluation.json` beside its checkpoints, and returns what that holds."""
    import jax

    from jaxgan import data, runs
    from jaxgan.train import make_sampler
    from jaxgan.types import UserError

    steps = {"both": ["newest", "best"], "newest": ["newest"], "best": ["best"]}[request.step]
    restored = {which: runs.restore(run_dir, None if which == "newest" else which) for which in steps}
    told = json.loads((run_dir / "config.json").read_text())
    cfg = told["config"]
    if cfg.get("seeds", 1) > 1:
        raise UserError(f"{run_dir} holds {cfg['seeds']} seeds side by side; train them one by one to evaluate images")
    dataset = data.load(cfg["dataset"], cfg["image_size"])
    if len(dataset.shape) != 3:
        raise UserError(f"{run_dir} was trained on points; its modes are counted in metrics.jsonl and by experiments/table.py")
    real = real_images(dataset, request.split, request.samples)
    count = request.samples or len(real)
    extract, extractor = extractors(dataset, request)
    content, size = hashlib.sha256(real.tobytes()).hexdigest()[:8], cfg["image_size"] or "native"
    seen_real = cached(lambda: extract(real), [content, real.shape, extractor])
    scores, protocols = [], {}
    for which, (step, experiment, state) in restored.items():
        sample = make_sampler(experiment.phases[-1].game, experiment.inputs)(state)
        seen = extract(sample(jax.random.key(request.seed), count))
        for name in request.chosen:
            protocol = {
                "metric": name,
                "settings": METRICS[name],
                "features": extractor,
                "real": f"{dataset.name}, {size} pixels, {request.split}, {len(real)}, content {content}",
                "generated": count,
            }
            known = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:8]
            protocols[known] = protocol
            for label, value in measure(name, seen_real, seen).items():
                scores.append({"metric": label, "value": value, "protocol": known, "which": which, "step": step})
    record = {
        "run": str(run_dir),
        "variant": told["variant"],
        "seed": cfg["seed"],
        "config_hash": hashlib.sha256(json.dumps({**cfg, "seed": 0, "workdir": ""}, sort_keys=True).encode()).hexdigest()[:8],
        "commit": commit(),
        "latents_seed": request.seed,
        "versions": told["versions"],
        "protocols": protocols,
        "scores": scores,
    }
    (run_dir / "evaluation.json").write_text(json.dumps(record, indent=2) + "\n")
    return record


def real_images(dataset, split: str, count: int):
    """Gives real images, floats in [-1, 1]: the first ones of a fixed order, as many as asked for or all."""
    import numpy as np

    from jaxgan import data
    from jaxgan.data.images import as_meant
    from jaxgan.types import UserError

    source = dataset.held_out if split == "held_out" else dataset.train
    if count > len(source.images):
        raise UserError(
            f"{dataset.name} has {len(source.images)} {split} images, not {count}; take fewer --samples or another --split"
        )
    if split == "held_out":
        return data.held_out(dataset, count or None)["real"]
    chosen = np.random.default_rng(0).permutation(len(source.images))[: count or None]
    return as_meant(source.images[chosen], source.middle)


def extractors(dataset, request: Request):
    """Makes what images are seen through: `(images -> {"features", "probabilities"}, its name in the protocol)`."""
    import numpy as np
    from scipy.special import softmax

    from jaxgan import classifier, inception, metrics
    from jaxgan.data.images import as_meant
    from jaxgan.types import UserError

    if request.features == "pixels":
        return lambda images: {"features": metrics.pixels(images)}, "8x8 area means"
    if request.features == "classifier":
        if not dataset.num_classes:
            raise UserError(f"{dataset.name} has no labels to train a classifier with; take --features=pixels or inception")
        train, held = dataset.train, dataset.held_out
        images = (as_meant(part.images[:], part.middle) for part in (train, held))
        own = classifier.train(next(images), train.labels, next(images), held.labels)

        def through(images):
            features, chances = own(images)
            return {"features": features, "probabilities": chances}

        return through, f"classifier of {dataset.name}, {own.accuracy:.4f} right, parameters {own.digest}"
    from experiments import convert_inception

    weights = inception.load_weights(convert_inception.weights_file(request.inception_weights))
    network = inception.extractor(weights, request.resize)

    def seen(images):
        found = network(images)
        return {"features": found["pool3"], "probabilities": softmax(found["logits_unbiased"].astype(np.float64), axis=1)}

    return seen, f"InceptionV3 {inception.SHA256[:8]}, {request.resize} resize of 8-bit images"


def cached(make, parts) -> dict:
    """Keeps what is seen of real images, by a hash of all that decides it; a damaged file is made anew."""
    import zipfile

    import numpy as np

    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    path = config.cache_directory() / "features" / f"{key}.npz"
    if path.exists():
        with contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile), np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp.npz")
    np.savez(unfinished, **made)
    unfinished.replace(path)
    return made


def measure(name: str, real: dict, fake: dict) -> dict[str, float]:
    """Computes one family of scores of features and, for the inception score, of probabilities."""
    from jaxgan import metrics

    if name == "frechet":
        return {"frechet": metrics.frechet_distance(real["features"], fake["features"])}
    if name == "kernel":
        return {"kernel": metrics.kernel_distance(real["features"], fake["features"])}
    if name == "prdc":
        return metrics.prdc(real["features"], fake["features"], NEIGHBOURS)
    mean, spread = metrics.inception_score(fake["probabilities"], SPLITS)
    return {"inception_score": mean, "inception_score_sd": spread}


def commit() -> str:
    """Names the state of the code: the commit, with a plus where something is changed, or the installed version."""
    import importlib.metadata

    root = pathlib.Path(__file__).parents[1]
    words = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else f"jaxgan {importlib.metadata.version('jaxgan')}"


def table(records: list[dict]) -> list[str]:
    """Writes scores as lines: a row a metric and checkpoint, a column a run; of several runs alike, mean and spread, too."""
    import numpy as np

    alike = len(records) > 1 and len({record["config_hash"] for record in records}) == 1
    heads = [f"{record['variant']} seed {record['seed']}" for record in records] + ["mean ± sd"] * alike
    lines = [f"{'metric':<20} {'checkpoint':<16} {'protocol':<10}" + "".join(f"{head:>22}" for head in heads)]
    for row in records[0]["scores"]:
        same = [
            next(
                (own["value"] for own in record["scores"] if all(own[k] == row[k] for k in ("metric", "which", "protocol"))), None
            )
            for record in records
        ]
        cells = ["-" if value is None else f"{value:.4g}" for value in same]
        if alike and None not in same:
            cells.append(f"{np.mean(same):.4g} ± {np.std(same, ddof=1):.2g}")
        when = f"{row['which']}, {row['step']:,}"
        lines.append(f"{row['metric']:<20} {when:<16} {row['protocol']:<10}" + "".join(f"{cell:>22}" for cell in cells))
    for known, protocol in records[0]["protocols"].items():
        lines.append(f"{known}: " + "; ".join(f"{name} {value}" for name, value in protocol.items()))
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
