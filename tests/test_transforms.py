"""Parameter transforms (requirement A5.3; errata E14, E15; vectors B4)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
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
