"""Parameter transforms (requirement A5.3; errata E14, E15; vectors B4)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from truth import waves

from jaxgan import transforms

W = jnp.array(waves((4, 6)).T, jnp.float32)  # [fan_in 6, out 4]
CONV = jnp.array(waves((3, 3, 2, 4)), jnp.float32)
START = jnp.ones(4) / 2


def sigma_after(kernel, iterations):
    """The estimate that the kernel was divided by, after so many iterations from `START`."""
    weights, _ = transforms.spectral_norm(iterations).apply({"kernel": kernel}, {"kernel": START})
    return float(kernel.ravel()[0] / weights["kernel"].ravel()[0])


@pytest.mark.parametrize(
    "kernel, iterations, sigma",
    [
        (W, 1, 1.9083274667),
        (W, 2, 2.0745339318),
        (W, 3, 2.3938392256),
        (W, 5, 2.7530106257),
        (W, 20, 2.7822536159),
        (CONV, 1, 2.6167133131),
        (CONV, 5, 3.1904947958),
        (CONV, 20, 3.3620162780),
    ],
)
def test_power_iteration_vectors(kernel, iterations, sigma):
    np.testing.assert_allclose(sigma_after(kernel, iterations), sigma, rtol=1e-5)


@pytest.mark.parametrize("matrix, sigma", [([[1.0, 10.0], [0.0, 1.0]], 10.0990195136), ([[0.0, 1.0], [0.0, 0.0]], 1.0)])
def test_singular_value_not_eigenvalue_e14(matrix, sigma):
    kernel = jnp.array(matrix)
    _, u = transforms.spectral_norm(50).apply({"kernel": kernel}, {"kernel": jnp.ones(2)})
    weights, _ = transforms.spectral_norm().apply({"kernel": kernel}, u)
    np.testing.assert_allclose(np.linalg.norm(weights["kernel"], 2), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(kernel, 2), sigma, rtol=1e-6)


def test_gradient_of_the_normalised_weight():
    """Miyato et al., equations 10-12: `u` and `v` are constants, sigma is not."""
    h, delta = jnp.array(waves(6, 0.7)), jnp.array(waves(4, 1.9))
    _, warm = transforms.spectral_norm(50).apply({"kernel": W}, {"kernel": START})

    def loss(kernel):
        weights, _ = transforms.spectral_norm().apply({"kernel": kernel}, warm)
        return h @ weights["kernel"] @ delta

    value, grad = jax.value_and_grad(loss)(W)
    np.testing.assert_allclose(value, -0.0022567443, rtol=1e-3)  # a difference of numbers near one, in float32
    row = [0.219267922, 0.113732670, 0.005890543, -0.332940703, -0.331849210, 0.022824539]
    np.testing.assert_allclose(grad[:, 0], row, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(jnp.sum(grad * W), 0.0, atol=1e-5)


class EveryLayer(nn.Module):
    @nn.compact
    def __call__(self, image, label):
        x = nn.ConvTranspose(5, (4, 4))(nn.Conv(3, (3, 3))(image))
        return nn.Dense(7)(x.mean((1, 2))) + nn.Embed(10, 7)(label)


def test_every_kind_of_kernel_is_normalised_a5_3():
    params = EveryLayer().init(jax.random.key(0), jnp.ones((2, 8, 8, 1)), jnp.zeros(2, int))["params"]
    transform = transforms.spectral_norm()
    state = transform.init(jax.random.key(1), params)
    assert set(state) == {"Conv_0/kernel", "ConvTranspose_0/kernel", "Dense_0/kernel", "Embed_0/embedding"}
    for _ in range(200):
        weights, state = transform.apply(params, state)
    for name, leaf in transforms.named_leaves(weights)[0].items():
        if name in state:
            np.testing.assert_allclose(np.linalg.norm(leaf.reshape(-1, leaf.shape[-1]), 2), 1.0, rtol=1e-4)
        else:
            np.testing.assert_array_equal(leaf, transforms.named_leaves(params)[0][name])


def test_zero_kernel_stays_finite():
    kernel = jnp.zeros((3, 2))
    apply = lambda kernel: transforms.spectral_norm().apply({"kernel": kernel}, {"kernel": jnp.ones(2)})[0]["kernel"]
    assert np.isfinite(apply(kernel)).all() and np.isfinite(jax.jacrev(apply)(kernel)).all()


def test_chain_applies_in_order_and_keeps_each_state():
    double = transforms.UNCHANGED._replace(apply=lambda params, state: (jax.tree.map(lambda x: 2 * x, params), state))
    chained = transforms.chain(transforms.spectral_norm(50), double)
    params = {"Dense_0": {"kernel": W, "bias": jnp.ones(4)}}
    state = chained.init(jax.random.key(0), params)
    weights, advanced = chained.apply(params, state)
    np.testing.assert_allclose(np.linalg.norm(weights["Dense_0"]["kernel"], 2), 2.0, rtol=1e-5)
    np.testing.assert_allclose(weights["Dense_0"]["bias"], 2.0)
    assert jax.tree.structure(advanced) == jax.tree.structure(state)


def test_no_kernels_no_state():
    assert transforms.spectral_norm().init(jax.random.key(0), {"bias": jnp.ones(3)}) == {}


@pytest.mark.parametrize(
    ("limit", "values"),
    [(2.2, [2.2, 1.8817057132, 1.2281968242, 0.1389519392]), (1.0, [1.8817057132, 1.2281968242, 1.0, 0.1389519392])],
)
def test_clamping_the_top_singular_value_b4(limit, values):
    """E20: below the second value, the second becomes the top."""
    weights, _ = transforms.clamp_singular_values(limit, 60).apply({"kernel": W}, {"kernel": START})
    np.testing.assert_allclose(np.linalg.svd(weights["kernel"], compute_uv=False), values, rtol=1e-4)


def test_clamping_carries_u_and_leaves_small_matrices_alone():
    transform = transforms.clamp_singular_values(100.0)
    state = transform.init(jax.random.key(0), {"kernel": CONV, "bias": jnp.ones(4)})
    weights, advanced = transform.apply({"kernel": CONV, "bias": jnp.ones(4)}, state)
    np.testing.assert_array_equal(weights["kernel"], CONV)
    assert advanced["kernel"].shape == (4,) and np.abs(advanced["kernel"] - state["kernel"]).max() > 1e-3


def test_stateless_transforms():
    params = {"Conv_0": {"kernel": CONV, "bias": jnp.arange(4.0)}}
    applied = lambda transform: transform.apply(params, transform.init(jax.random.key(0), params))[0]["Conv_0"]
    lengths = np.linalg.norm(np.asarray(applied(transforms.weight_norm())["kernel"]).reshape(-1, 4), axis=0)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-6)
    np.testing.assert_allclose(applied(transforms.equalized_lr())["kernel"], np.asarray(CONV) * np.sqrt(2 / 18), rtol=1e-6)
    values = np.linalg.svd(np.asarray(applied(transforms.orthogonalize())["kernel"]).reshape(-1, 4), compute_uv=False)
    np.testing.assert_allclose(values, 1.0, rtol=1e-4)
    wide = transforms.orthogonalize(40).apply({"kernel": W.T}, ())[0]["kernel"]
    u, _, v = np.linalg.svd(np.asarray(W.T, np.float64), full_matrices=False)
    np.testing.assert_allclose(wide, u @ v, atol=1e-4)  # the polar factor: the nearest one
    for transform in (transforms.weight_norm(), transforms.equalized_lr(), transforms.orthogonalize()):
        np.testing.assert_array_equal(applied(transform)["bias"], params["Conv_0"]["bias"])


def test_equalized_constant():
    """He's constant for a 3x3 kernel of 512 channels."""
    weights, _ = transforms.equalized_lr().apply({"kernel": jnp.ones((3, 3, 512, 2))}, ())
    np.testing.assert_allclose(weights["kernel"], 0.020833333333, rtol=1e-6)


