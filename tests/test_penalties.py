"""Gradient penalties (requirement A4.3; vectors B5; erratum E12)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxgan import games, latents, objectives, parallel, penalties
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


LINEAR = waves((3,))


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (penalties.r1(10.0), 2.8498398625),
        (penalties.r2(10.0), 3.8321318855),
        (penalties.zero_centred(1.0, share=lambda key, count: SHARES[:count]), 0.5877922717),
    ],
)
def test_zero_centred_values_b5(penalty, expected):
    np.testing.assert_allclose(penalty(quadratic(WEIGHTS), jnp.array(REAL), jnp.array(FAKE), KEY), expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (penalties.gradient_penalty(1.0), 0.0417939089),
        (penalties.r1(10.0), 7.2533254053),
        (penalties.dragan(1.0), 0.0417939089),  # a linear critic has one slope everywhere
    ],
)
def test_values_of_a_linear_critic_b5(penalty, expected):
    critic = lambda x: x @ jnp.array(LINEAR, jnp.float32)
    np.testing.assert_allclose(penalty(critic, jnp.array(REAL), jnp.array(FAKE), KEY), expected, rtol=1e-5)


def test_the_secant_form_of_the_notes_is_another_number_e12():
    """S1 prints (|D(x) - D(x')| / |x - x'| - 1)^2, which is .4526 where the gradient form is .1265."""
    critic, real, fake = quadratic(WEIGHTS), jnp.array(REAL), jnp.array(FAKE)
    secant = jnp.abs(critic(real) - critic(fake)) / jnp.linalg.norm(real - fake, axis=1)
    np.testing.assert_allclose(jnp.mean((secant - 1) ** 2), 0.4526148640, rtol=1e-5)
    assert abs(float(penalty_of()(WEIGHTS)) - 0.4526) > 0.3


def test_dragan_looks_around_the_data():
    """With u given: the slopes of the quadratic critic at `real + spread std(real) u`."""
    u = waves((5, 3), 0.7)
    at = REAL + 0.5 * REAL.std() * u
    expected = np.mean((np.linalg.norm(at @ ((M + M.T) / 2) + B, axis=1) - 1) ** 2)
    got = penalties.dragan(1.0, noise=lambda key, count: jnp.array(u))(quadratic(WEIGHTS), jnp.array(REAL), jnp.array(FAKE), KEY)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_drift_consistency_and_sums_of_penalties():
    critic, real = (lambda x: x @ jnp.array(LINEAR, jnp.float32)), jnp.array(REAL, jnp.float32)
    drift, shift = np.mean((REAL @ LINEAR) ** 2), LINEAR.sum() ** 2
    np.testing.assert_allclose(penalties.drift(2.0)(critic, real, real, KEY), 2 * drift, rtol=1e-5)
    moved = penalties.consistency(lambda key, x: x + 1, weight=3.0)
    np.testing.assert_allclose(moved(critic, real, real, KEY), 3 * shift, rtol=1e-5)
    total = penalties.both(penalties.drift(2.0), moved)(critic, real, real, KEY)
    np.testing.assert_allclose(total, 2 * drift + 3 * shift, rtol=1e-5)


W = jnp.array(waves((4, 6)).T, jnp.float32)  # [fan_in 6, out 4]


@pytest.mark.parametrize(
    ("kernel", "off_diagonal", "expected"),
    [
        (W, False, 53.1162517180),  # the smaller Gram matrix, 4 x 4 (E13)
        (W.T, False, 53.1162517180),
        (W, True, 33.0419455340),  # outputs by outputs, as BigGAN
        (W.T, True, 45.9284426963),
    ],
)
def test_orthogonal_regularisation_b4(kernel, off_diagonal, expected):
    term = penalties.orthogonal(1.0, off_diagonal)
    np.testing.assert_allclose(term({"Dense_0": {"kernel": kernel, "bias": jnp.ones(9)}}), expected, rtol=1e-5)


def test_orthogonal_gradient_is_the_true_one():
    """BigGAN's published code adds 2 (W W^T o (1 - I)) W, half the gradient of the norm it names."""
    w = np.asarray(W, np.float64).T  # outputs in rows
    true = 4 * ((w @ w.T) * (1 - np.eye(4))) @ w
    got = jax.grad(lambda kernel: penalties.orthogonal(1.0, True)({"kernel": kernel}))(W)
    np.testing.assert_allclose(got.T, true, rtol=1e-4, atol=1e-4)


def test_descent_on_the_orthogonal_term_makes_singular_values_one_a5_2():
    term = penalties.orthogonal(1.0)
    descend = lambda w, _: (w - 0.01 * jax.grad(lambda w: term({"kernel": w}))(w), None)
    trained, _ = jax.lax.scan(descend, W, length=2000)
    np.testing.assert_allclose(np.linalg.svd(trained, compute_uv=False), 1.0, atol=0.05)


def test_terms_are_added_to_a_loss():
    gen, disc, latent = from_linen(mlp.Generator((2,), (4,))), from_linen(mlp.Discriminator((4,))), latents.normal(3)
    nets = {"gen": Net(*gen.init(KEY, jnp.zeros((1, 3)))), "disc": Net(*disc.init(KEY, jnp.zeros((1, 2))))}
    turn = Turn({"real": jax.random.normal(KEY, (4, 2))}, KEY, jnp.int32(0))
    plain, _ = games.adversarial(gen, disc, objectives.hinge(), latent)
    loss, outcome = games.add_term(plain, "disc", penalties.orthogonal(0.1))(nets, turn)
    assert outcome.metrics["term"] > 0
    np.testing.assert_allclose(loss - plain(nets, turn)[0], outcome.metrics["term"], rtol=1e-4)


@pytest.mark.parametrize("devices", [1, 2])
def test_lazy_penalties_come_every_so_often_and_weigh_as_much(devices):
    """On devices that see different examples, too, where both branches must be told to vary alike."""
    gen, disc, latent = from_linen(mlp.Generator((2,), (4,))), from_linen(mlp.Discriminator((4,))), latents.normal(3)
    nets = {"gen": Net(*gen.init(KEY, jnp.zeros((1, 3)))), "disc": Net(*disc.init(KEY, jnp.zeros((1, 2))))}
    plan, whole, split = parallel.make_plan("shard_map", devices), PartitionSpec(), PartitionSpec(parallel.AXIS)

    def reported(every, step):
        loss, _ = games.adversarial(gen, disc, objectives.hinge(), latent, penalty=penalties.r1(), penalty_every=every)

        def own(nets, real, step):
            gradient = jax.grad(lambda disc: loss({**nets, "disc": disc}, Turn({"real": real}, KEY, step))[0])(nets["disc"])
            penalty = loss(nets, Turn({"real": real}, KEY, step))[1].metrics["penalty"]
            return parallel.average((penalty, gradient), parallel.AXIS)

        varied = lambda nets, real, step: own(parallel.vary(nets, parallel.AXIS), real, step)
        spread = jax.shard_map(varied, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=whole)
        penalty, gradient = jax.jit(spread)(nets, jax.random.normal(KEY, (4, 2)), jnp.int32(step))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        return penalty

    once = reported(1, 0)
    assert once > 1e-3
    np.testing.assert_allclose([reported(3, step) for step in range(4)], [3 * once, 0, 0, 3 * once], rtol=1e-5)
