"""The command line: what every run is told, and how flags become a variant's config.

Nothing here imports JAX, so that `--help` and every mistake answer at once.
"""

import argparse
import ast
import contextlib
import dataclasses
import difflib
import importlib
import io
import json
import math
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, NoReturn, TypeVar

import tyro

Flags = TypeVar("Flags")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What every run is told. A variant's Config adds flags of its own."""

    variant: str = "sngan"
    """Which GAN; see above."""
    preset: str = "quick"
    """The defaults of all other flags: quick takes minutes on two cores, paper is the paper's setting."""
    dataset: str = "digits"
    """What to learn: digits, line, ring, grid, idx:DIR, folder:DIR, npz:FILE or tfds:NAME."""
    image_size: int = 0
    """Height and width in pixels to bring images to; 0 leaves them as they are."""
    flips: bool = False
    """Mirror images at random."""
    seed: int = 0
    """Decides initial weights, the order of the data and all noise."""
    seeds: int = 1
    """Repetitions to train side by side as one program, on one device; scores get means and deviations."""
    steps: int = 4000
    """Rounds to play."""
    batch_size: int = 64
    """Examples a turn, over all devices together."""
    devices: int = 0
    """How many devices to use; 0 for all there are."""
    parallel: Literal["auto", "pmap", "shard_map", "jit"] = "auto"
    """How to use several devices; auto is pmap, and jit on one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks compute in; parameters, optimizers and losses are float32 always."""
    workdir: str = ""
    """Where the run is kept, and continued from; runs/VARIANT-DATASET-SEED if empty."""
    log_every: int = 100
    """Rounds between reported losses; 0 for at the end alone."""
    eval_every: int = 500
    """Rounds between measurements; 0 for at the end alone."""
    metrics: str = "frechet,kernel,prdc"
    """Scores of images, the first decides the best checkpoint: frechet, kernel, sliced_wasserstein, prdc, diversity, ms_ssim."""
    eval_samples: int = 2_000
    """Samples, and held-out images, to measure images by; as many as are held out if those are fewer."""
    sample_every: int = 500
    """Rounds between pictures; 0 for at the end alone."""
    checkpoint_every: int = 500
    """Rounds between checkpoints; 0 for at the end alone."""
    stop_on_collapse: bool = False
    """Where samples lose the data's variety, go back to the last checkpoint before that and stop, instead of a warning."""
    tensorboard: bool = False
    """Write scalars for TensorBoard, too; needs the tensorboard extra."""

    @property
    def may_change(self) -> frozenset[str]:
        """What a continued run may be told anew: where, how long, on what and how often, but nothing that decides its numbers."""
        names = "steps devices parallel workdir log_every eval_every sample_every checkpoint_every stop_on_collapse tensorboard"
        return frozenset(names.split())

    @property
    def directory(self) -> pathlib.Path:
        """Where the run is kept, absolute."""
        named = "-".join((self.variant, re.sub(r"[^\w.]+", "_", self.dataset), str(self.seed)))
        return pathlib.Path(self.workdir or pathlib.Path("runs", named)).expanduser().absolute()

    def validate(self) -> None:
        """Checks that every number makes sense; a variant with ranges of its own extends this.

        Raises:
            ValueError: names the first flag out of range, and the range.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"--{field.name}={value} is not a finite number")
        for field in dataclasses.fields(RunConfig):
            value, least = getattr(self, field.name), int(field.name in ("seeds", "steps", "batch_size", "eval_samples"))
            if isinstance(value, int) and value < least:
                raise ValueError(f"--{field.name}={value} must be at least {least}")
        if self.seed + self.seeds > 2**32:
            raise ValueError(f"--seed={self.seed} must be below 2**32 - seeds; JAX would cut it to that")
        if self.seeds > 1 and (self.devices > 1 or self.parallel not in ("auto", "jit")):
            raise ValueError(f"--seeds={self.seeds} trains on one device by jit; leave --devices and --parallel out")


def parse(argv: Sequence[str], package: str = "experiments.variants") -> tuple[ModuleType, RunConfig]:
    """Reads a command line in two stages: --variant and --preset choose the defaults, then all flags are read over them.

    A mistake is answered by one line and exit code 2, `--help` by the variants and the chosen one's defaults.

    Args:
        argv: the words after the program's name.
        package: where the variants are.

    Returns:
        The variant's module, and its config, validated.
    """
    folder = pathlib.Path(importlib.import_module(package).__path__[0])
    names = sorted(file.stem for file in folder.glob("[a-z]*.py"))
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    chooser.add_argument("--variant", default=RunConfig.variant)
    chooser.add_argument("--preset", default=RunConfig.preset)
    try:
        chosen, _ = chooser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        fail(f"{error.argument_name}: {error.message}")
    if chosen.variant not in names:
        fail(f"unknown variant '{chosen.variant}'" + nearest(chosen.variant, names))
    module = importlib.import_module(f"{package}.{chosen.variant}")
    if chosen.preset not in module.PRESETS:
        fail(f"unknown preset '{chosen.preset}' of {chosen.variant}" + nearest(chosen.preset, module.PRESETS))
    default = dataclasses.replace(module.PRESETS[chosen.preset], variant=chosen.variant, preset=chosen.preset)
    helps = {"-h", "--help"}.intersection(argv)
    config = read_flags(argv, default, describe(folder, names, default) if helps else "")
    try:
        config.validate()
    except ValueError as error:
        fail(error)
    return module, config


def read_flags(argv: Sequence[str], default: Flags, description: str) -> Flags:
    """Reads flags over a dataclass of defaults; answers `--help` with the description and the defaults."""
    printed = io.StringIO()
    commands = re.compile("^ *(?=python )", re.M)  # tyro joins lines that are not indented
    try:
        with contextlib.redirect_stderr(printed):
            config, unknown = tyro.cli(
                type(default),
                default=default,
                args=list(argv),
                description=commands.sub("    ", description),
                use_underscores=True,
                return_unknown_args=True,
            )
    except SystemExit as end:
        if not end.code:
            raise
        fail(one_line(printed.getvalue()))
    if not unknown:
        return config
    flag = unknown[0].partition("=")[0]
    if not flag.startswith("-"):
        fail(f"stray word '{unknown[0]}'; a flag is --name=value, a switch --name or --no_name")
    known = [f"--{field.name}" for field in dataclasses.fields(default)]
    fail(f"unknown flag {flag}" + nearest("--" + flag.strip("-").replace("-", "_"), known))


def describe(folder: pathlib.Path, names: Iterable[str], default: RunConfig) -> str:
    """Writes what `--help` says above the flags: every variant with its docstring's first line, read without importing it."""
    lines = ["Trains one GAN, measures it and shows it.", "", "variants:"]
    for name in names:
        told = ast.get_docstring(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:<12} {told.partition(chr(10))[0]}")
    return "\n".join([*lines, "", f"The defaults below are those of --variant={default.variant} --preset={default.preset}."])


