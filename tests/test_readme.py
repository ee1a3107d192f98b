"""The README's script does what it says."""

import pathlib
import re

import numpy as np
import pytest

from jaxgan import data

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_composing_steps_by_hand():
    script = re.search(r"<!-- run by tests/test_readme.py -->\n```python\n(.*?)```", README.read_text(), re.S).group(1)
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) < 30
    scope = {}
    exec(script, scope)
    points = np.asarray(scope["points"])
    real = data.held_out(scope["data"].load("ring"), 1000)["real"]
    near = lambda a, b: np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min(1)
    assert near(points, real).mean() < 0.1, "samples lie near the ring"
    assert near(real, points).mean() < 0.25, "and around most of it"
