"""Drawing from a run: one class, truncated latents (B4b), paths, classes side by side, nearest neighbours, the sweep (A10.2)."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgan
from experiments import features, run, sample
from experiments.variants import cgan, gan, tricks
from jaxgan import data, latents, metrics, pictures, runs
from jaxgan.checkpoint import Checkpoints
from jaxgan.types import Experiment, Game, GameState, Phase

KEY = jax.random.key(0)
SIZE, CLASSES = 50, 4


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def untrained(folder, module, **settings):
    """Writes the directory of a run of digits that was stopped before its first round."""
    name = module.__name__.rpartition(".")[2]
    cfg = module.Config(**{"variant": name, "dataset": "digits", "network": "mlp", **settings})
    shape = (2,) if cfg.dataset == "ring" else (8, 8, 1)
    experiment = runs.build(module, cfg, data.blank(shape, 8 if cfg.dataset == "ring" else 10))
    record = {"variant": name, "module": module.__name__, "data": {"shape": shape, "num_classes": 10}}
    folder.mkdir()
    with run.open_directory(folder, {**record, "config": vars(cfg)}):
        checkpoints = Checkpoints(folder / "checkpoints")
        checkpoints.save(1, jax.jit(experiment.phases[0].game.init)(KEY))
        checkpoints.close()
    return str(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Runs by name."""
    root = tmp_path_factory.mktemp("runs")
    return {
        "LABELLED": untrained(root / "labelled", cgan),
        "PLAIN": untrained(root / "plain", gan),
        "SEEDS": untrained(root / "seeds", cgan, seeds=2),
        "NORMALISED": untrained(root / "normalised", cgan, network="resnet", gen_width=2, disc_width=2),
        "POINTS": untrained(root / "points", gan, dataset="ring"),
        "UNIFORM": untrained(root / "uniform", tricks, latents="uniform"),
        "DROPOUT": untrained(root / "dropout", tricks, dropout=0.5),
    }


def stand_in(monkeypatch, folder, infer, inputs, shape, num_classes=0, dataset=""):
    """Lets a directory hold a run whose generator is `inputs -> images`."""
    play = Game(lambda key: None, lambda *given: None, lambda state, given: infer(given))
    experiment = Experiment((Phase(7, play, lambda step: {}),), inputs, pictures.grid)
    states = [GameState(jnp.zeros((), jnp.int32), {})]
    monkeypatch.setattr(runs, "restore_each", lambda run_dir, step: (7, experiment, states))
    record = {"variant": "none", "data": {"shape": shape, "num_classes": num_classes}}
    (folder / "config.json").write_text(json.dumps({**record, "config": {"dataset": dataset, "image_size": 0}}))


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Gives `(latents, labels)` that a generator is given for some flags: this one shows them as pixels."""
    show = lambda given: jnp.concatenate([given[0], given[1][:, None] * 1.0], axis=1)[:, None, :, None]
    stand_in(monkeypatch, tmp_path, show, latents.with_labels(latents.normal(SIZE), CLASSES), [1, SIZE + 1, 1], CLASSES)

    def drawn(*flags):
        assert sample.main([str(tmp_path), *flags, f"--out={tmp_path / 'shown.npz'}"]) == 0
        shown = np.load(tmp_path / "shown.npz")["images"][:, 0, :, 0]
        return shown[:, :-1], shown[:, -1]

    return drawn


@pytest.mark.parametrize(
    "threshold, std, accepted",
    [(0.04, 0.0230915, 0.0319069), (0.5, 0.2838823, 0.3829249), (1.0, 0.5395601, 0.6826895), (2.0, 0.8796257, 0.9544997)],
)
def test_truncation_redraws_latents_and_leaves_labels_b4b(given, threshold, std, accepted):
    z, labels = given("--count=4000")
    near, same = given("--count=4000", f"--truncation={threshold}")
    assert np.abs(near).max() <= threshold and np.mean(np.abs(near) > 0.999 * threshold) < 0.01
    np.testing.assert_allclose(near.std(), std, rtol=0.005)
    np.testing.assert_allclose(np.mean(np.abs(z) <= threshold), accepted, atol=0.005)  # 4 standard errors
    np.testing.assert_array_equal(same, labels)


@pytest.mark.slow
def test_standing_statistics_are_of_the_inputs_that_are_drawn(found, tmp_path, capsys):
    """An untrained generator's averages are 0 and 1, which fit nothing it computes; perceptrons have none."""

    def drawn(*flags):
        assert sample.main([found["NORMALISED"], "--count=10", *flags, f"--out={tmp_path / 'shown.npz'}"]) == 0
        return np.load(tmp_path / "shown.npz")["images"]

    stood = drawn("--truncation=0.5", "--standing_statistics=2")
    assert np.abs(stood - drawn("--truncation=0.5")).max() > 0.1
    np.testing.assert_array_equal(stood, drawn("--truncation=0.5", "--standing_statistics=2"))
    for run_dir, says in ((found["LABELLED"], "has no BatchNorm"), (found["PLAIN"], "variants that learn from labels")):
        with pytest.raises(SystemExit) as end:
            sample.main([run_dir, "--standing_statistics=2", f"--out={tmp_path / 'shown.npz'}"])
        assert end.value.code == 2 and says in capsys.readouterr().err


