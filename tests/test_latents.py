"""Latent samplers and paths (requirement A1.7; truncation B4b)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from truth import waves

from jaxgan import latents

KEY = jax.random.key(0)


def test_slerp_vector():
    start, end = jnp.array(waves(4)), jnp.array(waves(4, 1.5))
    path = latents.slerp(start[None], end[None], jnp.array([[0.0], [0.25], [0.5], [1.0]]))
    np.testing.assert_allclose(path[0], start, rtol=1e-5)
    np.testing.assert_allclose(path[1], [0.9108248556, -0.6560926493, 0.5293164567, -0.4606140771], rtol=1e-5)
    np.testing.assert_allclose(path[2], [0.9605863342, -0.5412698545, 0.6351285119, -0.6234167508], rtol=1e-5)
    np.testing.assert_allclose(path[3], end, rtol=1e-5)


def test_slerp_keeps_length_and_survives_parallel_directions():
    start, end = jax.random.normal(KEY, (2, 512))
    unit = lambda x: x / jnp.linalg.norm(x)
    middle = latents.slerp(unit(start), unit(end), 0.5)
    np.testing.assert_allclose(jnp.linalg.norm(middle), 1.0, rtol=1e-5)
    np.testing.assert_allclose(latents.slerp(start, start, 0.5), start, rtol=1e-5)
    assert np.isfinite(jax.grad(lambda x: latents.slerp(x, start, 0.3).sum())(start)).all()


def test_lerp():
    np.testing.assert_allclose(latents.lerp(jnp.zeros(3), jnp.full(3, 2.0), 0.25), 0.5)


@pytest.mark.parametrize(
    "threshold, std", [(0.04, 0.0230915), (0.5, 0.2838823), (1.0, 0.5395601), (1.5, 0.7426469), (2.0, 0.8796257)]
)
def test_truncation_b4b(threshold, std):
    """E18: each component is redrawn until it lies within the threshold; nothing is clipped to the edge."""
    z = np.asarray(latents.truncated(100, threshold)(KEY, 4000))
    assert np.abs(z).max() <= threshold
    assert np.mean(np.abs(z) > 0.999 * threshold) < 0.01
    np.testing.assert_allclose(z.std(), std, rtol=0.005)


@pytest.mark.parametrize(
    "threshold, accepted", [(0.04, 0.0319069), (0.5, 0.3829249), (1.0, 0.6826895), (1.5, 0.8663856), (2.0, 0.9544997)]
)
def test_truncated_latents_are_the_normal_ones_that_are_accepted_b4b(threshold, accepted):
    """B4b's share of accepted components is that of normal ones; those have the law of truncated ones, edges included."""
    z = np.abs(np.asarray(latents.normal(100)(KEY, 20_000)).ravel())
    kept = np.sort(z[z <= threshold])
    np.testing.assert_allclose(len(kept) / z.size, accepted, atol=4 * np.sqrt(accepted * (1 - accepted) / z.size))
    redrawn = np.sort(np.abs(np.asarray(latents.truncated(len(kept), threshold)(jax.random.key(1), 1))[0]))
    np.testing.assert_allclose(redrawn, kept, atol=threshold * 2 / np.sqrt(len(kept)))  # the 95 % band of sorted uniforms is 1.4


def test_labels_for_sampling_take_turns():
    """Number i is of class i mod K, however many are asked for; latents are those of the sampler itself."""
    draw = latents.with_labels(latents.truncated(3, 0.5), 4)
    z, label = draw(KEY, 10)
    np.testing.assert_array_equal(label, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    assert label.dtype == jnp.int32
    np.testing.assert_array_equal(z, latents.truncated(3, 0.5)(KEY, 10))
    np.testing.assert_array_equal(draw(KEY, 256)[1][:10], label)


def test_samplers():
    assert latents.normal(7)(KEY, 5).shape == (5, 7)
    u = latents.uniform(50)(KEY, 400)
    assert -1 <= u.min() < -0.99 and 0.99 < u.max() < 1
    labels = latents.categorical(10)(KEY, 1000)
    assert labels.shape == (1000,) and labels.dtype == jnp.int32 and set(np.unique(labels)) == set(range(10))


def test_spherical_is_uniform_on_its_sphere_a6_2():
    z = np.asarray(latents.spherical(5)(KEY, 20_000))
    np.testing.assert_allclose(np.sum(z**2, axis=1), 5, rtol=1e-5)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.03)  # 4 standard errors
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(5), atol=0.04)
    np.testing.assert_allclose(np.mean(z[:, 0] ** 4), 25 * 3 / (5 * 7), rtol=0.05)  # E z^4 of one coordinate of the sphere
    np.testing.assert_allclose(np.abs(latents.spherical(1)(KEY, 100)), 1, rtol=1e-6)


@pytest.mark.parametrize("sampler", [latents.normal(3), latents.spherical(3), latents.truncated(3, 1.0), latents.categorical(4)])
def test_asking_for_more_leaves_the_first_unchanged(sampler):
    np.testing.assert_array_equal(sampler(KEY, 256)[:64], sampler(KEY, 64))
