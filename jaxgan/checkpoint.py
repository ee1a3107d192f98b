"""Checkpoints: the game's state alone, saved by Orbax in the background, checked when it is read back.

Orbax commits by an atomic rename, so a killed save leaves only a temporary folder, which is swept away. It does not notice
bits that change on disk; a CRC-32 over all leaves, kept in each checkpoint's metadata, does.
"""

import contextlib
import errno
import os
import pathlib
import shutil
import zlib
from collections.abc import Callable, Mapping

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jaxgan.types import PyTree, UserError

_policies = ocp.training.preservation_policies


def digest(tree: PyTree) -> int:
    """Computes the CRC-32 of all leaves, in tree order."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), crc)
    return crc


class Checkpoints:
    """The checkpoints of one run: the latest two, and the best one by the first metric saved with them (lowest wins).

    Args:
        directory: absolute; made when the first checkpoint is saved.
        sweep: remove what killed saves left behind. Not for a reader, as the run may be saving at this moment.
    """

    def __init__(self, directory: pathlib.Path, sweep: bool = True):
        best = _policies.BestN(get_metric_fn=_first, reverse=True, n=1, keep_checkpoints_without_metrics=False)
        keep = _policies.AnyPreservationPolicy([_policies.LatestN(2), best])
        self._orbax = ocp.training.Checkpointer(directory, preservation_policy=keep, cleanup_tmp_directories=sweep)

    @property
    def steps(self) -> list[int]:
        """Steps that have a checkpoint, oldest first."""
        return [checkpoint.step for checkpoint in self._orbax.checkpoints]

    @property
    def best(self) -> int | None:
        """The step with the lowest first metric, if any was measured."""
        measured = [checkpoint for checkpoint in self._orbax.checkpoints if checkpoint.metrics]
        return min(measured, key=lambda checkpoint: _first(checkpoint.metrics)).step if measured else None

    def save(self, step: int, state: PyTree, metrics: Mapping[str, float] | None = None) -> None:
        """Saves in the background, after waiting for a save under way. `state` may be donated once this returns.

        Raises:
            OSError: this save, or the one before it, could not be written.
        """
        state = jax.tree.map(np.array, state)  # a copy: on CPUs device_get may hand out a view of memory that is then donated
        extra = {"metrics": dict(metrics)} if metrics else {}
        size, folder = sum(leaf.nbytes for leaf in jax.tree.leaves(state)), pathlib.Path(self._orbax.directory)
        folder.mkdir(parents=True, exist_ok=True)
        # Looked at beforehand, because Orbax's threads answer with pages of tracebacks, or wait five minutes for a folder.
        if not os.access(folder, os.W_OK):
            raise OSError(errno.EACCES, "no checkpoint can be written", str(folder))
        if shutil.disk_usage(folder).free < 1.1 * size + 2**20:
            raise OSError(errno.ENOSPC, f"no room for a checkpoint of {size / 2**20:.1f} MiB", str(folder))
        extra["custom_metadata"] = {"crc32": digest(state)}
        with self._writing():
            self._orbax.save_async(step, state, force=True, overwrite=True, **extra)

    def restore(self, like: PyTree, step: int | None = None, warn: Callable[[str], None] = print) -> tuple[int, PyTree] | None:
        """Reads the newest sound checkpoint, or that of one step.

        Args:
            like: the state's shapes and dtypes, as from `jax.eval_shape(game.init, key)`.
            step: which; None for the newest.
            warn: told of each checkpoint that is skipped.

        Returns:
            `(step, state)` with numpy leaves, or None when there is no checkpoint at all.

        Raises:
            UserError: there are checkpoints, and none of them can be read.
        """
        like = jax.tree.map(
            lambda x: np.empty(x.shape, x.dtype), like
        )  # numpy leaves restore as numpy, whatever the devices were
        steps = self.steps if step is None else [step]
        for candidate in reversed(steps):
            try:
                state = self._orbax.load(candidate, like)
                if digest(state) != self._orbax.metadata(candidate).custom_metadata["crc32"]:
                    raise ValueError("its checksum does not match its contents")
                return candidate, state
            except Exception as error:  # whatever a damaged file raises: say so and look further back
                warn(f"checkpoint {candidate} is damaged and skipped: ...{' '.join(str(error).split())[-200:]}")
        if steps:
            raise UserError(f"no sound checkpoint in {self._orbax.directory}; remove that folder to start again from step 0")
        return None

    def discard_after(self, step: int) -> None:
        """Deletes the damaged checkpoints that `restore` skipped, so that training can save those steps anew."""
        for later in [s for s in self.steps if s > step]:
            self._orbax.delete(later)

    def close(self) -> None:
        """Waits for a save under way.

        Raises:
            OSError: it could not be written.
        """
        with self._writing():
            self._orbax.close()

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except Exception as error:  # a full disk comes as a ValueError that holds a page of text
            why = " ".join(str(error).split())[-160:]
            raise OSError(errno.EIO, f"a checkpoint could not be written (...{why})", str(self._orbax.directory)) from error


def _first(metrics: Mapping[str, float]) -> float:
    return next(iter(metrics.values()))
