"""Evaluation and comparison from the command line: scores with their protocols, and every mistake in one line."""

import json

import numpy as np
import pytest

from experiments import compare, evaluate, run
from jaxgan import classifier, data
from jaxgan.data.images import as_meant

TINY = "--variant=gan --dataset=digits --network=mlp --steps=2 --batch_size=8 --devices=1".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs that differ in their seed alone."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        assert run.main([*TINY, f"--seed={seed}", f"--workdir={root / str(seed)}"]) == 0
    return [str(root / "0"), str(root / "1")]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_scores_carry_their_protocol_and_seeds_their_spread(trained, capsys):
    assert evaluate.main([*trained, "--samples=40"]) == 0
    printed = capsys.readouterr()
    assert "mean ± sd" in printed.out and "held_out, 40" in printed.out
    assert printed.err.startswith("warning: 40 examples for 64 features") and "evaluate.py" not in printed.err
    records = [json.loads(open(f"{workdir}/evaluation.json").read()) for workdir in trained]
    assert records[0]["config_hash"] == records[1]["config_hash"] and records[0]["seed"] != records[1]["seed"]
    for record in records:
        assert {score["metric"] for score in record["scores"]} >= {"frechet", "kernel", "precision", "coverage"}
        assert {score["which"] for score in record["scores"]} == {"newest", "best"}
        assert all(score["protocol"] in record["protocols"] for score in record["scores"])
    assert records[0]["protocols"] == records[1]["protocols"]
    assert evaluate.main([trained[0], "--samples=41"]) == 0  # another count is another protocol
    again = json.loads(open(f"{trained[0]}/evaluation.json").read())
    assert not set(again["protocols"]) & set(records[0]["protocols"])


def test_the_real_side_is_seen_once(trained, monkeypatch):
    assert evaluate.main([trained[0], "--samples=30", "--step=newest"]) == 0
    monkeypatch.setattr(evaluate, "cached", lambda make, parts, cached=evaluate.cached: cached(pytest.fail, parts))
    assert evaluate.main([trained[0], "--samples=30", "--step=newest"]) == 0


def test_a_classifier_of_the_data_gives_features_and_probabilities(trained, capsys, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 60)
    words = ["--features=classifier", "--metrics=frechet,inception_score", "--samples=50", "--step=newest"]
    assert evaluate.main([trained[0], *words]) == 0
    assert "classifier: " in capsys.readouterr().out
    scores = {score["metric"]: score["value"] for score in json.loads(open(f"{trained[0]}/evaluation.json").read())["scores"]}
    assert 1 <= scores["inception_score"] <= 10 and scores["frechet"] > 0


def test_other_images_under_the_same_name_are_seen_anew_and_a_damaged_file_too(tmp_path):
    made = {"features": np.ones((2, 2))}
    for parts in (["a", [2, 2], "pixels"], ["b", [2, 2], "pixels"]):
        evaluate.cached(lambda: made, parts)
    kept = sorted((tmp_path / "jaxgan" / "features").iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(b"damaged")
    for parts in (["a", [2, 2], "pixels"], ["b", [2, 2], "pixels"]):
        np.testing.assert_array_equal(evaluate.cached(lambda: made, parts)["features"], made["features"])


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


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        (evaluate, [], "name the run's directory first"),
        (evaluate, ["RUN", "--metrics=fid"], "unknown metric 'fid'"),
        (evaluate, ["RUN", "--metrics=inception_score"], "take --features=inception or classifier"),
        (evaluate, ["RUN", "--samples=-1"], "--samples=-1 must be at least 1"),
        (evaluate, ["RUN", "--samples=5000"], "digits has 898 held_out images, not 5000"),
        (evaluate, ["RUN", "--features=inception", "--inception_weights=nowhere.npz"], "nowhere.npz"),
        (evaluate, ["nowhere"], "holds no readable config.json"),
        (compare, ["RUN"], "two runs or more"),
        (compare, ["RUN", "nowhere"], "no run directory at nowhere"),
        (compare, ["RUN", "RUN", "--ot=x"], "unknown flag --ot; did you mean --out?"),
    ],
)
def test_mistakes_are_one_line(trained, capsys, program, words, says):
    with pytest.raises(SystemExit) as end:
        program.main([trained[0] if word == "RUN" else word for word in words])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and says in error and error.count("\n") == 1
