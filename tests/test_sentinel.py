"""The sentinel: silent while a run learns, one line when it collapses."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxgan import data, metrics, parallel, pictures, train
from jaxgan.checkpoint import Checkpoints
from jaxgan.sentinel import find_collapse
from jaxgan.types import Experiment, Game, GameState, Phase, PlayerState, Variety

MODES = data.load("ring").held_out


@pytest.mark.parametrize(
    ("shares", "speaks"),
    [
        ([0.9, 0.95, 0.9, 0.92], []),
        ([0.0, 0.4, 0.6, 0.9], []),  # it learns
        ([0.9, 0.9, 0.4, 0.3], [2]),  # it falls, and is told of once
        ([0.9, 0.4, 0.9, 0.4], [1, 3]),
        ([0.2, 0.2, 0.2, 0.2], [1]),  # never any variety, noticed when a quarter is over
        ([0.9, 0.55, 0.5, 0.46], []),
    ],
)
def test_it_speaks_when_variety_falls_and_when_there_never_was_any(shares, speaks):
    history = [(10 * (i + 1), share) for i, share in enumerate(shares)]
    found = [find_collapse(history[: i + 1], least=0.3, last=80) for i in range(len(history))]
    assert [i for i, clause in enumerate(found) if clause] == speaks


def rigged(until=12):
    """A generator that is perfect to begin with and forgets a mode in every round after the fifth."""

    def init(key):
        return GameState(jnp.zeros((), jnp.int32), {"gen": PlayerState({"modes": jnp.float32(8)}, {}, (), (), None)})

    def step(state, batch, key):
        modes = jnp.clip(13.0 - state.step, 1.0, 8.0)
        moved = state.players["gen"]._replace(params={"modes": modes})
        return GameState(state.step + 1, {"gen": moved}), {"gen/loss": 0.0 * modes}

    def infer(state, inputs):
        kept = state.players["gen"].params["modes"]
        mode = jnp.floor(inputs["which"] * kept).astype(int)
        return jnp.asarray(MODES.centres, jnp.float32)[mode] + MODES.sigma * inputs["noise"]

    def inputs(key, count):
        which, noise = jax.random.split(key)
        return {"which": jax.random.uniform(which, (count,)), "noise": jax.random.normal(noise, (count, 2))}

    return Experiment(
        phases=(Phase(until, Game(init, step, infer), lambda step: {"real": jnp.zeros((1, 4, 2))}),),
        inputs=inputs,
        picture=pictures.scatter,
        metrics=(metrics.mode_quality(*MODES),),
        variety=Variety(lambda scores: math.exp(-scores["reverse_kl_all"]), least=0.5),
    )


def run(workdir, **options):
    cadence = train.Cadence(log=0, sample=0, evaluate=2, checkpoint=1)
    return train.run(rigged(), workdir, parallel.make_plan("jit", 1), 0, cadence, **options)


def test_a_rigged_collapse_is_warned_of_once(tmp_path, capsys):
    run(tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if "collapse" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: samples cover 50% of the data's variety at step 10, and covered 100% at step 2")


def test_a_rigged_collapse_goes_back_to_where_it_was_sound_and_stops(tmp_path):
    """Steps 9 and 10 would be kept: the loop keeps two, and the best, which is of step 2, 4 or 6."""
    with pytest.raises(train.Collapsed, match=r"at step 10.*went back to the checkpoint of step \d+") as caught:
        run(tmp_path, stop_on_collapse=True)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.steps and checkpoints.steps[-1] <= 8
    assert f"step {checkpoints.steps[-1]}." in str(caught.value)
    checkpoints.close()
    with pytest.raises(train.Collapsed):  # the same command plays those rounds again, with the same end
        run(tmp_path, stop_on_collapse=True)
