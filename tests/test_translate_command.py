"""Translating files by a trained run: sizes, folders, kinds of images, and every mistake one line."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

from experiments import run, translate
from experiments.variants import cyclegan, gan, pix2pix
from jaxgan import data, pictures, runs
from jaxgan.checkpoint import Checkpoints
from jaxgan.types import Experiment, Game, Phase

KEY = jax.random.key(0)


def saved(folder, module, cfg, shape, experiment=None):
    """Writes the directory of a run, untrained."""
    experiment = experiment or module.experiment(cfg, data.blank(shape))
    record = {"variant": cfg.variant, "module": module.__name__, "data": {"shape": shape, "num_classes": 0}}
    folder.mkdir()
    with run.open_directory(folder, {**record, "config": dataclasses.asdict(cfg)}):
        checkpoints = Checkpoints(folder / "checkpoints")
        checkpoints.save(3, jax.jit(experiment.phases[0].game.init)(KEY))
        checkpoints.close()
    return folder


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    small = {"image_size": 8, "gen_width": 2, "disc_layers": 0, "disc_width": 2, "dropped": 1, "gan": False}
    cfg = dataclasses.replace(pix2pix.PRESETS["quick"], variant="pix2pix", **small)
    return saved(tmp_path_factory.mktemp("runs") / "unet", pix2pix, cfg, (8, 8, 6))


@pytest.fixture
def inverting(tmp_path, monkeypatch):
    """A run of CycleGAN on grey images whose G inverts and whose F darkens, in place of networks that compile slowly."""
    cfg = dataclasses.replace(cyclegan.PRESETS["quick"], variant="cyclegan")

    def infer(state, inputs):
        a, b = inputs["source"], inputs["real"]
        return jax.numpy.concatenate([a, -a, a, b, b - 0.5, b], axis=-1)

    game = Game(lambda key: {}, lambda *given: None, infer)
    made = Experiment((Phase(3, game, lambda step: {}),), lambda key, n: {}, pictures.grid)
    monkeypatch.setattr(runs, "restore_each", lambda run_dir, step: (3, made, [{}]))
    (tmp_path / "run").mkdir()
    record = {"variant": "cyclegan", "module": cyclegan.__name__, "data": {"shape": (8, 8, 1), "num_classes": 0}}
    (tmp_path / "run" / "config.json").write_text(json.dumps({**record, "config": dataclasses.asdict(cfg)}))
    return tmp_path / "run"


def image(path, height, width, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, channels) if channels > 1 else (height, width)
    Image.fromarray(np.random.default_rng(height * width).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def grey(path):
    return np.asarray(Image.open(path))[..., 0].astype(int)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        translate.main([str(word) for word in words])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and len(told.splitlines()) == 1
    return told


@pytest.mark.slow
def test_files_of_any_size_keep_it_and_folders_keep_their_order(unet, tmp_path, capsys):
    sizes = {"in/a.png": (8, 8), "in/deep/b.jpg": (33, 20), "in/c.bmp": (1, 1), "d.webp": (5, 40)}
    for name, (height, width) in sizes.items():
        image(tmp_path / name, height, width)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    assert translate.main([str(unet), str(tmp_path / "in"), str(tmp_path / "d.webp"), f"--out={tmp_path / 'out'}"]) == 0
    for name, size in sizes.items():
        made = Image.open((tmp_path / "out" / name.removeprefix("in/")).with_suffix(".png"))
        assert made.size == size[::-1] and made.mode == "RGB"
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == 4
    said = capsys.readouterr().out
    assert "4 of 4 images" in said and f"4 images by step 3 of {unet}" in said


def test_is_what_the_game_infers_with_noise_by_the_seed(unet, tmp_path):
    source = image(tmp_path / "x.png", 32, 32)
    outs = [tmp_path / name for name in ("one", "same", "other")]
    for out, seed in zip(outs, (4, 4, 5), strict=True):
        assert translate.main([str(unet), str(source), f"--out={out}", f"--seed={seed}"]) == 0
    one, same, other = (np.asarray(Image.open(out / "x.png")) for out in outs)
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    _, experiment, state = runs.restore(unet)
    pixels = np.asarray(Image.open(source), np.float32)[None] / 127.5 - 1
    inputs = {"source": pixels, "real": pixels, "key": jax.random.fold_in(jax.random.key(4), 0)[None]}
    made = np.asarray(jax.jit(experiment.phases[0].game.infer)(state, inputs))[..., 3:6]
    assert np.abs(one.astype(int) - pictures.grid(made, scale=1, pad=0)).max() <= 1


def test_both_ways_without_a_frame_of_padding(inverting, tmp_path):
    shown = str(image(tmp_path / "x.png", 35, 70, channels=1))
    before = np.asarray(Image.open(shown)).astype(int)
    assert translate.main([str(inverting), shown, f"--out={tmp_path / 'b'}"]) == 0
    np.testing.assert_array_equal(grey(tmp_path / "b" / "x.png"), 255 - before)
    assert translate.main([str(inverting), shown, f"--out={tmp_path / 'a'}", "--direction=b2a"]) == 0
    np.testing.assert_allclose(grey(tmp_path / "a" / "x.png"), np.clip(before - 63.75, 0, 255), atol=0.75)


def test_alpha_is_laid_on_white_and_16_bits_are_scaled(inverting, tmp_path):
    Image.fromarray(np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8)).save(tmp_path / "clear.png")
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "deep.png")
    given = [str(tmp_path / name) for name in ("clear.png", "deep.png")]
    assert translate.main([str(inverting), *given, f"--out={tmp_path / 'out'}"]) == 0
    np.testing.assert_array_equal(grey(tmp_path / "out" / "clear.png"), [[0, 246]])
    np.testing.assert_array_equal(grey(tmp_path / "out" / "deep.png"), [[255, 155, 0]])


def test_mistakes(unet, tmp_path, capsys):
    good = image(tmp_path / "in" / "x.png", 8, 8)
    out = f"--out={tmp_path / 'out'}"
    refuse = lambda *words: refused(capsys, *words)
    assert "name the run's directory, then images or folders" in refuse(unet)
    assert "holds no readable config.json; give the directory of a run" in refuse(tmp_path / "none", good, out)
    assert f"there is no {tmp_path / 'nowhere'}: name images, or folders" in refuse(unet, tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    assert "empty has no images: put files there that end in .png" in refuse(unet, tmp_path / "empty", out)
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert "broken.png is not a readable image" in refuse(unet, tmp_path / "broken.png", out)
    assert "--direction=b2a is not what pix2pix has learnt; leave it out" in refuse(unet, good, out, "--direction=b2a")
    assert "has no checkpoint of step 7; it holds: 3" in refuse(unet, good, out, "--step=7")
    assert "unknown flag --outt; did you mean --out?" in refuse(unet, good, "--outt=x")
    assert "stray word" in refuse(unet, good, out, good)
    assert "cannot write" in refuse(unet, good, f"--out={good}")
    other = image(tmp_path / "more" / "x.jpg", 8, 8)
    assert f"{good} and {other} would both become {tmp_path / 'out' / 'x.png'}: rename one" in refuse(unet, good, other, out)
    before = good.read_bytes()
    assert f"{good} is one of the images: give another --out" in refuse(unet, good, f"--out={good.parent}")
    assert good.read_bytes() == before


def test_a_run_of_another_kind_is_refused(tmp_path, capsys):
    cfg = gan.Config(variant="gan", dataset="ring", network="mlp")
    folder = saved(tmp_path / "gan", gan, cfg, (2,))
    told = refused(capsys, folder, image(tmp_path / "x.png", 8, 8))
    assert "gan is a run of gan, which translates no images; name one of pix2pix or cyclegan" in told
