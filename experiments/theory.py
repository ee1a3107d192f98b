"""Draws what the notes claim, and writes down the numbers.

python experiments/theory.py --figure=all              every figure, under ten minutes on two cores
python experiments/theory.py --figure=orbits           one
python experiments/theory.py --help                    what there is
"""

import ast
import dataclasses
import importlib
import json
import pathlib
import sys
import time

from experiments import config

FOLDER = pathlib.Path(__file__).parent / "figures"
NAMES = sorted(file.stem for file in FOLDER.glob("[a-z]*.py"))


@dataclasses.dataclass(frozen=True)
class Request:
    """Draws what the notes claim, and writes down the numbers."""

    figure: str = "all"
    """Which figure, or all."""
    out: str = "runs/theory"
    """Directory for NAME.png and NAME.json."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    told = [f"  {name:<24} {title(name)}" for name in NAMES]
    request = config.read_flags(argv, Request(), "\n".join([__doc__, "figures:", *told]))
    if request.figure not in ("all", *NAMES):
        config.fail(f"unknown figure '{request.figure}'" + config.nearest(request.figure, ["all", *NAMES]))
    out = pathlib.Path(request.out).expanduser()

    import jax

    from jaxgan import pictures

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(config.cache_directory() / "xla"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in NAMES if request.figure == "all" else [request.figure]:
            start = time.monotonic()
            figure, numbers = importlib.import_module(f"experiments.figures.{name}").make()
            pictures.save_png(out / f"{name}.png", pictures.drawn(figure))
            (out / f"{name}.json").write_text(json.dumps({"figure": title(name), **numbers}, indent=2) + "\n")
            print(f"{out / name}.png  {time.monotonic() - start:.1f} s")
    except OSError as error:
        config.fail(f"cannot write to {out}: {error.strerror or error}")
    return 0


def title(name: str) -> str:
    """Reads the first line of a figure's docstring without importing it."""
    told = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return told.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
