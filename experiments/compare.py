"""Puts runs side by side: one table and one page.

python experiments/compare.py RUN_DIR RUN_DIR ...                 writes comparison.html
python experiments/compare.py RUN_DIR RUN_DIR --out=both.html

The page has every run's scores by protocol (experiments/evaluate.py measures them), curves over each other and last samples.
"""

import dataclasses
import json
import pathlib
import sys

from experiments import config, evaluate


@dataclasses.dataclass(frozen=True)
class Request:
    """Puts runs side by side: one table and one page."""

    out: str = "comparison.html"
    """Where to write the page."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if {"-h", "--help"}.intersection(argv):
        config.read_flags(["--help"], Request(), __doc__)
    runs = [pathlib.Path(word).expanduser() for word in argv if not word.startswith("-")]
    request = config.read_flags([word for word in argv if word.startswith("-")], Request(), __doc__)

    from jaxgan.report import write_comparison
    from jaxgan.types import UserError

    try:
        page = write_comparison(runs, pathlib.Path(request.out).expanduser())
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write {request.out}: {error.strerror or error}")
    if len({measured_by(run) for run in runs}) > 1:
        told = "by other images or counts of them (--dataset, --image_size, --eval_samples)"
        print(f"warning: these runs were measured {told}: compare no curves of scores, but evaluate.py's scores", file=sys.stderr)
    records = [json.loads(file.read_text()) for run in runs if (file := run / "evaluation.json").exists()]
    if records:
        print("\n".join(evaluate.table(records)))
    else:
        print("no run has scores by protocol yet; experiments/evaluate.py RUN_DIR measures them")
    print(f"done: {page}")
    return 0


def measured_by(run: pathlib.Path) -> tuple:
    """What decides whether scores during training can be compared: the data and their number."""
    path = run / "config.json"
    told = json.loads(path.read_text())["config"] if path.exists() else {}
    return tuple(told.get(name, getattr(config.RunConfig, name)) for name in ("dataset", "image_size", "eval_samples"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
