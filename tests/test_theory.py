"""The command that draws what the notes claim, and the claims whose figures take seconds (requirements A1.3, A2, A3.2)."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import theory
from experiments.figures import conjugates, density, f_distance, memorising, optimal_critic, orbits, saturation, tabular

ROOT = pathlib.Path(__file__).parents[1]


def complain(capsys, flags, words):
    """Checks for one line, exit code 2 and the words."""
    with pytest.raises(SystemExit) as end:
        theory.main(flags)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert re.search(words, said), said


# The command line


def test_a_figure_is_drawn_and_its_numbers_are_kept_a1_3(tmp_path, capsys):
    assert theory.main(["--figure=losses", f"--out={tmp_path / 'new' / 'folder'}"]) == 0
    assert "losses.png" in capsys.readouterr().out
    kept = json.loads((tmp_path / "new" / "folder" / "losses.json").read_text())
    assert kept.pop("figure") == theory.title("losses")
    np.testing.assert_allclose(list(kept.values()), [-0.0066928509, -0.9933071491], rtol=1e-5)
    with Image.open(tmp_path / "new" / "folder" / "losses.png") as picture:
        assert min(picture.size) > 200 and np.ptp(picture) > 100


def test_mistakes_in_the_command(tmp_path, capsys):
    complain(capsys, ["--figure=orbit", f"--out={tmp_path}"], "unknown figure 'orbit'; did you mean orbits")
    complain(capsys, ["--figures=orbits"], "unknown flag --figures; did you mean --figure")
    (tmp_path / "file").touch()
    complain(
        capsys, ["--figure=losses", f"--out={tmp_path / 'file' / 'folder'}"], f"cannot write to {tmp_path / 'file' / 'folder'}"
    )
    (tmp_path / "taken" / "losses.json").mkdir(parents=True)
    complain(capsys, ["--figure=losses", f"--out={tmp_path / 'taken'}"], "cannot write to .*: Is a directory")


def test_the_script_answers_as_main_does():
    command = [sys.executable, ROOT / "experiments" / "theory.py", "--figure=nothing"]
    answer = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1 and "unknown figure 'nothing'" in answer.stderr


def test_help_lists_every_figure(capsys):
    with pytest.raises(SystemExit) as end:
        theory.main(["--help"])
    assert not end.value.code
    told = capsys.readouterr().out
    assert all(name in told for name in theory.NAMES)


@pytest.mark.parametrize("name", theory.NAMES)
def test_every_figure_has_a_title_and_is_made_by_make(name):
    assert re.search(r"\w.*\.$", theory.title(name))
    assert callable(importlib.import_module(f"experiments.figures.{name}").make)


# The claims


@pytest.mark.slow
def test_the_density_game_is_drawn_at_its_moments_a1_4():
    figure, numbers = density.make(moments=(0, 50, 100, 150))
    assert [axes.get_title() for axes in figure.axes] == [f"after {moment} rounds" for moment in (0, 50, 100, 150)]
    assert np.isfinite(list(numbers.values())).all()
    assert numbers["W1 of samples and data"] < 1.5  # from more than 3


def test_a_trained_critic_stays_below_the_value_of_the_best_a2_1_a2_2():
    _, numbers = optimal_critic.make(rounds=300)
    bound = numbers["2 JSD - log 4"]
    np.testing.assert_allclose(bound, -1.1634513968, rtol=1e-9)
    assert bound - 0.002 < numbers["V in expectation, at the end"] <= numbers["V in expectation, greatest"] < bound
    assert numbers["greatest |D - D*| on [-2, 3]"] < 0.03
    np.testing.assert_allclose(numbers["accuracy"], 0.6915, atol=1e-3)


def test_tables_reach_the_data_and_a_fixed_critic_leads_to_one_cell_a2_3():
    _, numbers = tabular.make()
    assert numbers["starts"] == 20
    assert numbers["least JSD at the start"] > 0.01 and 0 <= numbers["greatest JSD at the end"] < 1e-6
    assert numbers["D fixed: least mass of p_g where D is greatest"] > 0.999


def test_orbits_follow_their_closed_forms_a2_4():
    """B3c."""
    _, numbers = orbits.make()
    for name, radius in {"simultaneous": 1.6446318218, "alternating": 0.9775629660, "extragradient": 0.6080692274}.items():
        np.testing.assert_allclose(numbers[f"bilinear, {name}"]["radius after 100 rounds"], radius, rtol=1e-5)
    for name in orbits.MAPS:
        found = numbers[f"bilinear, {name}"]
        np.testing.assert_allclose(found["radius after 100 rounds"], found["the same in closed form"], rtol=1e-5)
    for name in ("simultaneous", "extragradient", "consensus"):
        found = numbers[f"bilinear, {name}"]
        np.testing.assert_allclose(found["growth a round"], found["greatest |eigenvalue| of a round"], rtol=1e-6)
    for name, radius in {"simultaneous": 2.2535787, "alternating": 1.4142724}.items():
        found = numbers[f"Dirac-GAN, {name}"]
        np.testing.assert_allclose(found["radius after 500 rounds"], radius, rtol=1e-5)
        np.testing.assert_allclose(
            np.abs(found["eigenvalues of -v at the equilibrium, real and imaginary"]), [[0, 0.5]] * 2, atol=1e-6
        )
    assert numbers["Dirac-GAN, alternating, R1"]["radius after 500 rounds"] < 3e-6


@pytest.mark.slow
def test_jsd_saturates_a2_5():
    """B2, and what trained critics say of the same laws."""
    _, numbers = saturation.make(rounds=300)
    known = {
        0.05: (0.030311300520838948, 1.1763175305742608),
        0.1: (0.11142148218473616, 1.9898643359162493),
        0.2: (0.33683082034683154, 2.247997546033364),
        0.3: (0.5267773065213733, 1.4793187664958132),
        0.5: (0.6759425773809798, 0.23689808591675898),
        0.8: (0.6930536454829198, 0.001964373680363961),
        1.0: (0.6931463173939844, 2.2320501072618503e-05),
    }
    for d, (value, slope) in known.items():
        found = numbers[f"d = {d}"]
        np.testing.assert_allclose([found["JSD"], found["slope of JSD"]], [value, slope], rtol=1e-8)
        np.testing.assert_allclose(found["JSD, trained critic"], value, atol=0.02)
        np.testing.assert_allclose(found["slope of JSD, trained critic"], slope, atol=0.1)
        np.testing.assert_allclose(found["W1 of samples"], d, atol=0.003)
    assert numbers["d = 1.0"]["accuracy of the trained critic"] > 0.999


@pytest.mark.slow
def test_a_critic_learns_samples_by_heart_a2_6():
    _, numbers = memorising.make()
    assert numbers["accuracy on the sample trained on"] > 0.99
    assert abs(numbers["accuracy on fresh points"] - 0.5) < 0.02  # four standard errors


def test_best_f_distances_a2_7():
    two_jsd, variation, w1 = f_distance.best(np.array([0.0, 1.0])).values()
    np.testing.assert_allclose(two_jsd, [0, 0.2228429644], atol=1e-6)
    np.testing.assert_allclose(variation, [0, 0.3829249225], atol=1e-5)
    np.testing.assert_allclose(w1, [0, 1], atol=1e-9)


@pytest.mark.slow
def test_f_distances_of_samples_come_closer_with_their_size_a2_7():
    _, numbers = f_distance.make(turns=100, repeats=12, sizes=(100, 3000))
    for name in f_distance.PHIS:
        small, large = numbers[f"{name}, small net: root mean square error by sample size"].values()
        assert large < small / 3  # the square root of 30 is 5.5
    assert abs(numbers["phi = log, small net: one law and itself"]) < 1e-3


@pytest.mark.slow
def test_conjugates_are_envelopes_of_lines_and_convex_a3_2():
    _, numbers = conjugates.make()
    assert set(numbers) == set(conjugates.RANGES)
    for found in numbers.values():
        assert found["greatest difference of the highest line"] < 1e-5
        assert found["greatest difference of the supremum found by bisection"] < 1e-10
        assert found["least second difference"] > -1e-12
