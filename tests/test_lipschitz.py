"""How steep maps are (requirement A5.4; erratum E15; vectors B4)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from truth import waves

from jaxgan import lipschitz
from jaxgan.nets import conv
from jaxgan.types import UserError

KEY = jax.random.key(0)
KERNEL = jnp.array(waves((3, 3, 2, 4)), jnp.float32)
FIRST, LAST = waves((5, 4)).T, waves((1, 5), 1.3).T


def test_a_convolution_is_steeper_than_its_reshaped_kernel_e15():
    """3.36 is what spectral normalisation divides by; the operator's norm is twice that, and below 3 times."""
    reshaped = np.linalg.norm(np.asarray(KERNEL).reshape(-1, 4), 2)
    padded = lipschitz.operator_norm(lambda x: conv.conv(x, KERNEL, padding=1), (1, 8, 8, 2), KEY, 400)
    circular = lipschitz.circular_conv_norm(waves((3, 3, 2, 4)), (8, 8))
    np.testing.assert_allclose(reshaped, 3.3635991457, rtol=1e-5)
    np.testing.assert_allclose(padded, 6.4494606638, rtol=1e-4)
    np.testing.assert_allclose(circular, 6.6751349506, rtol=1e-9)
    assert padded < circular < 3 * reshaped


@pytest.mark.parametrize(("matrix", "norm"), [([[1.0, 10.0], [0.0, 1.0]], 10.0990195136), ([[0.0, 1.0], [0.0, 0.0]], 1.0)])
def test_norms_are_singular_values_not_eigenvalues_e14(matrix, norm):
    np.testing.assert_allclose(lipschitz.operator_norm(lambda x: x @ jnp.array(matrix), (2,), KEY), norm, rtol=1e-5)


def test_product_bound_exact_constant_and_samples_a5_4():
    exact = lipschitz.relu_constant(FIRST, LAST)
    critic = lambda x: (jax.nn.relu(x @ jnp.array(FIRST, jnp.float32)) @ jnp.array(LAST, jnp.float32))[:, 0]
    sampled = lipschitz.sampled_slope(critic, jax.random.normal(KEY, (4096, 4)))
    np.testing.assert_allclose(lipschitz.product_bound([FIRST, LAST]), 4.1033123665, rtol=1e-9)
    np.testing.assert_allclose(exact, 2.9361208969, rtol=1e-9)
    assert 0.5 * exact < sampled <= exact * (1 + 1e-6)


def test_mistakes_take_one_line():
    with pytest.raises(UserError, match="3x3 wraps around an image of 2x8"):
        lipschitz.circular_conv_norm(KERNEL, (2, 8))
    with pytest.raises(UserError, match="at most 20"):
        lipschitz.relu_constant(np.ones((2, 21)), np.ones((21, 1)))
