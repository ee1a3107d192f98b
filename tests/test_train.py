"""The loop and its checkpoints: resumed runs are the same run, and nothing bad passes in silence."""

import json
import os
import pathlib
import shutil
import signal
import threading
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import game, games, latents, objectives, parallel, train, transforms
from jaxgan.checkpoint import Checkpoints, digest
from jaxgan.journal import read
from jaxgan.nets import mlp
from jaxgan.networks import from_linen
from jaxgan.types import Experiment, Phase, Player, UserError

EVERY_2 = train.Cadence(log=2, sample=2, evaluate=2, checkpoint=2)
LATENT = latents.normal(3)


def experiment(until, batch_at=None, metric=None, axis_name=None):
    """A GAN of two small perceptrons on points, with every kind of state."""
    gen, disc = from_linen(mlp.Generator((2,), (4,))), from_linen(mlp.Discriminator((4,)))
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.hinge(), parallel.draw(LATENT, axis_name))
    adam = optax.adam(1e-2)
    players = {
        "disc": Player(lambda k: disc.init(k, jnp.zeros((1, 2))), disc_loss, adam, transforms.spectral_norm()),
        "gen": Player(lambda k: gen.init(k, jnp.zeros((1, 3))), gen_loss, adam, ema_decay=0.9),
    }
    play = game.make_game(players, game.play_round(players, (("disc", 1), ("gen", 1)), axis_name), games.generate(gen))
    return Experiment(
        phases=(Phase(until, play, batch_at or points),),
        inputs=LATENT,
        picture=lambda samples: np.full((8, 8, 3), samples.shape[0], np.uint8),
        metrics=(metric or (lambda sample, key: {"spread": float(np.std(sample(key, 10)))}),),
    )


def points(step):
    return {"real": np.random.default_rng(step).normal(size=(1, 8, 2)).astype(np.float32)}


def run(workdir, until, **arguments):
    workdir.mkdir(exist_ok=True)
    plan = parallel.make_plan("jit", 1)
    return jax.device_get(train.run(experiment(until, **arguments), workdir, plan, seed=3, cadence=EVERY_2))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of seven rounds: its directory and its last state."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, run(workdir, 7)


@pytest.mark.slow
def test_a_resumed_run_is_the_same_run(whole, tmp_path):
    run(tmp_path, 4)
    resumed = run(tmp_path, 7)
    assert digest(resumed) == digest(whole[1])
    for name in ("step", "disc/loss", "gen/loss", "eval/spread"):
        kept = [[line.get(name) for line in read(workdir / "metrics.jsonl")] for workdir in (whole[0], tmp_path)]
        assert [x for x in kept[0] if x is not None] == [x for x in kept[1] if x is not None]


def test_digest_sees_one_bit(whole):
    state = jax.tree.map(np.array, whole[1])
    state.players["gen"].ema.weights["Dense_0"]["bias"].view(np.uint8)[0] ^= 1
    assert digest(state) != digest(whole[1])


def test_a_run_leaves_what_it_promises(whole):
    workdir, state = whole
    assert int(state.step) == 7
    assert sorted(p.name for p in (workdir / "samples").iterdir()) == [f"{step:08d}.png" for step in (0, 2, 4, 6, 7)]
    assert (workdir / "samples.gif").stat().st_size and "<html" in (workdir / "report.html").read_text().lower()
    lines = read(workdir / "metrics.jsonl")
    assert [line["step"] for line in lines if "eval/spread" in line] == [0, 2, 4, 6, 7]
    assert [line["step"] for line in lines if "disc/loss" in line] == [2, 4, 6, 7]
    assert all(line["time"] >= 0 for line in lines)


def test_latest_two_and_best_one_are_kept(tmp_path):
    scores = iter([5.0, 1.0, 3.0, 4.0, 2.0])
    run(tmp_path, 7, metric=lambda sample, key: {"distance": next(scores)})
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.steps == [2, 6, 7] and checkpoints.best == 2
    checkpoints.close()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_continues(whole, tmp_path, signum):
    def interrupting(step):
        if step == 2:
            os.kill(os.getpid(), signum)
        return points(step)

    before = signal.getsignal(signum)
    with pytest.raises(train.Interrupted, match="at step 3") as caught:
        run(tmp_path, 7, batch_at=interrupting)
    assert caught.value.signum == signum and signal.getsignal(signum) is before
    assert digest(run(tmp_path, 7)) == digest(whole[1])


