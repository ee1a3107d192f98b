"""Trains one variant.

    python experiments/run.py --variant=sngan                    the quick preset: embedded data, minutes on two cores
    python experiments/run.py --variant=sngan --preset=paper     the paper's setting
    python experiments/run.py --help                             variants, flags and defaults

The same command continues an interrupted run. Exit codes: 0 trained to the end; 1 an error in the program; 2 a mistake in the
command, the data or the directory; 3 training diverged or, with --stop_on_collapse, collapsed; 4 a file could not be read or
written, as on a full disk; 128 + N stopped by signal N (130 Ctrl-C, 143 SIGTERM), with the state saved.
"""

import dataclasses
import fcntl
import importlib.metadata
import json
import logging
import pathlib
import shutil
import sys
import warnings

from experiments import config, video


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    module, cfg = config.parse(argv)
    # JAX only now: help and mistakes on the command line should not wait for it.
    from jaxgan.train import Collapsed, Diverged, Interrupted
    from jaxgan.types import UserError

    try:
        train(module, cfg)
    except UserError as error:
        config.fail(error)
    except (Diverged, Collapsed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        where = error.filename or cfg.directory
        print(f"error: {error.strerror or error}: {where}; mend that, then the same command continues", file=sys.stderr)
        return 4
    except Interrupted as error:
        print(error, file=sys.stderr)
        return 128 + error.signum
    return 0


def train(module, cfg) -> None:
    """Prepares everything that can go wrong, and only then writes into the run's directory and trains."""
    import jax

    from jaxgan import data, parallel, runs
    from jaxgan import train as loop
    from jaxgan.types import UserError

    parallel.keep_freed_memory()
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs a page for a failed save, which the loop tells in a line
    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(config.cache_directory() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    # Programs with oneDNN, for bfloat16 on CPUs, cannot be written there; all others can.
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry .*MemoryError")
    mode, devices = ("jit", 1) if cfg.seeds > 1 else (cfg.parallel, cfg.devices)
    plan = parallel.make_plan(mode, devices, cfg.batch_size, cfg.precision)
    first = plan.mesh.devices.flat[0]
    versions = {name: importlib.metadata.version(name) for name in ("jaxgan", "jax", "flax", "optax", "orbax-checkpoint")}
    device = f"{first.platform} ({first.device_kind}) x {plan.mesh.size}, {plan.mode}, {cfg.precision}"
    print(device, *(f"{name} {version}" for name, version in versions.items()), f"Python {sys.version.split()[0]}", sep=", ")

    refuse_changes(cfg)
    dataset = data.load(cfg.dataset, cfg.image_size)
    if isinstance(dataset.train, data.clips.Clips) and not isinstance(cfg, video.Config):
        raise UserError(f"--variant={cfg.variant} learns from single images, not from clips as {cfg.dataset}; take next_frame")
    experiment = runs.build(module, cfg, dataset, plan.axis_name)
    record = {
        "variant": cfg.variant,
        "module": module.__name__,
        "config": dataclasses.asdict(cfg),
        "data": {"shape": dataset.shape, "num_classes": dataset.num_classes},
        "versions": versions,
        "device": device,
    }
    cadence = loop.Cadence(cfg.log_every, cfg.sample_every, cfg.eval_every, cfg.checkpoint_every)
    new = not cfg.directory.exists()
    with open_directory(cfg.directory, record):
        try:
            loop.run(experiment, cfg.directory, plan, cfg.seed, cadence, cfg.tensorboard, cfg.stop_on_collapse)
        except UserError:  # a mistake that only the first round finds; nothing of it should be in the way of the next try
            if new and not any((cfg.directory / "checkpoints").glob("[1-9]*")):
                shutil.rmtree(cfg.directory)
            raise
    print(f"done: {cfg.directory}; open {cfg.directory / 'report.html'}")


def refuse_changes(cfg) -> None:
    """Compares with the config of the run that is in the directory already, if there is one."""
    from jaxgan.types import UserError

    path = cfg.directory / "config.json"
    if not path.exists():
        return
    try:
        record = json.loads(path.read_text())
        differences = config.changed(record["config"], cfg)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({error}); give another --workdir") from None
    if differences:
        raise UserError(f"{cfg.directory} holds a run with another config ({'; '.join(differences)}); give another --workdir")


def open_directory(directory: pathlib.Path, record: dict):
    """Makes the run's directory and locks it against a second process; returns the lock, held while it is open."""
    from jaxgan.types import UserError

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = open(directory / ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (directory / "config.json").write_text(json.dumps(record, indent=2) + "\n")
    except BlockingIOError:
        raise UserError(f"another process is training in {directory}; wait for it, or give another --workdir") from None
    except OSError as error:
        raise UserError(f"cannot write to {directory} ({error.strerror}); give another --workdir") from None
    return lock


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
