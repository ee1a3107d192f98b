"""Evaluation and comparison from the command line: scores with their protocols, and every mistake in one line."""

import json
import pathlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgan
from experiments import compare, evaluate, features, run
from jaxgan import classifier, data, metrics, runs, train
from jaxgan.data.images import as_meant
from jaxgan.metrics import quality
from jaxgan.types import Experiment, Game, GameState, Phase, UserError

TINY = "--variant=gan --dataset=digits --network=mlp --steps=2 --batch_size=8 --devices=1".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs that differ in their seed alone."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        assert run.main([*TINY, f"--seed={seed}", f"--workdir={root / str(seed)}"]) == 0
    return [str(root / "0"), str(root / "1")]


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory):
    """One run of two seeds."""
    workdir = tmp_path_factory.mktemp("seeds") / "run"
    assert run.main([*TINY[:-1], "--seeds=2", f"--workdir={workdir}"]) == 0
    return str(workdir)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def kept_alone(monkeypatch):
    """Makes it a failure to make what should have been kept."""
    return lambda: monkeypatch.setattr(
        features, "cached", lambda folder, make, parts, cached=features.cached: cached(folder, pytest.fail, parts)
    )


def record(workdir):
    return json.loads((pathlib.Path(workdir) / "evaluation.json").read_text())


def values(workdir, which="newest"):
    return {score["metric"]: score["value"] for score in record(workdir)["scores"] if score["which"] == which}


@pytest.mark.slow
def test_scores_carry_their_protocol_and_seeds_their_spread(trained, capsys):
    assert evaluate.main([*trained, "--samples=40"]) == 0
    printed = capsys.readouterr()
    assert "mean ± sd" in printed.out and "held_out, 40" in printed.out
    assert printed.err.startswith("warning: 40 examples for 64 features") and "evaluate.py" not in printed.err
    records = [record(workdir) for workdir in trained]
    assert records[0]["config_hash"] == records[1]["config_hash"] and records[0]["seed"] != records[1]["seed"]
    for own in records:
        assert {score["metric"] for score in own["scores"]} >= {"frechet", "kernel", "precision", "coverage"}
        assert {score["which"] for score in own["scores"]} == {"newest", "best"}
        assert all(score["protocol"] in own["protocols"] for score in own["scores"])
    assert records[0]["protocols"] == records[1]["protocols"]
    assert evaluate.main([trained[0], "--samples=41"]) == 0  # another count is another protocol
    both = record(trained[0])
    assert set(both["protocols"]) > set(records[0]["protocols"]) and len(both["scores"]) == 2 * len(records[0]["scores"])
    assert both["scores"][: len(records[0]["scores"])] == records[0]["scores"]  # earlier ones stay
    assert evaluate.main([trained[0], "--samples=41", "--seed=1"]) == 0  # the same protocol again
    again = record(trained[0])
    assert len(again["scores"]) == len(both["scores"]) and {s["latents_seed"] for s in again["scores"]} == {0, 1}


def test_a_table_says_which_steps_and_takes_no_run_for_two():
    score = {"metric": "frechet", "value": 1.0, "protocol": "a", "which": "best"}
    record = {"variant": "gan", "config_hash": "x", "protocols": {}}
    runs = [record | {"seed": i, "scores": [score | {"step": step}]} for i, step in enumerate((3000, 750))]
    heading, row = evaluate.table(runs)
    assert "best, 750 to 3,000" in row and "mean ± sd" in heading
    assert "mean ± sd" not in evaluate.table([runs[0], runs[0]])[0]


def test_the_code_has_a_name_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert evaluate.commit().startswith("jaxgan ")


def test_scores_of_checkpoints_that_are_gone_are_dropped(tmp_path):
    score = {"metric": "frechet", "value": 1.0, "protocol": "a"}
    newest, best = score | {"which": "newest", "step": 5}, score | {"which": "best", "step": 4}
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({"scores": [newest, best], "protocols": {"a": {}, "b": {}}}))
    later = score | {"which": "newest", "step": 6, "protocol": "c"}
    merged = evaluate.beside_earlier(file, {"scores": [later], "protocols": {"c": {}}})
    assert merged["scores"] == [best, later] and set(merged["protocols"]) == {"a", "c"}


def test_the_real_side_is_seen_once(trained, kept_alone):
    assert evaluate.main([trained[0], "--samples=30", "--step=newest"]) == 0
    kept_alone()
    assert evaluate.main([trained[0], "--samples=30", "--step=newest"]) == 0


