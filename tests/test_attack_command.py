"""Attacking trained runs from the command line: tables, files, pictures, and every mistake in one line."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import attack, run
from jaxgan import attacks, data

TINY = "--dataset=digits --batch_size=32 --devices=1 --eval_every=0 --sample_every=0 --checkpoint_every=0".split()
SPEEDY = ["--samples=24", "--steps=3", "--restarts=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two classifiers that have learned a little, and a GAN."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        flags = ["--variant=classifier", "--width=4", "--steps=60", "--eval_samples=16", f"--seed={seed}"]
        assert run.main([*TINY, *flags, f"--workdir={root / str(seed)}"]) == 0
    assert run.main([*TINY, "--variant=gan", "--network=mlp", "--steps=1", f"--workdir={root / 'gan'}"]) == 0
    return root


@pytest.fixture(autouse=True)
def few_checks(monkeypatch):
    """The checks for masked gradients have tests of their own; here they are to be made, and told."""
    masking = attacks.masking
    monkeypatch.setattr(attack, "CHECKED", 8)
    monkeypatch.setattr(attacks, "masking", lambda *given: masking(*given, steps=(1, 2), queries=2))


def record(out):
    return json.loads((out / "attack.json").read_text())


@pytest.mark.slow
def test_two_runs_side_by_side(trained, tmp_path, capsys):
    """A11.2, A11.3, A11.8: accuracy falls with eps, a model's own examples fool it most, signs of masking are told."""
    assert attack.main([str(trained / "0"), str(trained / "1"), "--attack=pgd", f"--out={tmp_path}", *SPEEDY]) == 0
    said, found = capsys.readouterr().out, record(tmp_path)
    assert "masked gradients, classifier seed 1" in said and "random sign" in said
    assert [model["model"] for model in found["models"]] == ["classifier seed 0", "classifier seed 1"]
    for i, model in enumerate(found["models"]):
        sizes, accuracy = zip(*model["curve"])
        np.testing.assert_allclose(sizes, [0.025, 0.05, 0.075, 0.1, 0.15, 0.2])
        assert model["clean"] >= accuracy[0] and accuracy[0] > accuracy[-1] and list(accuracy) == sorted(accuracy, reverse=True)
        assert model["robust"] == dict(model["curve"])[0.1]
        assert set(model["masking"]["passed"]) == {"more_steps", "larger_eps", "unbounded", "gradient_free", "multi_step"}
        assert found["transfer"][i][i] >= max(found["transfer"][1 - i][i], found["random_sign"][i])
    for name in ("curve", "examples", "boundary"):
        assert np.asarray(Image.open(tmp_path / f"{name}.png")).std() > 0


@pytest.mark.parametrize("name", ["fgsm", pytest.param("suite", marks=pytest.mark.slow), "rotation", "occlusion"])
def test_attacks_of_every_kind(trained, tmp_path, capsys, monkeypatch, name):
    """They are by gradient, all together, and by grids that see no gradient; every one does harm."""
    masked = attacks.Masking({"more_steps": True, "gradient_free": False}, {"square": 0.9})
    monkeypatch.setattr(attacks, "masking", lambda *given: masked)
    assert attack.main([str(trained / "0"), f"--attack={name}", f"--out={tmp_path}", "--norm=l2", "--eps=1.5", *SPEEDY]) == 0
    assert "masked gradients, classifier seed 0: FAILED gradient_free (square 0.90)" in capsys.readouterr().out
    (model,) = record(tmp_path)["models"]
    assert model["robust"] < model["clean"]
    assert (len(model["fooled_by"]) > 1) == (name == "suite")
    assert model["robust"] <= 1 - max(model["fooled_by"].values()) + 1e-9


def test_names_stand_whole_above_their_columns():
    names = ["adv_training madry seed 0", "classifier seed 0"]
    masking = {"passed": {}, "success": {}}
    models = [{"model": name, "clean": 1.0, "curve": [[0.1, 0.5]], "fooled_by": {}, "masking": masking} for name in names]
    request = {"attack": "pgd", "norm": "linf"}
    lines = attack.table({"models": models, "request": request, "data": "", "size": 0.1, "transfer": [[0.5, 0.1], [0.2, 0.5]]})
    (header,) = [line for line in lines if line.split() == " ".join(names).split()]
    at = lines.index(header)
    assert len({len(line) for line in lines[at : at + 3]}) == 1


def test_every_attack_can_be_made():
    for name in attack.ATTACKS:
        assert attack.members(attack.Request(attack=name), 0.1 if name not in attack.SPATIAL else 0.5, (8, 8, 1), 10)


def test_blocks_cover_all_images_once_and_do_not_change_them(trained, monkeypatch):
    (model,) = attack.load(trained / "0", attack.Request())
    x = data.held_out(data.load("digits"), 10)["real"]
    labels = attack.predicted(model.classify, x)  # so that all are attacked
    request = attack.Request(attack="pgd", steps=2, restarts=1)
    fool = lambda: attack.attacked(request, model, x, labels, 0.1, 10, jax.random.key(0))[0]
    whole = fool()
    monkeypatch.setattr(attack, "BLOCK", 4)
    np.testing.assert_allclose(fool(), whole, atol=1e-5)
    assert 0 < np.abs(whole - x).max() <= 0.2 * (1 + 1e-6)


def test_random_signs_are_as_far_as_the_attack_goes():
    x = jnp.zeros((3, 4, 4, 1))
    moved = attack.signs(attack.Request(eps=0.1), jax.random.key(0), x)
    np.testing.assert_allclose(np.abs(moved), 0.2, rtol=1e-6)
    assert len(np.unique(np.sign(moved))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the run's directory first"),
        (["0", "--attack=pdg"], "unknown attack 'pdg'; did you mean pgd?"),
        (["0", "--eps=8"], "--eps=8 must be in (0, 1]: it is for images in [0, 1], 8/255 being 0.0314"),
        (["0", "--eps=-1", "--norm=l2"], "--eps=-1 must be above 0"),
        (["0", "--steps=-1"], "--steps=-1 must be at least 0"),
        (["0", "--restarts=0"], "--restarts=0 must be at least 1"),
        (["0", "--samples=5000"], "digits has 898 held-out examples, not 5000"),
        (["gan"], "holds no classifier; train one: experiments/run.py --variant=classifier"),
        (["nowhere"], "holds no readable config.json"),
        (["0", "--norm=l3"], "norm"),
        (["0", "--stepz=3"], "unknown flag --stepz; did you mean"),
    ],
)
def test_mistakes(trained, capsys, words, message):
    runs = [str(trained / word) for word in words if not word.startswith("-")]
    with pytest.raises(SystemExit) as end:
        attack.main([*runs, *[word for word in words if word.startswith("-")]])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert message in said
