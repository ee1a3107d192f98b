"""Several repetitions as one program: each is a run of its own, and scores are means and deviations."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest

from jaxgan import data, runs
from jaxgan.checkpoint import digest

gan = importlib.import_module("experiments.variants.gan")
SMALL = gan.Config(steps=3, batch_size=8, critic_turns=2, seeds=3)
RING = data.load("ring")


@pytest.mark.slow
def test_each_repetition_plays_what_it_would_play_alone():
    """Its state is that of the single game from the same keys and data, up to rounding."""
    together = runs.build(gan, SMALL, RING).phases[0]
    state, key = jax.jit(together.game.init)(jax.random.key(5)), jax.random.key(6)
    for step in range(3):
        state, _ = jax.jit(together.game.step)(state, together.batch_at(step), key)
    alone = runs.build(gan, dataclasses.replace(SMALL, seeds=1, seed=1), RING).phases[0]
    own = jax.jit(alone.game.init)(jax.random.split(jax.random.key(5), 3)[1])
    for step in range(3):
        own, _ = jax.jit(alone.game.step)(own, alone.batch_at(step), jax.random.split(key, 3)[1])
    for ours, theirs in zip(jax.tree.leaves(own), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(ours, theirs[1], rtol=1e-4, atol=1e-6)
    params = state.players["gen"].params["Dense_0"]["kernel"]
    assert digest(params[0]) != digest(params[1])


def test_scores_are_means_and_deviations_over_repetitions():
    experiment = runs.build(gan, SMALL, RING)
    sample = lambda key, count: np.stack([RING.train.centres[np.arange(count) % modes] for modes in (8, 4, 2)], axis=1)
    scores = experiment.metrics[0](sample, jax.random.key(0))
    assert next(iter(scores)) == "mode_kl"
    assert scores["modes"] == pytest.approx(14 / 3) and scores["modes_sd"] == pytest.approx(np.std([8, 4, 2], ddof=1))


def test_samples_and_pictures_have_all_repetitions():
    experiment = runs.build(gan, dataclasses.replace(SMALL, seeds=5), RING)
    first = experiment.phases[0].game
    state = jax.jit(first.init)(jax.random.key(0))
    samples = first.infer(state, experiment.inputs(jax.random.key(1), 7))
    assert samples.shape == (7, 5, 2)
    assert experiment.picture(samples).shape == (2 * 480, 4 * 480, 3)
