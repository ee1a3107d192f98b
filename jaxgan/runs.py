"""A finished or running run's directory, seen from a notebook."""

import dataclasses
import importlib
import json
import pathlib

import jax

from jaxgan import data
from jaxgan.checkpoint import Checkpoints
from jaxgan.ensemble import repeat
from jaxgan.train import make_sampler
from jaxgan.types import Experiment, GameState, PyTree, Sampler, UserError


def build(module, config, dataset: data.Dataset, axis_name: str | None = None) -> Experiment:
    """Builds what a variant's module makes of a config: one experiment, or `config.seeds` of them side by side.

    Args:
        module: of `experiments.variants`.
        config: its `Config`; of several, each has the data of a seed of its own, from `config.seed` on.
        dataset: from `data.load` or `data.blank`.
        axis_name: what the devices stand on; None where there are several seeds.
    """
    if config.seeds == 1:
        return module.experiment(config, dataset, axis_name)
    configs = [dataclasses.replace(config, seed=config.seed + i) for i in range(config.seeds)]
    return repeat([module.experiment(each, dataset) for each in configs])


def load(run_dir: str | pathlib.Path, step: int | str | None = None) -> tuple[Sampler, PyTree]:
    """Loads a run's generator. Neither the data nor the devices it was trained on are needed.

    Of a run of several seeds, examples and parameters have an axis for them: `[count, seeds, ...]` and `[seeds, ...]`.

    Args:
        run_dir: what `experiments/run.py` printed as its directory.
        step: a step that has a checkpoint, "best", or None for the newest.

    Returns:
        `(sample, params)`: `sample(key, count)` gives numpy examples `[count, ...]`, images in [-1, 1], from the moving average
        of the generator where one was kept; `params` are all players' parameters by name, averaged likewise.

    Raises:
        UserError: no such run, no such checkpoint, or none that is sound.
    """
    _, experiment, state = restore(run_dir, step)
    params = {name: player.ema.weights if player.ema else player.params for name, player in state.players.items()}
    return make_sampler(experiment.phases[0].game, experiment.inputs)(state), params


def restore(run_dir: str | pathlib.Path, step: int | str | None = None) -> tuple[int, Experiment, GameState]:
    """Builds a run's experiment anew, without its data, and reads its state; arguments and errors as in `load`.

    Returns:
        `(step, experiment, state)`; the first phase's game is the one that made `state`.
    """
    run_dir = pathlib.Path(run_dir).expanduser().absolute()
    module, config, dataset = _read_config(run_dir)
    experiment = build(module, config, dataset)
    checkpoints = Checkpoints(run_dir / "checkpoints", sweep=False)
    try:
        if step == "best" and checkpoints.best is None:
            raise UserError(f"{run_dir} has measured none of its checkpoints, so none is its best; take the newest")
        if step == "best":
            step = checkpoints.best
        if not checkpoints.steps or (step is not None and step not in checkpoints.steps):
            held = ", ".join(map(str, checkpoints.steps)) or "none"
            raise UserError(f"{run_dir} has no checkpoint of step {step or 'any'}; it holds: {held}")
        reached, state = checkpoints.restore(jax.eval_shape(experiment.phases[0].game.init, jax.random.key(0)), step)
    finally:
        checkpoints.close()
    return reached, _from_phase_at(experiment, reached), state


def restore_each(run_dir: str | pathlib.Path, step: int | str | None = None) -> tuple[int, Experiment, list[GameState]]:
    """Does what `restore` does, and takes a run of several seeds apart.

    Returns:
        `(step, experiment, states)`: the experiment of one seed, and every seed's state.
    """
    reached, experiment, state = restore(run_dir, step)
    module, config, dataset = _read_config(pathlib.Path(run_dir).expanduser().absolute())
    if config.seeds == 1:
        return reached, experiment, [state]
    alone = module.experiment(dataclasses.replace(config, seeds=1), dataset)
    states = [jax.tree.map(lambda x, i=i: x[i], state) for i in range(config.seeds)]
    return reached, _from_phase_at(alone, reached), states


def _read_config(run_dir):
    """Gives a run's `(module, config, dataset)`, the data set without its data."""
    try:
        record = json.loads((run_dir / "config.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"{run_dir} holds no readable config.json; give the directory of a run") from None
    module = importlib.import_module(record["module"])
    known = {field.name for field in dataclasses.fields(module.Config)}
    config = module.Config(**{name: value for name, value in record["config"].items() if name in known})
    return module, config, data.blank(tuple(record["data"]["shape"]), record["data"]["num_classes"])


def _from_phase_at(experiment, step):
    """Leaves out the phases that ended before a step, all but the last at most."""
    passed = [phase for phase in experiment.phases if phase.until < step]
    return experiment._replace(phases=experiment.phases[len(passed) :] or experiment.phases[-1:])
