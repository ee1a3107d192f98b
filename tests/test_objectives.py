"""Objectives against closed forms (requirements A1.2, A1.3; errata E4, E29, E30)."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from truth import waves

from jaxgan import divergences, games, objectives
from jaxgan.types import Net, Network, Turn, UserError

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


def test_codings_of_least_squares():
    """The paper's equation 8 regresses to -1 and 1 and asks the generator for 0."""
    curves = objectives.least_squares(-1.0, 1.0, 0.0)
    for curve, to in zip(curves, (1, -1, 0), strict=True):
        np.testing.assert_allclose(curve(jnp.array(SCORES)), (SCORES - to) ** 2 / 2, rtol=1e-6)


@pytest.mark.parametrize(("saturating", "like"), [(True, objectives.minimax), (False, objectives.non_saturating)])
def test_f_gan_of_the_original_divergence_is_the_original_game(saturating, like):
    for ours, theirs in zip(objectives.f_gan(divergences.goodfellow(), saturating), like(), strict=True):
        np.testing.assert_allclose(ours(jnp.array(SCORES)), theirs(jnp.array(SCORES)), rtol=1e-5, atol=1e-7)


def test_f_gan_critic_raises_the_variational_bound():
    curves, v = objectives.f_gan(divergences.kl()), jnp.array(SCORES[2:7])
    np.testing.assert_allclose(curves.real(v), -v, rtol=1e-6)
    np.testing.assert_allclose(curves.fake(v), np.exp(v - 1), rtol=1e-5)


def test_f_distance_of_the_logarithm_is_the_original_game_and_of_the_identity_a_difference_of_means_e8():
    log, identity = objectives.f_distance(jax.nn.log_sigmoid), objectives.f_distance(jax.nn.sigmoid)
    for ours, theirs in zip(log, objectives.minimax(), strict=True):
        np.testing.assert_allclose(ours(jnp.array(SCORES)), theirs(jnp.array(SCORES)), rtol=1e-5, atol=1e-7)
    d = 1 / (1 + np.exp(-SCORES))
    np.testing.assert_allclose(identity.real(jnp.array(SCORES)), -d, rtol=1e-5)
    np.testing.assert_allclose(identity.fake(jnp.array(SCORES)), -(1 - d), rtol=1e-5)


def test_one_sided_label_smoothing():
    """At p = q the critic's optimum is .45, and far from the data (p = 0) it stays 0; smoothing both sides leaves .1 there."""
    smoothed = objectives.smooth_labels(objectives.non_saturating(), real=0.9)
    expected = 0.9 * np.logaddexp(0, -SCORES) + 0.1 * np.logaddexp(0, SCORES)
    np.testing.assert_allclose(smoothed.real(jnp.array(SCORES)), expected, rtol=1e-5)
    np.testing.assert_allclose(smoothed.gen(jnp.array(SCORES)), np.logaddexp(0, -SCORES), rtol=1e-5, atol=1e-7)

    def optimum(objective, p, q):
        t = np.linspace(-12, 12, 240_001, dtype=np.float32)
        cost = p * objective.real(jnp.array(t)) + q * objective.fake(jnp.array(t))
        return 1 / (1 + np.exp(-t[np.argmin(cost)]))

    np.testing.assert_allclose(optimum(smoothed, 1.0, 1.0), 0.45, atol=2e-3)
    assert optimum(smoothed, 0.0, 1.0) < 1e-4
    np.testing.assert_allclose(optimum(objectives.smooth_labels(objectives.non_saturating(), 0.9, 0.1), 0.0, 1.0), 0.1, atol=2e-3)
    with pytest.raises(UserError, match=r"real=1\.2"):
        objectives.smooth_labels(objectives.non_saturating(), real=1.2)


@pytest.mark.parametrize(("averaged", "expected"), [(False, 0.9661417802848168), (True, 1.929263009172089)])
def test_relativistic_losses(averaged, expected):
    """Critic's vectors; exchanging real and generated scores gives the generator's loss."""
    real, fake = jnp.array(waves(6), jnp.float32), jnp.array(waves(6, 1.3, 0.5), jnp.float32)
    handed = Network(init=lambda key: ((), ()), apply=lambda w, s, x, train, key=None: (x, s))

    def losses(real, fake):
        pair = games.relativistic(handed, handed, objectives.non_saturating(), lambda key, count: fake, averaged)
        nets, turn = {"gen": Net((), ()), "disc": Net((), ())}, Turn({"real": real}, jax.random.key(0), jnp.int32(0))
        return [float(loss(nets, turn)[0]) for loss in pair]

    np.testing.assert_allclose(losses(real, fake)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(losses(real, fake)[1], losses(fake, real)[0], rtol=1e-6)


@pytest.mark.parametrize(
    "make", [*ALL, lambda: objectives.f_gan(divergences.jensen_shannon()), lambda: objectives.f_distance(jax.nn.log_sigmoid)]
)
def test_new_and_old_curves_are_finite_at_huge_scores(make):
    for curve in make():
        for t in (-1e4, 1e4):
            value, slope = jax.value_and_grad(curve)(t)
            assert np.isfinite(value) and np.isfinite(slope)
