"""Trains many settings alike, several seeds each, and makes one table of them.

python experiments/table.py --table=ring               every method on the ring, three seeds
python experiments/table.py --table=grid               the same on the grid
python experiments/table.py --table=tricks             each known trick by itself on the ring, beside the plain GAN
python experiments/table.py --table=divergences        the f-GAN of every divergence on the ring
python experiments/table.py --table=labels             every way to learn from labels on digits
python experiments/table.py --table=images --dataset=idx:DIR      image GANs at 32x32 pixels, with one budget
python experiments/table.py --table=ring --only=gan    the rows that begin so

A row that has been trained already is read and not trained again: the same command continues an interrupted table.

Of points, 2,500 samples of each seed: high quality is the share within 3 sigma of a mode, reverse KL how far the modes are from
equal shares, over good samples (PacGAN's convention) and over all, and KL how far modes and all else are from real data's shares.
Of images, as many samples as held-out images and 2,000 at most, through a classifier of the data.
"""

import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

from experiments import config

METHODS = {
    "GAN, saturating, k = 5": "gan --objective=minimax --critic_turns=5",
    "GAN, saturating, rate x 4": "gan --objective=minimax --learning_rate=2e-3",
    "GAN, saturating": "gan --objective=minimax",
    "GAN, non-saturating, k = 5": "gan --critic_turns=5",
    "GAN, non-saturating, rate x 4": "gan --learning_rate=2e-3",
    "GAN, non-saturating": "gan",
    "LSGAN": "lsgan",
    "WGAN, clipped": "wgan",
    "WGAN-GP": "wgan_gp",
    "DRAGAN": "dragan",
    "R1": "r1gan",
    "RaGAN": "rgan",
    "SN-GAN, hinge": "sngan --steps=6000 --batch_size=256",
    "orthogonal, hinge": "orthogan",
    "PacGAN2": "pacgan",
    "VEEGAN": "veegan",
    "f-GAN, KL": "fgan --divergence=kl",
    "f-GAN, squared Hellinger": "fgan --divergence=squared_hellinger",
    "F-distance": "fdistance",
    "unrolled": "unrolled",
}
TRICKS = {
    "plain": "tricks",
    "uniform latents": "tricks --latents=uniform",
    "spherical latents": "tricks --latents=spherical",
    "one-sided smoothing .9": "tricks --smooth_real=0.9",
    "noisy labels .9 / .1": "tricks --smooth_real=0.9 --smooth_fake=0.1",
    "instance noise .1": "tricks --instance_noise=0.1",
    "real and fake in one batch": "tricks --joint",
    "minibatch stddev": "tricks --minibatch=stddev",
    "minibatch discrimination": "tricks --minibatch=discrimination",
    "batch norm in G": "tricks --norm=batch",
    "virtual batch norm in G": "tricks --norm=virtual",
    "dropout in G .2": "tricks --dropout=0.2",
    "feature matching": "tricks --feature_matching",
    "replay of 2,560": "tricks --replay=2560",
    "historical averaging .001": "tricks --history=0.001",
    "SGD critic": "tricks --sgd_critic --disc_learning_rate=0.05",
    "TTUR, critic x 4": "tricks --disc_learning_rate=2e-3",
    "no average of G": "tricks --ema_decay=0",
    "packs of 2": "pacgan",
    "spectral norm of the critic": "sngan --objective=non_saturating --steps=6000 --batch_size=256",
}
DIVERGENCES = {
    name.replace("_", " "): f"fgan --divergence={name}"
    for name in ("total_variation", "kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffrey", "jensen_shannon",
                 "weighted_jensen_shannon", "goodfellow", "alpha")
}  # fmt: skip
LABELS = {
    "cGAN, one-hot": "cgan",
    "cGAN, embedding": "cgan --label=embedding",
    "matching-aware": "matching_gan",
    "the same without wrong labels": "matching_gan --wrong=0",
    "ACGAN": "acgan",
    "projection": "projection_gan",
    "SAGAN": "sagan",
    "BigGAN, small": "biggan",
}
SMALL = " --network=resnet --learning_rate=1e-3 --beta1=0 --beta2=0.99 --decay=0.5 --ema_decay=0.995"  # as sngan's quick preset
IMAGES = {
    "DCGAN": "dcgan",
    "WGAN-GP": "wgan_gp --penalty_weight=10 --critic_turns=1" + SMALL,
    "SN-GAN": "sngan",
    "projection": "projection_gan",
    "SAGAN": "sagan",
    "BigGAN, small": "biggan",
}


