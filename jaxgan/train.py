"""The loop: plays a game's rounds, and shows, judges and keeps what comes of them.

It knows `Game(init, step, infer)` and nothing of GANs. Batches and keys are pure functions of (seed, step), so the checkpoint is
the game's state alone and a resumed run is the same run, bit for bit.
"""

import contextlib
import functools
import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import pictures
from jaxgan.checkpoint import Checkpoints
from jaxgan.journal import Bar, Journal, read
from jaxgan.parallel import Plan
from jaxgan.report import write_report
from jaxgan.sentinel import find_collapse
from jaxgan.types import Experiment, Game, GameState, Sampler

INFER_BATCH = 256  # one fixed size, so that a sample does not depend on how many were asked for
SHOWN = 64  # samples in a picture
GIF_FRAMES = 50  # at most


class Cadence(NamedTuple):
    """How often things happen, in rounds; 0 for never. All of them also happen at the end."""

    log: int = 100
    sample: int = 500
    evaluate: int = 500
    checkpoint: int = 500


class Diverged(Exception):
    """A loss or a parameter is no longer a finite number."""


class Collapsed(Exception):
    """The generator lost modes, and the run was told to stop then."""


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved.

    Attributes:
        signum: the signal's number.
    """

    def __init__(self, signum: int, step: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} at step {step}; the same command continues from there")
        self.signum = signum


def make_sampler(game: Game, inputs: Sampler) -> Callable[[GameState], Sampler]:
    """Builds `state -> (key, count) -> samples`, numpy `[count, ...]`, inferred in blocks of one fixed size."""
    blocks = infer_blocks(game)

    def sample(state, key, count):
        return np.concatenate(list(blocks(state, inputs(key, -(-count // INFER_BATCH) * INFER_BATCH), count)))

    return lambda state: functools.partial(sample, state)


def infer_blocks(game: Game, split: jax.sharding.Sharding | None = None) -> Callable:
    """Builds `(state, inputs, count) -> iterator of samples`, a block at a time, which `split` spreads over devices.

    Inputs are for whole blocks of `INFER_BATCH`, of which `count` samples are handed out.
    """
    infer = jax.jit(game.infer)

    def blocks(state, inputs, count):
        for start in range(0, count, INFER_BATCH):
            block = jax.tree.map(lambda x, i=start: x[i : i + INFER_BATCH], inputs)
            yield np.asarray(infer(state, jax.device_put(block, split)))[: count - start]

    return blocks


def run(
    experiment: Experiment,
    workdir: pathlib.Path,
    plan: Plan,
    seed: int,
    cadence: Cadence = Cadence(),
    tensorboard: bool = False,
    stop_on_collapse: bool = False,
) -> GameState:
    """Trains to the end of the last phase, from the newest sound checkpoint in `workdir` if there is one.

    Writes `checkpoints/`, `metrics.jsonl`, `samples/<step>.png`, `samples.gif` and `report.html` into `workdir`; of clips also
    `film.gif`, the last samples as they move.

    Args:
        experiment: what to play, built with `axis_name=plan.axis_name`.
        workdir: the run's directory, absolute, which exists.
        plan: the devices.
        seed: decides initial parameters, noise and latents; the batches have theirs from `experiment`.
        cadence: how often to report, show, judge and save.
        tensorboard: write scalars for TensorBoard, too.
        stop_on_collapse: where the experiment's variety tells of a mode collapse, go back to the last checkpoint before it and
            stop; otherwise one line warns of it.

    Returns:
        The final state.

    Raises:
        Collapsed: as told by `stop_on_collapse`.
        Diverged: a loss or parameter is not finite; says the step, the player and the last good checkpoint.
        Interrupted: SIGTERM or SIGINT came; the state is saved. A second signal ends the process at once.
        UserError: every checkpoint in `workdir` is damaged.
    """
    init_key, run_key, show_key, judge_key = jax.random.split(jax.random.key(seed), 4)
    checkpoints, last = Checkpoints(workdir / "checkpoints"), experiment.phases[-1].until
    game = experiment.phases[0].game
    found = checkpoints.restore(jax.eval_shape(game.init, init_key))
    step, state = found or (0, jax.jit(game.init)(init_key))
    checkpoints.discard_after(step)
    state, run_key = plan.replicate(state), plan.replicate(run_key)
    journal = Journal(workdir, step, tensorboard)

    def varieties():
        """Gives the sentinel's history, `(step, variety)`, which the journal keeps."""
        for row in read(workdir / "metrics.jsonl"):
            scores = {name.removeprefix("eval/"): value for name, value in row.items() if name.startswith("eval/")}
            if scores and row["step"]:
                yield row["step"], experiment.variety.share(scores)

    def go_back():
        """Drops the checkpoints since the last measurement but one, where an older one is kept."""
        measured = [at for at, _ in varieties()][:-1]
        sound = [at for at in checkpoints.steps if measured and at <= measured[-1]]
        if not sound:
            return "there is no checkpoint before it"
        checkpoints.discard_after(sound[-1])
        return f"went back to the checkpoint of step {sound[-1]}"

    def attend(sampler):
        """Does what is due between two rounds."""
        due = Cadence(*(step == last or (every > 0 and step % every == 0) for every in cadence))
        scores: dict[str, float] = {}
        if due.log or due.evaluate or due.checkpoint or stop:
            watch.flush(step, state)
        if due.evaluate and (experiment.metrics or experiment.probes):
            for metric in experiment.metrics:
                scores |= metric(sampler(state), judge_key)
            for probe in experiment.probes:
                scores |= probe(state, judge_key)
            journal.write(step, {f"eval/{name}": value for name, value in scores.items()})
            bar.say(f"step {step}  " + "  ".join(f"{name} {value:.4g}" for name, value in scores.items()))
            collapse = experiment.variety and step and find_collapse(list(varieties()), experiment.variety.least, last)
            if collapse and stop_on_collapse:
                write_report(workdir)
                raise Collapsed(f"{collapse}: mode collapse; {go_back()}. Try another objective or penalty in another --workdir")
            if collapse:
                bar.say(f"warning: {collapse}: mode collapse; --stop_on_collapse would have stopped here")
        if due.sample:
            shown = sampler(state)(show_key, SHOWN)
            save_samples(workdir, step, experiment.picture(shown))
            if experiment.film:
                pictures.save_gif(workdir / "film.gif", experiment.film(shown))
        if due.checkpoint or stop:
            checkpoints.save(step, state, scores)
        if due.evaluate or stop:
            write_report(workdir)
        if stop:
            raise Interrupted(stop[0], step)
        watch.go_on()

    with contextlib.closing(checkpoints), contextlib.closing(journal), Bar(last, step) as bar, _signals() as stop:
        watch = _Watch(checkpoints, journal, bar)
        if found:
            bar.say(f"continuing from step {step}" if step < last else f"step {step} was the last; raise --steps to train on")
        else:
            attend(make_sampler(game, experiment.inputs))
        for phase in experiment.phases:
            play, sampler = plan.compile(phase.game.step), make_sampler(phase.game, experiment.inputs)
            while step < phase.until:
                batch = plan.spread(phase.batch_at(step))
                state, metrics = play(state, batch, run_key)
                step += 1
                watch.see(step, metrics, batch)
                attend(sampler)
    return state