def test_divergence_names_step_player_and_checkpoint(tmp_path):
    poisoned = lambda step: {"real": points(step)["real"] * (np.nan if step == 4 else 1)}
    with pytest.raises(train.Diverged, match=r"disc/loss is nan at step 5.*'disc'.*last good checkpoint is step 4"):
        run(tmp_path, 7, batch_at=poisoned)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.steps[-1] == 4
    checkpoints.close()


def damage_bit(path: pathlib.Path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def largest_file(directory):
    return max((p for p in directory.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize(
    "damage",
    [
        lambda step: damage_bit(largest_file(step)),
        lambda step: largest_file(step).write_bytes(largest_file(step).read_bytes()[:100]),
        lambda step: largest_file(step).unlink(),
        lambda step: [p.unlink() for p in step.rglob("*") if p.name in ("_METADATA", "_CHECKPOINT_METADATA")],
    ],
    ids=["bit", "truncated", "missing", "metadata"],
)
def test_a_damaged_checkpoint_is_reported_and_skipped(whole, tmp_path, capfd, damage):
    run(tmp_path, 6)
    damage(tmp_path / "checkpoints" / "6")
    resumed = run(tmp_path, 7)
    said = capfd.readouterr().out
    assert "checkpoint 6 is damaged" in said and "continuing from step 4" in said
    assert digest(resumed) == digest(whole[1])


def test_a_half_written_checkpoint_is_not_seen(whole, tmp_path):
    run(tmp_path, 4)
    half = tmp_path / "checkpoints" / "6.orbax-checkpoint-tmp"
    half.mkdir()
    reader = Checkpoints(tmp_path / "checkpoints", sweep=False)
    assert reader.steps[-1] == 4 and half.exists()  # a reader leaves it alone: the run may be writing it
    reader.close()
    assert digest(run(tmp_path, 7)) == digest(whole[1]) and not half.exists()


def test_only_damaged_checkpoints_stop_the_run(tmp_path):
    run(tmp_path, 2)
    for step in (0, 2):
        largest_file(tmp_path / "checkpoints" / str(step)).write_bytes(b"")
    with pytest.raises(UserError, match="no sound checkpoint"):
        run(tmp_path, 4)


def test_a_checkpoint_folder_that_is_gone_is_noticed_before_a_checkpoint_is_begun(tmp_path):
    """Orbax would wait five minutes for it, in threads that outlive the error."""

    def sabotage(sample, key):
        if (tmp_path / "checkpoints").is_dir():
            shutil.rmtree(tmp_path / "checkpoints")
        (tmp_path / "checkpoints").write_text("")
        return {"distance": 0.0}

    with pytest.raises(OSError, match="checkpoints"):
        run(tmp_path, 4, metric=sabotage)
    names = [thread.name for thread in threading.enumerate()]
    assert "write_metadata_after_commits" not in names


def test_a_checkpoint_that_orbax_cannot_write_is_told_as_such(tmp_path):
    """A disk that fills up while it is written reaches Python as a ValueError with a page of text."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints._orbax = types.SimpleNamespace(directory=tmp_path, save_async=mock.Mock(side_effect=ValueError("page\nof text")))
    with pytest.raises(OSError, match=r"could not be written .*page of text"):
        checkpoints.save(1, {"w": np.ones(3)})


def test_a_full_disk_is_noticed_before_a_checkpoint_is_begun(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OSError, match="no room for a checkpoint"):
        run(tmp_path, 4)


def test_tensorboard_gets_the_same_scalars(tmp_path):
    plan = parallel.make_plan("jit", 1)
    train.run(experiment(2), tmp_path, plan, seed=0, cadence=EVERY_2, tensorboard=True)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"disc/loss" in events.read_bytes() and b"eval/spread" in events.read_bytes()


def test_a_line_cut_short_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "time": 0}) + '\n{"step": 2, "ti')
    assert [line["step"] for line in read(tmp_path / "metrics.jsonl")] == [1]


def test_no_hidden_transfers_between_rounds():
    """Within rounds nothing moves between host and device but the batch, which is sent on purpose."""
    plan = parallel.make_plan("jit", 1)
    made = experiment(1).phases[0].game
    state, key = plan.replicate(jax.jit(made.init)(jax.random.key(0))), plan.replicate(jax.random.key(1))
    step = plan.compile(made.step)
    state, _ = step(state, plan.spread(points(0)), key)
    with jax.transfer_guard("disallow"):
        for i in range(3):
            state, _ = step(state, plan.spread(points(i)), key)


def test_samples_do_not_depend_on_how_many_are_asked_for(whole):
    made = experiment(7)
    sample = train.make_sampler(made.phases[0].game, made.inputs)(whole[1])
    many = sample(jax.random.key(0), train.INFER_BATCH + 3)
    assert many.shape == (train.INFER_BATCH + 3, 2)
    np.testing.assert_array_equal(sample(jax.random.key(0), 5), many[:5])


def test_blocks_are_samples_in_order(whole):
    made = experiment(7)
    drawn = made.inputs(jax.random.key(0), 2 * train.INFER_BATCH)
    split = jax.sharding.NamedSharding(parallel.make_plan("jit", 4).mesh, jax.sharding.PartitionSpec(parallel.AXIS))
    for sharding in (None, split):
        blocks = list(train.infer_blocks(made.phases[0].game, sharding)(whole[1], drawn, train.INFER_BATCH + 3))
        assert [len(block) for block in blocks] == [train.INFER_BATCH, 3]
        expected = made.phases[0].game.infer(whole[1], drawn)[: train.INFER_BATCH + 3]
        np.testing.assert_allclose(np.concatenate(blocks), expected, rtol=1e-5, atol=1e-6)


def test_speed_leaves_out_what_is_done_between_rounds(monkeypatch):
    clock, told = iter([0.0, 2.0, 100.0, 103.0]), []
    monkeypatch.setattr(train.time, "monotonic", lambda: next(clock))
    journal = types.SimpleNamespace(write=lambda step, values: told.append(values["images_per_second"]))
    watch = train._Watch(None, journal, mock.Mock())
    monkeypatch.setattr(train, "_finite", lambda state: {})
    state, batch = None, {"real": np.zeros((1, 6, 2))}
    for step in (1, 2):
        watch.see(step, {}, batch)
    watch.flush(2, state)  # one round in two seconds, after the first
    watch.go_on()  # measuring took until 100
    watch.see(3, {}, batch)
    watch.flush(3, state)
    assert told == [3.0, 2.0]


def test_phases_may_report_different_things(tmp_path):
    """The second phase begins between two reports; probes alone are asked, too, and decide the best checkpoint."""

    def renamed(game):
        def step(state, batch, key):
            state, metrics = game.step(state, batch, key)
            return state, {f"late/{name}": value for name, value in metrics.items()}

        return game._replace(step=step)

    first, second = experiment(3), experiment(4)
    late = second.phases[0]._replace(game=renamed(second.phases[0].game))
    probe = lambda state, key: {"rounds": float(state.step)}
    both = first._replace(phases=(*first.phases, late), metrics=(), probes=(probe,))
    train.run(both, tmp_path, parallel.make_plan("jit", 1), seed=0, cadence=EVERY_2)
    rows = read(tmp_path / "metrics.jsonl")
    reported = [name for row in rows if row["step"] == 4 for name in row]
    assert {"gen/loss", "late/gen/loss"} <= set(reported)
    assert [row["eval/rounds"] for row in rows if "eval/rounds" in row] == [0.0, 2.0, 4.0]


def test_phases_follow_one_another(tmp_path):
    """Two phases over one state, the second with other batches; interrupted in the second, it resumes there."""
    other = lambda step: jax.tree.map(lambda x: x + 1, points(step))

    def two_phases(until):
        first, second = experiment(3), experiment(until, batch_at=other)
        return first._replace(phases=first.phases + second.phases)

    plan = parallel.make_plan("jit", 1)
    states = []
    for name, stops in {"a": [6], "b": [4, 6]}.items():
        (tmp_path / name).mkdir()
        for until in stops:
            state = train.run(two_phases(until), tmp_path / name, plan, seed=0, cadence=EVERY_2)
        states.append(jax.device_get(state))
    assert digest(states[0]) == digest(states[1])