class Table(NamedTuple):
    """Rows that are trained alike.

    Attributes:
        rows: method -> variant and flags of its own.
        dataset: what they learn.
        flags: what all of them are told besides.
        columns: heading -> name of what is measured of every seed.
        abreast: all seeds of a row are one run.
    """

    rows: dict[str, str]
    dataset: str
    flags: str
    columns: dict[str, str]
    abreast: bool


MODES = {"high quality": "high_quality", "reverse KL, good": "reverse_kl", "reverse KL, all": "reverse_kl_all", "KL": "mode_kl"}
QUALITY = {"FID, classifier": "frechet", "precision": "precision", "recall": "recall", "coverage": "coverage"}
OBEDIENCE = {
    "agreement": "agreement",
    "recall in class": "class_recall",
    "diversity in class": "class_diversity",
    "AUC of right labels": "matching_auc",
}
TABLES = {
    "ring": Table(METHODS, "ring", "", MODES, abreast=True),
    "grid": Table(METHODS, "grid", "", MODES, abreast=True),
    "tricks": Table(TRICKS, "ring", "", MODES, abreast=True),
    "divergences": Table(DIVERGENCES, "ring", "", MODES, abreast=True),
    "labels": Table(LABELS, "digits", "", OBEDIENCE | QUALITY, abreast=False),
    "images": Table(
        IMAGES,
        "digits",
        "--image_size=32 --steps=1000 --batch_size=32 --gen_width=16 --disc_width=16 --log_every=50 --eval_every=0",
        {**QUALITY, "images/s": "images_per_second"},
        abreast=False,
    ),
}


@dataclasses.dataclass(frozen=True)
class Request:
    """Trains many settings alike, several seeds each, and makes one table of them."""

    table: str = "ring"
    """Which one: ring, grid, tricks, divergences, labels or images."""
    dataset: str = ""
    """What to learn instead of the table's own; for images a set with labels, as idx:DIR."""
    only: str = ""
    """Train the rows alone that begin with this word."""
    seeds: int = 3
    """Repetitions of each row; of points they are trained side by side."""
    steps: int = 0
    """Rounds of each run; 0 for those of its preset or table."""
    out: str = "runs/tables"
    """Directory for TABLE.md, TABLE.json and all runs."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    request = config.read_flags(argv, Request(), __doc__)
    if request.table not in TABLES:
        config.fail(f"unknown table '{request.table}'" + config.nearest(request.table, TABLES))
    table = TABLES[request.table]
    chosen = {label: flags for label, flags in table.rows.items() if label.lower().startswith(request.only.lower())}
    if not chosen:
        config.fail(f"no row of {request.table} begins with '{request.only}'; they are: {', '.join(table.rows)}")
    if request.seeds < 2:
        config.fail(f"--seeds={request.seeds} must be at least 2; a spread is part of the table")
    if request.dataset and table.abreast:
        config.fail(f"--table={request.table} is of {table.dataset}; --dataset is for labels and images")
    from jaxgan.types import UserError

    out = pathlib.Path(request.out).expanduser().absolute()
    kept = out / f"{request.table}.json"
    before, learned = json.loads(kept.read_text()) if kept.exists() else {}, request.dataset or table.dataset
    found = {row["method"]: row for row in before["rows"]} if before.get("dataset") == learned else {}
    for label, flags in chosen.items():
        variant, *own = flags.split()
        own += table.flags.split() + [f"--steps={request.steps}"] * (request.steps > 0)
        told = [f"--variant={variant}", *own]
        seeds = [f"--seeds={request.seeds}"] if table.abreast else [f"--seed={seed}" for seed in range(request.seeds)]
        known = hashlib.sha256(" ".join([learned, *told]).encode()).hexdigest()[:8]  # flags would make too long a name
        plain = re.sub(r"\W+", "_", label)
        workdirs = [out / f"{request.table}-{plain}-{known}{each.replace('--', '-').replace('=', '')}" for each in seeds]
        for each, workdir in zip(seeds, workdirs, strict=True):
            words = [f"--dataset={learned}", each, f"--workdir={workdir}"]
            program = pathlib.Path(__file__).with_name("run.py")
            code = subprocess.call([sys.executable, program, *told, *words], stdout=subprocess.DEVNULL)
            if code:
                return code
        try:
            row = {"method": label, "flags": " ".join(told)} | (modes(*workdirs) if table.abreast else quality(workdirs))
        except UserError as error:
            config.fail(error)
        print(line(row, table), flush=True)
        found = {name: own for name in table.rows if (own := {**found, label: row}.get(name))}
        write(out, request.table, learned, list(found.values()))
    print(f"done: {out / request.table}.md")
    return 0


def write(out: pathlib.Path, name: str, dataset: str, rows: list[dict]) -> None:
    """Writes the table as it stands: TABLE.json with every seed's scores, and TABLE.md."""
    about = {"table": name, "dataset": dataset, "date": str(datetime.date.today())}
    (out / f"{name}.json").write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")
    (out / f"{name}.md").write_text("\n".join([head(TABLES[name]), *[line(row, TABLES[name]) for row in rows]]) + "\n")


