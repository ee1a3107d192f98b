"""Gradient penalties (requirement A4.3; vectors B5; erratum E12)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import games, latents, objectives, penalties
from jaxgan.nets import mlp
from jaxgan.networks import from_linen
from jaxgan.types import Net, Turn
from tests.truth import waves

REAL, FAKE = waves((5, 3)), waves((5, 3), 1.3) + 0.5
SHARES = jnp.array([0.1, 0.3, 0.5, 0.7, 0.9])
M, B = 0.5 * waves((3, 3)), 0.5 * waves((3,), 0.5)
KEY = jax.random.key(0)


def quadratic(weights):
    return lambda x: 0.5 * jnp.einsum("ni,ij,nj->n", x, weights["A"], x) + x @ weights["b"]


def penalty_of(**options):
    penalty = penalties.gradient_penalty(weight=1.0, share=lambda key, count: SHARES[:count], **options)
    return lambda weights: penalty(quadratic(weights), jnp.array(REAL), jnp.array(FAKE), KEY)


WEIGHTS = {"A": jnp.array((M + M.T) / 2), "b": jnp.array(B)}


@pytest.mark.parametrize(("one_sided", "expected"), [(False, 0.1264782466), (True, 0.0043941597)])
def test_values_b5(one_sided, expected):
    np.testing.assert_allclose(penalty_of(one_sided=one_sided)(WEIGHTS), expected, rtol=2e-6)


def test_second_order_gradient_b5():
    grads = jax.grad(penalty_of())(WEIGHTS)
    np.testing.assert_allclose(grads["b"], [0.0509211205, -0.4353124860, 0.3012630529], rtol=1e-5)
    np.testing.assert_allclose(grads["A"][0, 0], 0.0061382908, rtol=1e-4)


def test_a_flat_critic_has_a_finite_gradient():
    weights = jax.tree.map(jnp.zeros_like, WEIGHTS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(penalty_of())(weights)))


def test_adversarial_adds_the_penalty_and_joins_the_passes():
    """One pass over real and generated examples gives the same loss; the penalty is added and reported."""
    gen, disc, latent = from_linen(mlp.Generator((2,))), from_linen(mlp.Discriminator((8,))), latents.normal(3)
    nets = {"gen": Net(*gen.init(KEY, jnp.zeros((1, 3)))), "disc": Net(*disc.init(KEY, jnp.zeros((1, 2))))}
    turn = Turn({"real": jax.random.normal(KEY, (4, 2))}, KEY, jnp.int32(0))
    losses = {}
    for joint in (False, True):
        for penalty in (None, penalties.gradient_penalty(3.0)):
            loss, outcome = games.adversarial(gen, disc, objectives.hinge(), latent, penalty=penalty, joint=joint)[0](nets, turn)
            losses[joint, penalty is not None] = loss
            assert ("penalty" in outcome.metrics) == (penalty is not None)
        np.testing.assert_allclose(losses[joint, True] - losses[joint, False], outcome.metrics["penalty"], rtol=1e-4)
    np.testing.assert_allclose(losses[True, False], losses[False, False], rtol=1e-5)