@pytest.mark.slow
def test_a_classifier_of_the_data_is_trained_once(trained, capsys, monkeypatch, tmp_path, kept_alone):
    monkeypatch.setattr(classifier, "STEPS", 5)
    words = [trained[0], "--features=classifier", "--metrics=frechet,inception_score", "--samples=50", "--step=newest"]
    assert evaluate.main(words) == 0
    first, told = record(trained[0]), [line for line in capsys.readouterr().out.splitlines() if line.startswith("classifier: ")]
    assert told[0] == "classifier: training on 899 images of 8x8, 5 steps"
    assert len(told) == 2 and "of 898 held-out images right" in told[-1]
    found = values(trained[0])
    assert 1 <= found["inception_score"] <= 10 and found["frechet"] > 0

    (kept,) = (tmp_path / "jaxgan" / "classifiers").iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    assert evaluate.main(words) == 0 and told[-1] in capsys.readouterr().out.splitlines()
    assert record(trained[0])["scores"] == first["scores"]

    kept_alone()
    assert evaluate.main(words) == 0 and told[-1] in capsys.readouterr().out.splitlines()
    assert record(trained[0])["scores"] == first["scores"]


@pytest.mark.slow
def test_whatever_decides_a_classifier_decides_where_it_is_kept(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 1)
    images, labels = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 1)).astype(np.float32), np.arange(8) % 2
    asked, made = [], {}

    def keep(make, parts):
        asked.append(json.dumps(parts))
        made.update(made or make())
        return made

    def train(images=images, labels=labels, **other):
        return classifier.train(images, labels, images, labels, say=lambda line: None, keep=keep, **other)

    assert train().digest == train().digest and asked[0] == asked[1]
    train(labels=1 - labels)
    train(images=-images)
    train(seed=1)
    monkeypatch.setattr(classifier, "SHIFT", 4)
    train()
    assert len(set(asked)) == 5