def save_samples(workdir: pathlib.Path, step: int, picture: np.ndarray) -> None:
    """Writes `samples/<step>.png` and builds `samples.gif` of all of them anew."""
    (workdir / "samples").mkdir(exist_ok=True)
    pictures.save_png(workdir / "samples" / f"{step:08d}.png", picture)
    frames = pictures.evenly(sorted((workdir / "samples").glob("*.png")), GIF_FRAMES)
    pictures.save_gif(workdir / "samples.gif", [pictures.load_png(frame) for frame in frames])


class _Watch:
    """Gathers the metrics of rounds without waiting for them, and looks through them when a report is due."""

    def __init__(self, checkpoints: Checkpoints, journal: Journal, bar: Bar):
        self._checkpoints, self._journal, self._bar = checkpoints, journal, bar
        self._pending: list = []
        self._images, self._since = 0, None

    def see(self, step, metrics, batch):
        if self._since is None:  # the first round compiles: it says nothing of the speed
            jax.block_until_ready(metrics)
            self._since = time.monotonic()
        else:
            self._images += batch["real"].shape[0] * batch["real"].shape[1]
        self._pending.append((step, metrics))
        self._bar.advance(step)

    def flush(self, step, state):
        """Reports the means since the last time.

        Raises:
            Diverged: one of the values, or a parameter, is not finite.
        """
        rounds = jax.device_get(self._pending)
        for at, metrics in rounds:
            for name, value in metrics.items():
                if not np.isfinite(value):
                    self._fail(name.split("/")[0], f"{name} is {value} at step {at}")
        for name, finite in _finite(state).items():
            if not finite:
                self._fail(name, f"a parameter of player '{name}' is not finite at step {step}")
        if not rounds:
            return
        now = time.monotonic()
        speed = self._images / (now - self._since) if self._images else 0.0
        names = dict.fromkeys(name for _, metrics in rounds for name in metrics)  # a phase that just began may have others
        means = {name: float(np.mean([metrics[name] for _, metrics in rounds if name in metrics])) for name in names}
        self._journal.write(step, {"images_per_second": round(speed, 1), **means})
        self._bar.report(step, means, speed)
        self._pending, self._images, self._since = [], 0, now

    def go_on(self):
        """Leaves out of the next report's speed what was done between two rounds, where that report begins with them."""
        if not self._pending and self._since is not None:
            self._since = time.monotonic()

    def _fail(self, player, what):
        good = self._checkpoints.steps
        kept = f"the last good checkpoint is step {good[-1]}" if good else "there is no checkpoint yet"
        raise Diverged(f"{what}: training of '{player}' diverged; {kept}. Try a lower learning rate, or another --seed")


@jax.jit
def _finite(state):
    """Tells for each player whether all its parameters are finite numbers."""

    def whole(player):
        return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(player.params)]))

    return {name: whole(player) for name, player in state.players.items()}


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects the first SIGINT or SIGTERM; a second one ends the process at once. Does nothing outside the main thread."""
    caught: list[int] = []

    def catch(signum, frame):
        if caught:
            os._exit(128 + signum)
        caught.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {signum: signal.signal(signum, catch) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
