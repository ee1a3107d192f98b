"""Objectives against closed forms (requirements A1.2, A1.3; errata E4, E29, E30)."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from truth import waves

from jaxgan import objectives

ALL = [objectives.minimax, objectives.non_saturating, objectives.hinge, objectives.wasserstein, objectives.least_squares]
SCORES = np.array([-10.0, -5, -2, -1, 0, 1, 2, 5, 10])


@pytest.mark.parametrize(
    "make, real, fake, gen",
    [
        (objectives.minimax, np.logaddexp(0, -SCORES), np.logaddexp(0, SCORES), -np.logaddexp(0, SCORES)),
        (objectives.non_saturating, np.logaddexp(0, -SCORES), np.logaddexp(0, SCORES), np.logaddexp(0, -SCORES)),
        (objectives.hinge, np.maximum(0, 1 - SCORES), np.maximum(0, 1 + SCORES), -SCORES),
        (objectives.wasserstein, -SCORES, SCORES, -SCORES),
        (objectives.least_squares, (SCORES - 1) ** 2 / 2, SCORES**2 / 2, (SCORES - 1) ** 2 / 2),
    ],
)
def test_curves(make, real, fake, gen):
    objective = make()
    for curve, expected in zip(objective, (real, fake, gen), strict=True):
        np.testing.assert_allclose(curve(jnp.array(SCORES)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "make, disc, gen",
    [
        (objectives.minimax, 1.6980186568714624, -0.8773043427027171),
        (objectives.non_saturating, 1.6980186568714624, 0.6227933439337033),
        (objectives.wasserstein, 0.40705215634638536, -0.2545109987690138),
        (objectives.hinge, 2.4070521563463854, -0.2545109987690138),
        (objectives.least_squares, 1.0984981953527535, 0.4802213989485793),
    ],
)
def test_batch_losses(make, disc, gen):
    objective, real, fake = make(), jnp.array(waves(6)), jnp.array(waves(6, 1.3, 0.5))
    np.testing.assert_allclose(objective.real(real).mean() + objective.fake(fake).mean(), disc, rtol=1e-5)
    np.testing.assert_allclose(objective.gen(fake).mean(), gen, rtol=1e-5)


def test_generator_slopes_a1_3():
    """A1.3: at a score of -5 the saturating slope has all but vanished and the non-saturating one has not."""
    slope = lambda make: float(jax.grad(make().gen)(-5.0))
    np.testing.assert_allclose(slope(objectives.minimax), -1 / (1 + np.exp(5)), rtol=1e-5)
    np.testing.assert_allclose(slope(objectives.non_saturating), -1 / (1 + np.exp(-5)), rtol=1e-5)


def test_generator_gradients_at_the_optimal_critic_a1_3():
    """B3b: with real N(0, 1), fake N(1, 1) and D* frozen, the two generators follow different divergences (E4)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()

    def descent(make):
        cost = lambda theta: jnp.sum(weights * make().gen(0.5 - (theta + nodes)))  # logit of D* = log p - log q
        return float(jax.grad(cost)(1.0))

    np.testing.assert_allclose(descent(objectives.minimax), 0.3979728672, rtol=1e-5)
    np.testing.assert_allclose(descent(objectives.non_saturating), 0.6020271328, rtol=1e-5)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("score", [-1e4, 1e4])
def test_extreme_scores_stay_finite_a1_2(make, score):
    for curve in make():
        value, slope = jax.value_and_grad(curve)(score)
        assert np.isfinite(value) and np.isfinite(slope)


class Compiled(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_every_objective(self):
        for make in ALL:
            for curve in make():
                scores = jnp.array(SCORES, jnp.float32)
                np.testing.assert_allclose(self.variant(curve)(scores), curve(scores), rtol=1e-6)