def test_other_images_under_the_same_name_are_seen_anew_and_a_damaged_file_too(tmp_path):
    made = {"features": np.ones((2, 2))}
    for parts in (["a", [2, 2], "pixels"], ["b", [2, 2], "pixels"]):
        features.cached("features", lambda: made, parts)
    kept = sorted((tmp_path / "jaxgan" / "features").iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(b"damaged")
    for parts in (["a", [2, 2], "pixels"], ["b", [2, 2], "pixels"]):
        np.testing.assert_array_equal(features.cached("features", lambda: made, parts)["features"], made["features"])


def test_every_family_without_labels(trained, capsys):
    """Each is what its function gives of the same samples and images."""
    (pathlib.Path(trained[0]) / "evaluation.json").unlink(missing_ok=True)  # scores of other tests
    asked = "frechet,kernel,prdc,sliced_wasserstein,diversity,ms_ssim,frechet_infinity,memorisation,perceptual_path_length"
    assert evaluate.main([trained[0], f"--metrics={asked}", "--bootstrap=4", "--samples=300", "--step=newest"]) == 0
    dataset = data.load("digits")
    draw, _ = jaxgan.load(trained[0])
    images = draw(jax.random.key(0), 300)
    real, fake = metrics.pixels(data.held_out(dataset, 300)["real"]), metrics.pixels(images)
    order = np.random.default_rng(0).permutation(899)
    training = metrics.pixels(as_meant(dataset.train.images[order], dataset.train.middle))
    nearest = metrics.nearest_neighbours(fake, training)
    found = values(trained[0])
    expected = {
        "frechet": metrics.frechet_distance(real, fake),
        "kernel": metrics.kernel_distance(real, fake),
        **metrics.prdc(real, fake),
        "sliced_wasserstein": metrics.sliced_wasserstein(real, fake),
        "diversity": metrics.diversity(fake),
        "diversity_real": metrics.diversity(real),
        "ms_ssim": metrics.pairwise_ms_ssim(images, weights=metrics.similarity.WEIGHTS[:4]).mean,
        "frechet_infinity": metrics.frechet_infinity(real, fake, 128),
        "nearest_training": nearest.distance.mean(),
        "nearest_training_held_out": metrics.nearest_neighbours(real, training).distance.mean(),
    }
    assert expected.items() <= {name: pytest.approx(value, rel=1e-9) for name, value in found.items()}.items()
    assert set(found) - set(expected) == {"ms_ssim_real", "perceptual_path_length"} and found["perceptual_path_length"] > 0

    for score in record(trained[0])["scores"]:
        assert ("intervals" in score) == (score["metric"] in ("frechet", "kernel", "sliced_wasserstein"))
        if "intervals" in score:
            ((low, high),) = score["intervals"]
            assert low < score["value"] < high
    protocols = {protocol["metric"]: protocol for protocol in record(trained[0])["protocols"].values()}
    assert "train, 899, content" in protocols["memorisation"]["training"] and "training" not in protocols["kernel"]
    assert protocols["perceptual_path_length"]["paths"] == "1024, slerp"
    picture = pathlib.Path(trained[0]) / "nearest-step_2.png"
    assert str(picture) in capsys.readouterr().out
    closest = nearest.distance[:, 0].argmin()
    first = jaxgan.pictures.load_png(picture)[8 : 8 + 64, 8 : 8 + 64]
    np.testing.assert_array_equal(first, jaxgan.pictures.grid(images[closest : closest + 1], pad=0))


def labelled(inputs, infer):
    """What `runs.restore_each` gives of a run whose generator is `infer(state, inputs)`."""
    play = Game(lambda key: None, lambda *given: None, infer)
    experiment = Experiment((Phase(2, play, lambda step: {}),), inputs, lambda samples: None)
    return lambda run_dir, step: (2, experiment, [GameState(jnp.zeros((), jnp.int32), {})])


def test_a_generator_that_is_told_labels(trained, monkeypatch):
    """One that shows held-out images of the label it is told is right; one that ignores the label is not."""
    held = data.held_out(data.load("digits"))
    of_class = jnp.stack([held["real"][held["label"] == label][:60] for label in range(10)])
    scores = []
    for told in (lambda labels: labels, lambda labels: labels * 0 + jnp.arange(256) % 10):
        inputs = lambda key, count: (jax.random.randint(key, (count,), 0, 60)[:, None] * 1.0, jnp.arange(count) // 7 % 10)
        infer = lambda state, given, told=told: of_class[told(given[1]), given[0][:, 0].astype(int)]
        monkeypatch.setattr(runs, "restore_each", labelled(inputs, infer))
        words = ["--metrics=classifier_accuracy,intra_class", "--step=newest"]
        assert evaluate.main([trained[0], *words]) == 0
        scores.append(values(trained[0]))
    good, blind = scores
    assert good["classifier_accuracy"] > 0.9 and good["classifier_accuracy_real"] > 0.9
    assert blind["classifier_accuracy"] < 0.3 and blind["classifier_accuracy_real"] == good["classifier_accuracy_real"]
    assert good["intra_class_frechet"] < good["intra_class_frechet_worst"] < blind["intra_class_frechet"]


def test_a_run_that_does_not_draw_images_is_refused(trained, monkeypatch, capsys):
    """A classifier's logits, and a translator's input | output | target."""
    for made in (jnp.zeros((256, 10)), jnp.zeros((256, 8, 8, 3))):
        monkeypatch.setattr(
            runs, "restore_each", labelled(lambda key, count: jnp.zeros(count), lambda state, given, made=made: made)
        )
        with pytest.raises(SystemExit) as end:
            evaluate.main([trained[0]])
        assert end.value.code == 2 and "does not draw images like its data" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["lerp", "slerp"])
def test_path_lengths_are_those_between_the_latents(trained, monkeypatch, path):
    """A linear generator's is the mean squared length of the latents' own paths."""
    stretch = 0.05
    infer = lambda state, given: stretch * jnp.reshape(given[0], (-1, 8, 8, 1)) + 0.0 * given[1][:, None, None, None]
    inputs = lambda key, count: (jax.random.normal(key, (count, 64)), jnp.arange(count) % 10)
    monkeypatch.setattr(runs, "restore_each", labelled(inputs, infer))
    words = ["--metrics=perceptual_path_length", f"--path={path}", "--step=newest", "--samples=20"]
    assert evaluate.main([trained[0], *words]) == 0
    start, end = np.split(np.asarray(inputs(jax.random.key(0), 2_048)[0], np.float64), 2)
    along = getattr(jaxgan.latents, path)
    expected = metrics.perceptual_path_length(lambda z: stretch * np.asarray(z, np.float64), start, end, along)
    assert values(trained[0])["perceptual_path_length"] == pytest.approx(expected, rel=1e-3)
    assert record(trained[0])["protocols"].popitem()[1]["paths"] == f"1024, {path}"


@pytest.mark.slow
def test_seeds_side_by_side_are_measured_one_by_one(side_by_side, capsys):
    assert evaluate.main([side_by_side, "--metrics=frechet", "--samples=200", "--step=newest"]) == 0
    (score,) = record(side_by_side)["scores"]
    draw, _ = jaxgan.load(side_by_side)
    images, real = draw(jax.random.key(0), 200), metrics.pixels(data.held_out(data.load("digits"), 200)["real"])
    own = [metrics.frechet_distance(real, metrics.pixels(images[:, i])) for i in range(2)]
    assert score["seeds"] == pytest.approx(own, rel=1e-5) and own[0] != pytest.approx(own[1], rel=1e-3)
    assert score["value"] == pytest.approx(np.mean(own), rel=1e-5)
    assert score["sd"] == pytest.approx(np.std(own, ddof=1), rel=1e-3)
    printed = capsys.readouterr().out
    assert "gan seed 0, 0" in printed and "gan seed 0, 1" in printed and "mean ± sd" in printed


def test_scores_do_not_depend_on_blocks_and_devices(trained, monkeypatch, tmp_path):
    words = [trained[0], "--metrics=frechet,kernel,prdc", "--samples=200", "--step=newest"]
    found = []
    for block, batch, devices in ((256, 256, 1), (256, 256, 4), (37, 64, 1)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"{block}-{devices}"))
        monkeypatch.setattr(features, "BLOCK", block)
        monkeypatch.setattr(train, "INFER_BATCH", batch)
        assert evaluate.main([*words, f"--devices={devices}"]) == 0
        found.append(record(trained[0])["scores"])
    for other in found[1:]:
        assert [score["value"] for score in other] == pytest.approx([score["value"] for score in found[0]], rel=1e-5)
        assert [score["protocol"] for score in other] == [score["protocol"] for score in found[0]]