def test_clipped_weights_stay_inside_e1():
    """E1: each weight lies in [-c, c] after every step, to the last bit, and the linear critic's estimate is c times W1."""
    optimizer = optax.chain(optax.sgd(0.5), transforms.clip_weights(0.01))
    params = {"a": jnp.array(waves((50,)), jnp.float32), "b": jnp.float32(0.003)}
    state = optimizer.init(params)
    for i in range(5):
        grads = {"a": jnp.array(waves((50,), 1.1 + i), jnp.float32), "b": jnp.float32(-1)}
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(params)) <= np.float32(0.01)
    np.testing.assert_allclose(params["b"], 0.01, rtol=1e-6)  # critic b x between means one apart


def test_historical_averaging_adds_the_pull_to_the_mean():
    optimizer = optax.chain(transforms.historical_averaging(0.25), optax.sgd(1.0))
    params, seen = jnp.array([1.0, -2.0]), []
    state = optimizer.init(params)
    for _ in range(4):
        seen.append(np.asarray(params))
        updates, state = optimizer.update(jnp.array([0.1, 0.2]), state, params)
        np.testing.assert_allclose(updates, -(np.array([0.1, 0.2]) + 0.5 * (seen[-1] - np.mean(seen, 0))), rtol=1e-5)
        params = optax.apply_updates(params, updates)
