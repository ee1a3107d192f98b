"""What a generator pays for its score, and how fast it learns: the saturating and the non-saturating loss (A1.3).

Where the critic is sure that a sample is generated, at scores far below zero, the saturating loss `log(1 - D)` is flat, and
`-log D` has its largest slope. Both have the same fixed point and not the same dynamics.

Reference:
    Goodfellow et al., 2014, section 3 (https://arxiv.org/abs/1406.2661).
"""

import jax
import numpy as np

from experiments import figures
from jaxgan import objectives

LOSSES = {
    "saturating, log(1 - D)": (objectives.minimax().gen, figures.BLUE, "-"),
    "non-saturating, -log D": (objectives.non_saturating().gen, figures.VERMILION, "--"),
}


def make():
    """Draws both losses and their slopes over the critic's score, and gives the slopes at a score of -5."""
    figure, [[left, right]] = figures.panels(1, 2)
    score = np.linspace(-8, 8, 201, dtype=np.float32)
    numbers = {}
    for name, (loss, colour, line) in LOSSES.items():
        slope = jax.grad(loss)
        left.plot(score, loss(score), line, color=colour, label=name)
        right.plot(score, jax.vmap(slope)(score), line, color=colour, label=name)
        numbers[f"slope at score -5, {name}"] = float(slope(-5.0))
    left.set(title="loss", xlabel="critic's score s, D = sigmoid(s)", ylabel="nats")
    right.set(title="slope", xlabel="critic's score s, D = sigmoid(s)", ylabel="nats per unit of score")
    left.legend(fontsize=8)
    right.axvline(-5, color=figures.BLACK, linewidth=0.8, linestyle=":")
    return figure, numbers