def test_a_frechet_distance_alone_keeps_no_rows(trained, tmp_path, monkeypatch):
    """Nor more than a block of images, and is the same number."""
    alive, most = [], []
    look = quality.look

    def counted(name, blocks, extract, by_row):
        def seen(images):
            most.append(len(images))
            return extract(images)

        found = look(name, blocks, seen, by_row)
        alive.append(sorted(found))
        return found

    monkeypatch.setattr(quality, "look", counted)
    assert evaluate.main([trained[0], "--metrics=frechet", "--step=newest"]) == 0
    alone = values(trained[0])["frechet"]
    assert alive == [["count", "mean", "scatter"]] * 2 and max(most) == 256
    assert evaluate.main([trained[0], "--metrics=frechet,kernel", "--step=newest"]) == 0
    assert alive[2:] == [["count", "features", "mean", "scatter"]] * 2 and values(trained[0])["frechet"] == alone


def test_progress_is_told(capsys, monkeypatch):
    images = quality.Images("step 7", 5, lambda: iter(np.zeros((5, 1, 8, 8, 1))))
    assert len(list(features.watched(images))) == 5
    assert capsys.readouterr().out == "step 7: 5 of 5 images\n"
    monkeypatch.setattr(features, "PAUSE", -1)
    list(features.watched(images))
    assert capsys.readouterr().out.splitlines() == [f"step 7: {i} of 5 images" for i in range(1, 6)]


@pytest.mark.slow
def test_the_classifier_of_digits_is_deterministic_and_right():
    dataset = data.load("digits")
    held = data.held_out(dataset)
    images = as_meant(dataset.train.images, dataset.train.middle)
    found = [classifier.train(images, dataset.train.labels, held["real"], held["label"]) for _ in range(2)]
    assert found[0].digest == found[1].digest and found[0].accuracy >= 0.97
    features, chances = found[0](held["real"][:130])
    alone, _ = found[0](held["real"][128:130])
    np.testing.assert_array_equal(features[128:130], alone)
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_a_comparison_has_scores_samples_and_curves_of_all_runs(trained, tmp_path, capsys):
    evaluate.main([*trained, "--samples=40"])
    assert compare.main([*trained, f"--out={tmp_path / 'both.html'}"]) == 0
    page = (tmp_path / "both.html").read_text()
    assert page.count("data:image/png") == 2 and "<svg" in page and "frechet, newest" in page
    assert "frechet" in capsys.readouterr().out


