"""The command line from end to end: a short run, its directory, drawing from it, and every mistake a user can make."""

import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from PIL import Image

import jaxgan
from experiments import run, sample
from jaxgan import classifier
from jaxgan.checkpoint import Checkpoints
from jaxgan.journal import read
from jaxgan.types import UserError

ROOT = pathlib.Path(__file__).parents[1]
TINY = "--gen_width=4 --disc_width=4 --latent_size=4 --batch_size=4 --devices=1 --log_every=2 --decay=0".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of four rounds."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert run.main([*TINY, "--steps=4", "--eval_every=2", "--checkpoint_every=2", f"--workdir={workdir}"]) == 0
    return workdir


def state_of(workdir, step):
    """The bytes of a checkpoint's state."""
    restored = jaxgan.runs.restore(workdir, step)[2]
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(restored)]


def test_a_run_from_one_command(trained):
    record = json.loads((trained / "config.json").read_text())
    assert record["config"]["steps"] == 4 and record["variant"] == "sngan" and record["versions"]["jax"] == jax.__version__
    assert [line["step"] for line in read(trained / "metrics.jsonl") if "eval/fid64" in line] == [0, 2, 4]
    assert "sngan" in (trained / "report.html").read_text()


@pytest.mark.slow
def test_a_mistake_that_the_end_finds_costs_no_round(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(classifier, "STEPS", 5)
    words = ["--variant=cgan", *TINY, "--steps=2", "--checkpoint_every=1", "--eval_every=0", f"--workdir={tmp_path / 'run'}"]
    with pytest.raises(SystemExit) as end:
        run.main([*words, "--eval_samples=6"])
    assert end.value.code == 2 and "hold no class with more than 5 of each; take more" in capsys.readouterr().err
    assert jaxgan.runs.restore(tmp_path / "run")[0] == 1
    with pytest.raises(UserError, match="has measured none of its checkpoints, so none is its best"):
        jaxgan.load(tmp_path / "run", step="best")


def test_load_needs_neither_data_nor_devices(trained):
    draw, params = jaxgan.load(trained)
    images = draw(jax.random.key(0), 5)
    assert images.shape == (5, 8, 8, 1) and np.abs(images).max() <= 1
    assert set(params) == {"disc", "gen"}
    np.testing.assert_array_equal(images, draw(jax.random.key(0), 5))
    earlier, _ = jaxgan.load(trained, step=2)
    assert not np.array_equal(images, earlier(jax.random.key(0), 5))
    best, _ = jaxgan.load(trained, step="best")
    assert best(jax.random.key(0), 1).shape == (1, 8, 8, 1)


@pytest.mark.parametrize(
    "flags, shape",
    [
        (["--count=5", "--out=a.png"], None),
        (["--count=5", "--out=deep/a.npz"], (5, 8, 8, 1)),
        (["--count=3", "--interpolate", "--out=b.npz", "--step=best"], (30, 8, 8, 1)),
        (["--count=2", "--interpolate", "--out=b.png", "--step=2"], None),
    ],
)
def test_sample(trained, tmp_path, monkeypatch, flags, shape):
    monkeypatch.chdir(tmp_path)
    assert sample.main([str(trained), *flags]) == 0
    out = tmp_path / next(flag.partition("=")[2] for flag in flags if "--out" in flag)
    if shape:
        assert np.load(out, allow_pickle=False)["images"].shape == shape
    else:
        assert np.asarray(Image.open(out)).std() > 0


@pytest.mark.slow
def test_a_run_continues_with_more_steps_and_refuses_another_config(trained, tmp_path, capsys):
    workdir = tmp_path / "copy"
    flags = [*TINY, "--eval_every=2", "--checkpoint_every=2", f"--workdir={workdir}"]
    assert run.main([*flags, "--steps=2"]) == 0
    assert run.main([*flags, "--steps=4"]) == 0
    assert "continuing from step 2" in capsys.readouterr().out
    assert state_of(workdir, 4) == state_of(trained, 4)
    complain(capsys, [*flags, "--steps=4", "--learning_rate=2e-3", "--seed=1"], "seed: 0 -> 1; .*learning_rate: 0.001 -> 0.002")
    complain(capsys, [*flags, "--steps=4", "--decay=0.5"], "decay: 0.0 -> 0.5")


def complain(capsys, flags, words):
    """Checks for one line, exit code 2 and the words."""
    import re

    with pytest.raises(SystemExit) as end:
        run.main(flags)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert re.search(words, said), said


def broken_folder(path, kind):
    (path / "a").mkdir(parents=True)
    for i in range(1 if kind == "one" else 4):
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(path / "a" / f"{i}.png")
    if kind == "unreadable":
        (path / "a" / "2.png").write_bytes(b"not a picture")


def test_mistakes_in_the_data(tmp_path, capsys):
    """Acceptance 8 of issue 2: one clear line, exit code 2, nothing written."""
    broken_folder(tmp_path / "one", "one")
    broken_folder(tmp_path / "unreadable", "unreadable")
    np.savez(tmp_path / "dtype.npz", images=np.zeros((9, 8, 8), np.int64))
    np.savez(tmp_path / "pickle.npz", images=np.array([{"a": 1}, None], dtype=object))
    (tmp_path / "idx").mkdir()
    with gzip.open(tmp_path / "idx" / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(b"nonsense")
    workdir = tmp_path / "run"
    for dataset, words in {
        "folder:" + str(tmp_path / "nowhere"): "nowhere",
        "folder:" + str(tmp_path / "unreadable"): "2.png",
        "folder:" + str(tmp_path / "one"): "few images",
        "npz:" + str(tmp_path / "dtype.npz"): "int64",
        "npz:" + str(tmp_path / "pickle.npz"): "pickle",
        "idx:" + str(tmp_path / "idx"): "idx",
        "digit": "did you mean digits",
    }.items():
        complain(capsys, [*TINY, f"--dataset={dataset}", f"--workdir={workdir}"], words)
    assert not workdir.exists()


def test_mistakes_in_the_command(tmp_path, capsys):
    workdir = tmp_path / "run"
    for flag, words in {
        "--variant=sngam": "unknown variant 'sngam'; did you mean sngan",
        "--stepz=3": "did you mean --steps",
        "--steps=0": "--steps=0 must be at least 1",
        "--learning_rate=quick": "not a number",
        "--devices=99": "at most 4",
        "--critic_turns=0": "critic_turns",
        "--ema_decay=1.5": "ema_decay",
        "--network=standard --dataset=ring": "mlp",
    }.items():
        complain(capsys, [*TINY, f"--workdir={workdir}", *flag.split()], words)
    complain(capsys, ["--devices=4", "--batch_size=6", f"--workdir={workdir}"], "batch_size=6")
    assert not workdir.exists()
    (tmp_path / "file").write_text("")
    complain(capsys, [*TINY, f"--workdir={tmp_path / 'file' / 'run'}"], "cannot write")


def test_a_checkpoint_of_another_variant(trained, tmp_path, capsys):
    record = json.loads((trained / "config.json").read_text())
    record["config"]["variant"] = record["variant"] = "dcgan"
    (tmp_path / "config.json").write_text(json.dumps(record))
    complain(capsys, [*TINY, f"--workdir={tmp_path}"], "variant: dcgan -> sngan")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_mistakes_in_drawing(trained, tmp_path, capsys):
    for arguments, words in {
        ("--count=3",): "RUN_DIR",
        (str(tmp_path),): "config.json",
        (str(trained), "--step=3"): "holds: 2, 4",
        (str(trained), "--out=a.gif"): ".png or .npz",
        (str(trained), "--count=0"): "at least 1",
        (str(trained), "--cuont=2"): "did you mean --count",
    }.items():
        with pytest.raises(SystemExit) as end:
            sample.main(list(arguments))
        said = capsys.readouterr().err
        assert end.value.code == 2 and said.count("\n") == 1 and words in said


def test_a_second_process_in_the_same_directory_is_refused(tmp_path, capsys):
    tmp_path.joinpath("run").mkdir()
    with run.open_directory(tmp_path / "run", {"config": {}}):
        from jaxgan.types import UserError

        with pytest.raises(UserError, match="another process"):
            run.open_directory(tmp_path / "run", {"config": {}})


@pytest.mark.slow
def test_kill_9_and_resume(tmp_path):
    """Acceptance 3 of issue 2, once: killed without warning, a new process ends at the same bytes."""
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *TINY, "--steps=60", "--eval_every=0", "--sample_every=0"]
    command += ["--checkpoint_every=5", "--network=mlp"]
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, f"--workdir={tmp_path / 'whole'}"], env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([*command, f"--workdir={tmp_path / 'cut'}"], env=environment, stdout=subprocess.DEVNULL)
    while not any((tmp_path / "cut" / "checkpoints").glob("[1-4]0")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    checkpoints = Checkpoints(tmp_path / "cut" / "checkpoints")
    assert checkpoints.steps[-1] < 60
    checkpoints.close()
    subprocess.run([*command, f"--workdir={tmp_path / 'cut'}"], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert state_of(tmp_path / "cut", 60) == state_of(tmp_path / "whole", 60)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--variant=tricks", "--minibatch=stddev", "--batch_size=6", "--devices=1"], "no groups of 4"),
        (["--variant=semi_supervised", "--dataset=ring"], "learns from labelled images"),
    ],
)
def test_a_mistake_that_only_the_first_round_finds_leaves_nothing(tmp_path, capsys, words, says):
    with pytest.raises(SystemExit) as end:
        run.main([*words, f"--workdir={tmp_path / 'run'}"])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and says in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--variant=tricks", "--joint", "--minibatch=discrimination"], "leave --joint out"),
        (["--variant=wgan", "--beta1=0"], "wgan has RMSProp"),
        (["--variant=gan", "--seeds=2", "--parallel=shard_map"], "one device"),
        (["--variant=pacgan", "--packing=3"], "must be at least 1 and divide"),
        (["--variant=tricks", "--replay=8"], "at least --batch_size=256"),
        (["--variant=tricks", "--network=resnet", "--dropout=0.5"], "made for --network=mlp"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(words, says, capsys):
    with pytest.raises(SystemExit) as end:
        run.main(words)
    error = capsys.readouterr().err
    assert end.value.code == 2 and says in error and error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--variant=tricks", "--replay=16", "--feature_matching"],
        ["--variant=tricks", "--norm=virtual", "--dropout=0.2", "--instance_noise=0.1", "--latents=spherical"],
        ["--variant=tricks", "--minibatch=discrimination", "--history=0.01", "--sgd_critic", "--smooth_real=0.9"],
        ["--variant=gan", "--seeds=2", "--critic_turns=2"],
    ],
)
def test_tricks_and_seeds_train_together(tmp_path, words, capsys):
    assert run.main([*words, "--steps=2", "--batch_size=16", f"--workdir={tmp_path / 'run'}"]) == 0
    last = read(tmp_path / "run" / "metrics.jsonl")[-1]
    assert last["step"] == 2 and np.isfinite(last["eval/mode_kl"])
    assert ("eval/mode_kl_sd" in last) == ("--seeds=2" in words)