def test_one_class(given):
    z, labels = given("--count=9")
    same, alone = given("--count=9", "--label=3")
    np.testing.assert_array_equal(labels, np.arange(9) % CLASSES)
    np.testing.assert_array_equal(alone, 3)
    np.testing.assert_array_equal(same, z)
    both, alone = given("--count=9", "--label=3", "--truncation=0.5")
    assert np.abs(both).max() <= 0.5 and set(alone) == {3}


def test_paths_keep_the_class_of_their_start_and_start_at_every_class(given):
    z, labels = given("--count=6", "--interpolate")
    z, labels = z.reshape(6, 10, SIZE), labels.reshape(6, 10)
    np.testing.assert_array_equal(labels, np.repeat(np.arange(6)[:, None] % CLASSES, 10, axis=1))
    middle = [latents.slerp(path[0], path[-1], jnp.float32(4 / 9)) for path in z]
    np.testing.assert_allclose(z[:, 4], middle, rtol=1e-3, atol=1e-5)
    ends = z[:, [0, -1]].reshape(12, SIZE)
    assert np.abs(np.corrcoef(ends) - np.eye(12)).max() < 0.7  # no two are the same
    fewer, _ = given("--count=2", "--interpolate=latents")
    np.testing.assert_array_equal(fewer, z[:2].reshape(20, SIZE))
    _, alone = given("--count=2", "--interpolate", "--label=1")
    assert set(alone) == {1}


def test_each_latent_as_every_class(given):
    z, labels = given("--count=3", "--interpolate=classes")
    np.testing.assert_array_equal(labels, np.tile(np.arange(CLASSES), 3))
    np.testing.assert_array_equal(z, np.repeat(given("--count=3")[0], CLASSES, axis=0))


CELL, EDGE = 64 + 8, 8  # of a digit in a picture


@pytest.mark.parametrize(
    "name, flags, rows, columns",
    [
        ("LABELLED", "--count=23", 3, 10),
        ("LABELLED", "--count=9 --label=3 --truncation=0.5", 3, 3),
        ("LABELLED", "--count=2 --interpolate=classes --step=1", 2, 10),
        ("PLAIN", "--count=2 --interpolate=latents --truncation=1", 2, 10),
        ("PLAIN", "--count=9 --truncation=1", 3, 3),
        ("SEEDS", "--count=3 --interpolate=classes", 3, 20),
        ("POINTS", "--count=9 --interpolate --truncation=2", None, None),
    ],
)
def test_pictures(found, tmp_path, name, flags, rows, columns):
    assert sample.main([found[name], *flags.split(), f"--out={tmp_path / 'deep' / 'a.png'}"]) == 0
    shape = pictures.load_png(tmp_path / "deep" / "a.png").shape
    if rows:
        between = EDGE * (columns // 10 if name == "SEEDS" else 1)
        assert shape == (rows * CELL + EDGE, columns * CELL + between, 3)
    else:
        assert shape == (480, 480, 3)


def test_arrays_of_several_seeds_are_those_that_load_gives(found, tmp_path):
    assert sample.main([found["SEEDS"], "--count=5", f"--out={tmp_path / 'a.npz'}", "--seed=3"]) == 0
    images = np.load(tmp_path / "a.npz")["images"]
    expected = jaxgan.load(found["SEEDS"])[0](jax.random.key(3), 5)
    assert images.shape == (5, 2, 8, 8, 1)
    np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-6)


