"""Trains many settings alike, several seeds each, and makes one table of them.

python experiments/table.py --table=ring               every method on the ring, three seeds
python experiments/table.py --table=grid               the same on the grid
python experiments/table.py --table=tricks             each known trick by itself on the ring, beside the plain GAN
python experiments/table.py --table=divergences        the f-GAN of every divergence on the ring
python experiments/table.py --table=ring --only=gan    the rows that begin so

A row that has been trained already is read and not trained again: the same command continues an interrupted table. Of 2,500
samples of each seed, high quality is the share within 3 sigma of a mode, reverse KL how far the modes are from equal shares, over
good samples (PacGAN's convention) and over all, and KL how far modes and all else are from real data's shares.
"""

import dataclasses
import datetime
import json
import pathlib
import re
import subprocess
import sys

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
TABLES = {
    "ring": (METHODS, "ring"),
    "grid": (METHODS, "grid"),
    "tricks": (TRICKS, "ring"),
    "divergences": (DIVERGENCES, "ring"),
}


@dataclasses.dataclass(frozen=True)
class Request:
    """Trains many settings alike, several seeds each, and makes one table of them."""

    table: str = "ring"
    """Which one: ring, grid, tricks or divergences."""
    only: str = ""
    """Train the rows alone that begin with this word."""
    seeds: int = 3
    """Repetitions of each row, trained side by side."""
    steps: int = 0
    """Rounds of each run; 0 for those of its preset."""
    out: str = "runs/tables"
    """Directory for TABLE.md, TABLE.json and all runs."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    request = config.read_flags(argv, Request(), __doc__)
    if request.table not in TABLES:
        config.fail(f"unknown table '{request.table}'" + config.nearest(request.table, TABLES))
    rows, dataset = TABLES[request.table]
    chosen = {label: flags for label, flags in rows.items() if label.lower().startswith(request.only.lower())}
    if not chosen:
        config.fail(f"no row of {request.table} begins with '{request.only}'; they are: {', '.join(rows)}")
    if request.seeds < 2:
        config.fail(f"--seeds={request.seeds} must be at least 2; a spread is part of the table")
    out = pathlib.Path(request.out).expanduser().absolute()
    kept = out / f"{request.table}.json"
    found = {row["method"]: row for row in json.loads(kept.read_text())["rows"]} if kept.exists() else {}
    for label, flags in chosen.items():
        variant, *own = flags.split()
        own += [f"--steps={request.steps}"] * (request.steps > 0)
        words = [f"--variant={variant}", f"--dataset={dataset}", *own, f"--seeds={request.seeds}"]
        workdir = out / (request.table + "-" + re.sub(r"[^\w.]+", "_", " ".join([variant, *own, f"seeds={request.seeds}"])))
        program = pathlib.Path(__file__).with_name("run.py")
        code = subprocess.call([sys.executable, program, *words, f"--workdir={workdir}"], stdout=subprocess.DEVNULL)
        if code:
            return code
        row = {"method": label, "flags": " ".join([f"--variant={variant}", *own]), **score(workdir)}
        print(line(row), flush=True)
        found = {name: own for name in rows if (own := {**found, label: row}.get(name))}
        write(out, request.table, dataset, list(found.values()))
    print(f"done: {out / request.table}.md")
    return 0


def write(out: pathlib.Path, table: str, dataset: str, rows: list[dict]) -> None:
    """Writes the table as it stands: TABLE.json with every seed's scores, and TABLE.md."""
    from jaxgan import data

    about = {"table": table, "dataset": dataset, "sigma": data.TOYS[dataset]().sigma, "date": str(datetime.date.today())}
    (out / f"{table}.json").write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")
    (out / f"{table}.md").write_text("\n".join([HEAD, *map(line, rows)]) + "\n")


def score(workdir: pathlib.Path) -> dict:
    """Measures every seed of a finished run of points by 2,500 samples of its last state, and gives the seconds it took."""
    import jax
    import numpy as np

    from jaxgan import data, journal, metrics, runs
    from jaxgan.train import make_sampler

    record = json.loads((workdir / "config.json").read_text())
    modes = data.TOYS[record["config"]["dataset"]]()
    steps, experiment, state = runs.restore(workdir)
    points = make_sampler(experiment.phases[0].game, experiment.inputs)(state)(jax.random.key(0), 2_500)
    scores = [metrics.mode_coverage(np.asarray(points[:, i]), *modes) for i in range(points.shape[1])]
    seconds = journal.read(workdir / "metrics.jsonl")[-1]["time"]
    return {"steps": steps, "seconds": seconds, **{name: [own[name] for own in scores] for name in scores[0]}}


HEAD = """| method | flags | modes | high quality | reverse KL, good | reverse KL, all | KL | rounds | seconds |
|---|---|---|---|---|---|---|---|---|"""


def line(row: dict) -> str:
    """Writes a row: modes of every seed, then means and sample standard deviations over seeds."""
    import numpy as np

    measured = [row[name] for name in ("high_quality", "reverse_kl", "reverse_kl_all", "mode_kl")]
    cells = [f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" for values in measured]
    modes = ", ".join(map(str, row["modes"]))
    rest = [format(row["steps"], ","), format(row["seconds"], ".0f")]
    return f"| {' | '.join([row['method'], '`' + row['flags'] + '`', modes, *cells, *rest])} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