def test_a_comparison_warns_of_scores_by_other_counts(trained, tmp_path, capsys):
    workdir = tmp_path / "other"
    assert run.main([*TINY, "--eval_samples=100", f"--workdir={workdir}"]) == 0
    capsys.readouterr()
    assert compare.main([*trained, f"--out={tmp_path / 'page.html'}"]) == 0 and not capsys.readouterr().err
    assert compare.main([trained[0], str(workdir), f"--out={tmp_path / 'page.html'}"]) == 0
    assert capsys.readouterr().err.startswith("warning: these runs were measured by other images or counts of them")


def test_the_loop_measures_what_it_is_told(tmp_path):
    asked = "--metrics=kernel,ms_ssim,diversity,sliced_wasserstein,frechet,prdc"
    assert run.main([*TINY, asked, "--eval_samples=50", f"--workdir={tmp_path}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    names = [name.removeprefix("eval/") for name in lines[-1] if name.startswith("eval/")]
    expected = "kid ms_ssim ms_ssim_real diversity diversity_real sliced_wasserstein fid64 precision recall density coverage"
    assert names == expected.split()
    draw, _ = jaxgan.load(tmp_path)
    real = data.held_out(data.load("digits"), 50)["real"]
    judge_key = jax.random.split(jax.random.key(0), 4)[3]
    fake = draw(judge_key, 50)
    assert lines[-1]["eval/kid"] == pytest.approx(metrics.kernel_distance(metrics.pixels(real), metrics.pixels(fake)))
    assert lines[-1]["eval/ms_ssim_real"] > lines[0]["eval/ms_ssim_real"] - 1e-12  # of the same images


@pytest.mark.parametrize(
    ("families", "says"),
    [
        (["prdc", "frechet"], "begin with one of frechet, kernel, sliced_wasserstein"),
        ([], "begin with one of"),
        (["frechet", "kernal"], "no score of images during training is called 'kernal': did you mean kernel"),
        (["frechet", "memorisation"], "choose from frechet, kernel, sliced_wasserstein, prdc, diversity, ms_ssim"),
    ],
)
def test_the_loop_refuses_scores_it_has_not(families, says):
    with pytest.raises(UserError, match=says):
        metrics.image_quality(np.zeros((20, 8, 8, 1), np.float32), families=families)


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        (evaluate, [], "name the run's directory first"),
        (evaluate, ["RUN", "--metrics=fid"], "unknown metric 'fid'"),
        (evaluate, ["RUN", "--metrics=,"], "unknown metric ''"),
        (evaluate, ["RUN", "--metrics=inception_score"], "take --features=inception or classifier"),
        (evaluate, ["RUN", "--metrics=perceptual_path_length", "--features=inception"], "take --features=classifier or pixels"),
        (evaluate, ["RUN", "--metrics=memorisation", "--split=train"], "take --split=held_out"),
        (evaluate, ["RUN", "--metrics=classifier_accuracy"], "needs a generator that is told labels, and gan tells none"),
        (evaluate, ["RUN", "--metrics=intra_class"], "needs a generator that is told labels"),
        (evaluate, ["RUN", "--metrics=frechet_infinity", "--samples=100"], "needs more than 128 samples for 64 features"),
        (evaluate, ["RUN", "--samples=-1"], "--samples=-1 must be at least 2"),
        (evaluate, ["RUN", "--samples=1"], "--samples=1 must be at least 2"),
        (evaluate, ["RUN", "--samples=5", "--metrics=prdc"], "needs at least 6 real examples, there are 5"),
        (evaluate, ["RUN", "--samples=5000"], "digits has 898 held_out images, not 5000"),
        (evaluate, ["RUN", "--bootstrap=1"], "--bootstrap=1 must be at least 2"),
        (evaluate, ["RUN", "--bootstrap=9", "--metrics=prdc"], "intervals for frechet, kernel, inception_score, sliced_wass"),
        (evaluate, ["RUN", "--devices=3"], "3 devices cannot share blocks of 256 samples"),
        (evaluate, ["RUN", "--devices=-1"], "--devices=-1 must be at least 1"),
        (evaluate, ["RUN", "--devices=99"], "--devices=99, but JAX sees"),
        (evaluate, ["RUN", "--features=inception", "--inception_weights=nowhere.npz"], "nowhere.npz"),
        (evaluate, ["nowhere"], "holds no readable config.json"),
        (compare, ["RUN"], "two runs or more"),
        (compare, ["RUN", "nowhere"], "no run directory at nowhere"),
        (compare, ["RUN", "RUN", "--ot=x"], "unknown flag --ot; did you mean --out?"),
        (run, [*TINY, "--metrics=prdc"], "the first score of images decides the best checkpoint"),
        (run, [*TINY, "--metrics=kernel", "--stop_on_collapse"], "--stop_on_collapse watches the coverage of prdc"),
        (run, [*TINY, "--eval_samples=0"], "--eval_samples=0 must be at least 1"),
        (run, [*TINY, "--eval_samples=5"], "needs more than 5 held-out images and samples"),
        (run, ["--variant=gan", "--dataset=ring", "--metrics=kernel"], "are for images; of ring"),
    ],
)
def test_mistakes_are_one_line(trained, tmp_path, capsys, program, words, says):
    own = [f"--workdir={tmp_path / 'run'}"] if program is run else []
    with pytest.raises(SystemExit) as end:
        program.main([trained[0] if word == "RUN" else word for word in words] + own)
    error = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert end.value.code == 2 and len(error) == 1 and error[0].startswith("error: ") and says in error[0]