SPREAD = 1.6  # of the generator that is swept, over the data's


@pytest.fixture
def wide(tmp_path, monkeypatch):
    """A run of Gaussian data without labels whose generator, Gaussian too, is right but for its spread."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", images=np.clip(rng.normal(127.5, 25, (4000, 2, 2, 1)), 0, 255).round().astype(np.uint8))
    infer = lambda z: jnp.clip(SPREAD * 25 / 127.5 * z.reshape(-1, 2, 2, 1), -1, 1)
    again = functools.partial(stand_in, monkeypatch, tmp_path, shape=[2, 2, 1], dataset=f"npz:{tmp_path / 'data.npz'}")
    again(infer, latents.normal(4))
    return tmp_path, infer, again


def test_a_sweep_of_a_wide_generator_raises_precision_and_lowers_recall(wide, capsys):
    """And what is measured without truncation is what the metrics give."""
    folder, infer, _ = wide
    assert sample.main([str(folder), "--sweep=1.5,0.4,0.8", "--count=300", f"--out={folder / 'made' / 'curve.png'}"]) == 0
    record = json.loads((folder / "made" / "curve.json").read_text())
    assert [point["truncation"] for point in record["curve"]] == [0.4, 0.8, 1.5, None]
    curve = [{score["metric"]: score["value"] for score in point["scores"]} for point in record["curve"]]
    precision, recall = ([point[name] for point in curve] for name in ("precision", "recall"))
    assert precision[-1] < precision[-2] - 0.1 < precision[0] - 0.1 and recall[0] < recall[1] - 0.1 < recall[2] - 0.2

    images = np.asarray(infer(latents.normal(4)(KEY, 300)))
    real = metrics.pixels(
        np.concatenate(list(features.stored_images(data.load(record["real"].split(",")[0]), "held_out", 300).blocks()))
    )
    expected = metrics.prdc(real, metrics.pixels(images))
    assert curve[-1] == pytest.approx({**expected, "frechet": metrics.frechet_distance(real, metrics.pixels(images))})
    assert record["generated"] == 300 and record["step"] == 7 and record["features"] == "8x8 area means"
    table = capsys.readouterr().out.splitlines()
    assert f"{precision[0]:.4g}" in next(line for line in table if line.startswith("0.4"))
    assert pictures.load_png(folder / "made" / "curve.png").std() > 0


@pytest.mark.slow
def test_truncation_raises_precision_and_lowers_recall_on_a_trained_model_a10_2(tmp_path):
    """Perceptrons have no BatchNorm, whose averages are of other latents. Measured: 0.86 to 0.97, and 0.70 to 0.19."""
    words = "--variant=cgan --network=mlp --steps=1000 --devices=1 --eval_every=0 --sample_every=0 --checkpoint_every=0".split()
    assert run.main([*words, f"--workdir={tmp_path / 'run'}"]) == 0
    assert sample.main([str(tmp_path / "run"), "--sweep=1", f"--out={tmp_path / 'curve.png'}"]) == 0
    points = json.loads((tmp_path / "curve.json").read_text())["curve"]
    near, whole = ({score["metric"]: score["value"] for score in point["scores"]} for point in points)
    assert near["precision"] > whole["precision"] + 0.04 and near["recall"] < whole["recall"] - 0.2


def test_a_sweep_of_several_seeds_has_means_and_spread(found, tmp_path, monkeypatch, capsys):
    """Here of labelled data, which are to be seen through their classifier."""
    asked = []

    def extractor(dataset, name, *rest):
        asked.append(name)
        return lambda images: {"features": metrics.pixels(images)}, "stand-in"

    monkeypatch.setattr(features, "extractor", extractor)
    assert sample.main([found["SEEDS"], "--sweep=1", "--count=200", f"--out={tmp_path / 'curve.png'}"]) == 0
    for point in json.loads((tmp_path / "curve.json").read_text())["curve"]:
        for score in point["scores"]:
            assert score["value"] == pytest.approx(np.mean(score["seeds"])) and len(score["seeds"]) == 2
    assert asked == ["classifier"] and " ± " in capsys.readouterr().out


def test_the_nearest_training_images_stand_beside_each_sample(wide):
    """A generator that shows training images is caught: its samples are their own nearest."""
    folder, _, again = wide
    training = features.stored_images(data.load(f"npz:{folder / 'data.npz'}"), "train").first
    again(lambda z: jnp.asarray(training)[jnp.arange(len(z)) + 10], latents.normal(4))
    assert sample.main([str(folder), "--nearest", "--count=5", f"--out={folder / 'near.png'}"]) == 0
    picture = pictures.load_png(folder / "near.png")
    assert picture.shape == (5 * 96 + 32, 4 * 96 + 32, 3)  # pixels of 32, which is the space between, too
    tile = lambda row, column: picture[32 + 96 * row : 96 + 96 * row, 32 + 96 * column : 96 + 96 * column].astype(float)
    for row in range(5):
        np.testing.assert_array_equal(tile(row, 0), pictures.grid(training[[row + 10]], pad=0))
        apart = [np.square(tile(row, column) - tile(row, 0)).sum() for column in (1, 2, 3)]
        assert apart[0] == 0 and apart == sorted(apart) and apart[2] > 0


@pytest.mark.parametrize(
    "words, says",
    [
        ("PLAIN --label=3", "--label=3 needs a generator that is told labels, and gan tells none"),
        ("PLAIN --interpolate=classes", "--interpolate=classes needs a generator that is told labels"),
        ("LABELLED --label=10", "--label=10 must lie between 0 and 9"),
        ("LABELLED --label=-1", "--label=-1 must lie between 0 and 9"),
        ("LABELLED --label=1 --interpolate=classes", "--interpolate is of all classes; leave --label out"),
        ("LABELLED --label=1 --sweep=1", "--sweep is of all classes; leave --label out"),
        ("LABELLED --interpolate=labels", "labels"),
        ("LABELLED --interpolate --nearest", "--interpolate and --nearest make a picture each"),
        ("LABELLED --nearest --sweep=1", "--nearest and --sweep make a picture each"),
        ("LABELLED --truncation=-1", "--truncation=-1.0 must be above 0, or 0 for none"),
        ("LABELLED --truncation=nan", "--truncation=nan must be above 0"),
        ("LABELLED --sweep=1 --truncation=1", "--sweep has thresholds of its own"),
        ("LABELLED --sweep=0.5,0", "--sweep=0.5,0 must be numbers above 0"),
        ("LABELLED --sweep=0.5,-1", "must be numbers above 0"),
        ("LABELLED --sweep=a", "--sweep=a must be numbers above 0 with commas between, as 0.5,1,2"),
        ("LABELLED --sweep=1,", "must be numbers above 0"),
        ("LABELLED --sweep=1 --out=a.npz", "--sweep makes a picture; --out=a.npz must end in .png"),
        ("LABELLED --nearest --out=a.npz", "--nearest makes a picture"),
        ("PLAIN --sweep=1 --count=899", "--count=899 must be at most 898"),
        ("UNIFORM --truncation=1", "truncation is made for normal latents"),
        ("UNIFORM --sweep=1", "truncation is made for normal latents"),
        ("DROPOUT --truncation=1", "truncation is made for normal latents"),
        ("POINTS --sweep=1", "was trained on points"),
        ("POINTS --nearest", "was trained on points"),
        ("POINTS --label=1", "gan tells none"),
    ],
)
def test_mistakes_are_one_line(found, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    name, *flags = words.split()
    with pytest.raises(SystemExit) as end:
        sample.main([found[name], *flags])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and says in error
    assert not list(tmp_path.glob("*.*"))