def one_line(box: str) -> str:
    """Takes what went wrong out of tyro's box: what stands between its upper edge and the first rule."""
    rows = [row.strip(" │|") for row in box.splitlines()]
    edges = [i for i, row in enumerate(rows) if row.strip("╭╮╰╯─-+ ") == "" or row.startswith("╭")]
    rows = rows[edges[0] + 1 : edges[1]] if len(edges) > 1 else rows
    said = " ".join(rows).removeprefix("Error parsing ")
    said = said.replace("invalid literal for int() with base 10:", "not a whole number:")
    return said.replace("could not convert string to float:", "not a number:")


def nearest(word: str, known: Iterable[str]) -> str:
    """Ends a complaint about a name with the known one most like it, or else with all of them if they are few."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; choose from {', '.join(known)}" if len(known) <= 8 else "; --help lists them"


def changed(old: Mapping[str, Any], new: RunConfig) -> list[str]:
    """Compares a run's config with that of a run to be continued.

    Args:
        old: the config as it was saved, `dataclasses.asdict` by way of JSON.
        new: what the command line says now.

    Returns:
        A line "field: old -> new" for each field that differs and must not; a field only one of them has differs.
    """
    old, now = (json.loads(json.dumps(dict(fields))) for fields in (old, dataclasses.asdict(new)))
    names = [name for name in now | old if name not in new.may_change and old.get(name, "absent") != now.get(name, "absent")]
    return [f"{name}: {old.get(name, 'absent')} -> {now.get(name, 'absent')}" for name in names]


def cache_directory() -> pathlib.Path:
    """Where what can be made again is kept between runs: compiled programs, prepared data."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxgan"


def fail(message: object) -> NoReturn:
    """Ends the process as every mistake of the user's does: one line on stderr, exit code 2."""
    print("error:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(2)