@pytest.fixture
def own_data(tmp_path):
    """A run on an archive, and what saves other images there."""

    def save(images):
        np.savez(tmp_path / "data.npz", images=images)

    rng = np.random.default_rng(0)
    save(rng.integers(0, 256, (200, 8, 8, 1), np.uint8))
    words = ["--variant=gan", f"--dataset=npz:{tmp_path / 'data.npz'}", "--network=mlp", "--steps=1", "--batch_size=8"]
    assert run.main([*words, "--devices=1", f"--workdir={tmp_path / 'run'}"]) == 0
    return str(tmp_path / "run"), save


@pytest.mark.parametrize(
    ("images", "words", "says"),
    [
        (np.zeros((200, 9, 9, 1), np.uint8), [], "was trained on images of 8x8x1, and npz:"),
        (np.full((200, 8, 8, 1), 77, np.uint8), ["--metrics=frechet"], "all 20 images of held_out have the same features"),
        (None, ["--metrics=intra_class"], "intra_class needs labels, and npz:"),
        (None, ["--features=classifier"], "has no labels to train a classifier with"),
    ],
)
def test_data_that_cannot_be_compared_are_one_line(own_data, capsys, images, words, says):
    workdir, save = own_data
    if images is not None:
        save(images)
    with pytest.raises(SystemExit):
        evaluate.main([workdir, *words])
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "40 of 40 images of step 2 have NaN or infinite pixels"),
        (3.0, "images of step 2 must lie in [-1, 1], not go from 3"),
    ],
)
def test_samples_that_are_no_images_are_one_line(trained, monkeypatch, capsys, value, says):
    infer = lambda state, z: jnp.full((len(z), 8, 8, 1), value)
    monkeypatch.setattr(runs, "restore_each", labelled(lambda key, count: jnp.zeros((count, 2)), infer))
    with pytest.raises(SystemExit):
        evaluate.main([trained[0], "--samples=40", "--step=newest"])
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((9, 8, 8), np.float32), "float images"),
        (np.zeros((9, 8, 8, 1), np.uint8), r"not uint8 \(9, 8, 8, 1\)"),
        (np.full((9, 8, 8, 1), 255.0), r"in \[-1, 1\].* go from 255 to 255"),
        (np.full((9, 8, 8, 1), np.nan), "9 of 9 .* have NaN|from nan to nan"),
    ],
)
def test_metrics_and_classifiers_take_images_alone(images, says):
    with pytest.raises(UserError, match=says):
        metrics.image_quality(images)
    with pytest.raises(UserError, match=says):
        classifier.train(images, np.arange(9) % 2, images, np.arange(9) % 2)
    fixed = classifier.Trained({}, 2, 0.0)
    with pytest.raises(UserError, match=says):
        fixed(images)


def test_a_bfloat16_generator_has_no_path_length(trained, capsys, tmp_path, recwarn):
    workdir = tmp_path / "run"
    assert run.main([*TINY, "--precision=bfloat16", f"--workdir={workdir}"]) == 0
    warnings.warn("Error writing persistent compilation cache entry for 'jit_play': MemoryError: std::bad_alloc", stacklevel=1)
    assert not [str(one.message) for one in recwarn if "compilation cache" in str(one.message)]  # as larger ones with oneDNN say
    with pytest.raises(SystemExit):
        evaluate.main([str(workdir), "--metrics=perceptual_path_length"])
    assert "perceptual_path_length needs more digits than bfloat16 has" in capsys.readouterr().err