def modes(workdir: pathlib.Path) -> dict:
    """Measures every seed of a finished run of points by 2,500 samples of its last state, and gives the seconds it took."""
    import jax
    import numpy as np

    from jaxgan import data, journal, metrics, runs
    from jaxgan.train import make_sampler

    record = json.loads((workdir / "config.json").read_text())
    mixture = data.TOYS[record["config"]["dataset"]]()
    steps, experiment, state = runs.restore(workdir)
    points = make_sampler(experiment.phases[0].game, experiment.inputs)(state)(jax.random.key(0), 2_500)
    scores = [metrics.mode_coverage(np.asarray(points[:, i]), *mixture) for i in range(points.shape[1])]
    seconds = journal.read(workdir / "metrics.jsonl")[-1]["time"]
    return {"steps": steps, "seconds": seconds, "sigma": mixture.sigma, **over(scores)}


def quality(workdirs: list[pathlib.Path]) -> dict:
    """Measures the last state of finished runs of labelled images, and reads what they measured themselves at the end.

    Frechet distance, precision, recall and coverage are through the data's own classifier, of as many samples as held-out images
    and 2,000 at most; the mean number of seconds is to the end of training, with what was measured in it.
    """
    import jax
    import numpy as np

    from experiments import evaluate
    from jaxgan import data, journal

    scores, seconds = [], []
    for workdir in workdirs:
        cfg = json.loads((workdir / "config.json").read_text())["config"]
        count = min(2_000, len(data.load(cfg["dataset"], cfg["image_size"]).held_out.images))
        asked = evaluate.Request(metrics="frechet,prdc", features="classifier", samples=count, step="newest")
        rows = journal.read(workdir / "metrics.jsonl")
        own = {name.removeprefix("eval/"): value for name, value in rows[-1].items() if name.startswith("eval/")}
        own["images_per_second"] = float(np.median([row["images_per_second"] for row in rows if "images_per_second" in row]))
        with jax.default_matmul_precision("float32"):  # as on evaluate.py's command line
            found = evaluate.evaluate(workdir, asked)
        scores.append(own | {score["metric"]: score["value"] for score in found["scores"]})
        seconds.append(rows[-1]["time"])
    return {"steps": found["scores"][0]["step"], "seconds": float(np.mean(seconds)), "samples": count, **over(scores)}


def over(scores: list[dict]) -> dict[str, list]:
    """Gives every score of all seeds by name."""
    return {name: [own[name] for own in scores] for name in scores[0]}


def head(table: Table) -> str:
    """Writes the first two lines."""
    names = ["method", "flags", *["modes"] * table.abreast, *table.columns, "rounds", "seconds"]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def line(row: dict, table: Table) -> str:
    """Writes a row: modes of every seed where they are counted, then means and sample standard deviations over seeds."""
    import numpy as np

    measured = [row.get(name) for name in table.columns.values()]
    cells = [f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" if values else "" for values in measured]
    counted = [", ".join(map(str, row["modes"]))] if table.abreast else []
    rest = [format(row["steps"], ","), format(row["seconds"], ".0f")]
    return f"| {' | '.join([row['method'], '`' + row['flags'] + '`', *counted, *cells, *rest])} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
