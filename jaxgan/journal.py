"""What a run tells: `metrics.jsonl`, which is the truth, TensorBoard where asked for, and a progress bar."""

import json
import os
import pathlib
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxgan.types import UserError


class Journal:
    """Appends lines to a run's `metrics.jsonl`, each a JSON object with "step", "time" and scalars.

    The time is in seconds so far, with all that is measured and kept.

    Lines after `step` are dropped first, so that a resumed run's file reads as if it had never stopped.

    Args:
        workdir: the run's directory, which exists.
        step: where training starts or continues.
        tensorboard: write the scalars there, too.

    Raises:
        UserError: TensorBoard is asked for and tensorboardX is not installed.
    """

    def __init__(self, workdir: pathlib.Path, step: int, tensorboard: bool = False):
        path = workdir / "metrics.jsonl"
        kept = [line for line in read(path) if line["step"] <= step]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(temporary, path)
        self._file = path.open("a")
        self._start = time.monotonic() - (kept[-1]["time"] if kept else 0.0)
        self._board = _board(workdir, step) if tensorboard else None

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Appends one line, so that a reader or a crash finds it whole."""
        self._file.write(json.dumps({"step": step, "time": round(time.monotonic() - self._start, 3), **scalars}) + "\n")
        self._file.flush()
        if self._board:
            for name, value in scalars.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._file.close()
        if self._board:
            self._board.close()


def read(path: pathlib.Path) -> list[dict]:
    """Reads the lines of a `metrics.jsonl`, in order. What a crash cut short is left out, and a missing file has none."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
            lines.append({**line, "step": int(line["step"])})
        except (ValueError, TypeError, KeyError, OverflowError):
            continue
    return lines


def _board(workdir: pathlib.Path, step: int):
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs tensorboardX: pip install 'jaxgan[tensorboard]'") from None
    return SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)


class Bar:
    """Shows how far training is: a bar on a terminal, a line at each report elsewhere.

    Use as a context manager; `say` prints a line without tearing the bar.
    """

    def __init__(self, total: int, done: int = 0):
        console = Console(highlight=False, soft_wrap=True)
        self._total, self._plain, self._console = total, not console.is_terminal, console
        self._begin = None  # (time, step) of the first round, which compiled
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=self._plain)
        self._task = self._progress.add_task("compiling", total=total, completed=done)

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *error):
        self._progress.stop()

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)

    def advance(self, step: int) -> None:
        self._begin = self._begin or (time.monotonic(), step)
        self._progress.update(self._task, completed=step)

    def report(self, step: int, scalars: Mapping[str, float], images_per_second: float) -> None:
        """Shows the losses of the rounds since the last report."""
        losses = "  ".join(f"{name} {value:.3f}" for name, value in scalars.items() if name.endswith("/loss"))
        text = f"{losses}  {images_per_second:,.0f} images/s"
        self._progress.update(self._task, completed=step, description=text)
        if self._plain:
            start, done = self._begin
            left = (time.monotonic() - start) / max(step - done, 1) * (self._total - step)
            self.say(f"step {step}/{self._total}  {text}  {left // 60:.0f}:{left % 60:02.0f} left")
