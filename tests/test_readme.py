"""The README's scripts do what it says."""

import pathlib
import re

import numpy as np
import pytest

from jaxgan import data

README = pathlib.Path(__file__).parents[1] / "README.md"


def run_script(number):
    """Runs one of the README's scripts, which are short; returns the names that it leaves."""
    scripts = re.findall(r"<!-- run by tests/test_readme.py -->\n```python\n(.*?)```", README.read_text(), re.S)
    assert len(scripts) == 2
    assert all(sum(bool(line.strip()) for line in script.splitlines()) < 30 for script in scripts)
    scope = {}
    exec(scripts[number], scope)
    return scope


def test_attacking_any_classifier():
    scope = run_script(0)
    assert scope["robust_accuracy"] < scope["accuracy"]
    assert np.abs(scope["x_adv"] - scope["x"]).max() <= 0.1 * (1 + 1e-6)


@pytest.mark.slow
def test_composing_steps_by_hand():
    scope = run_script(1)
    points = np.asarray(scope["points"])
    real = data.held_out(scope["data"].load("ring"), 1000)["real"]
    near = lambda a, b: np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min(1)
    assert near(points, real).mean() < 0.1, "samples lie near the ring"
    assert near(real, points).mean() < 0.25, "and around most of it"
