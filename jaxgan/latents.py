"""What generators start from: samplers `(key, count) -> [count, size]`, with labels or without, and paths between latents."""

import math

import jax
import jax.numpy as jnp

from jaxgan.types import Array, Sampler


def normal(size: int) -> Sampler:
    """Draws standard normal latents `[count, size]`."""
    return lambda key, count: jax.random.normal(key, (count, size))


def uniform(size: int) -> Sampler:
    """Draws latents `[count, size]` uniform on [-1, 1)."""
    return lambda key, count: jax.random.uniform(key, (count, size), minval=-1.0)


def spherical(size: int) -> Sampler:
    """Draws latents `[count, size]` uniform on the sphere of radius sqrt(size), near which normal ones lie.

    Reference:
        Karras et al., 2018, appendix A.1 (https://arxiv.org/abs/1710.10196).
    """

    def sample(key, count):
        z = jax.random.normal(key, (count, size))
        return z * (math.sqrt(size) / jnp.maximum(jnp.linalg.norm(z, axis=1, keepdims=True), jnp.finfo(z.dtype).tiny))

    return sample


def truncated(size: int, threshold: float) -> Sampler:
    """Draws standard normal latents whose every component is redrawn until it lies in [-threshold, threshold].

    Reference:
        Brock et al., 2019, section 3.1 (https://arxiv.org/abs/1809.11096).
    """
    return lambda key, count: jax.random.truncated_normal(key, -threshold, threshold, (count, size))


def categorical(num_classes: int) -> Sampler:
    """Draws class labels `[count]`, int32, uniform on 0 .. num_classes - 1."""
    return lambda key, count: jax.random.randint(key, (count,), 0, num_classes)


def with_labels(latent: Sampler, num_classes: int) -> Sampler:
    """Draws `(latents, labels)` for a conditional generator that is sampled from; labels take turns, 0 .. num_classes - 1.

    So whoever asks for `count` samples knows that number i is of class `i % num_classes`.

    Args:
        latent: draws the latents.
        num_classes: at least 1.
    """
    return lambda key, count: (latent(key, count), jnp.arange(count, dtype=jnp.int32) % num_classes)


def lerp(start: Array, end: Array, t: Array) -> Array:
    """Goes straight from `start` (t = 0) to `end` (t = 1).

    Args:
        start, end: `[..., size]`.
        t: scalar, or an array with as many axes that broadcasts against them, as `[frames, 1]` against `[1, size]`.
    """
    return start + t * (end - start)


def slerp(start: Array, end: Array, t: Array) -> Array:
    """Goes from `start` to `end` along the arc between their directions.

    High-dimensional normal latents lie near a sphere, which a straight line leaves: its middle is shorter than anything the
    generator was trained on. Falls back to `lerp` where the directions are (nearly) the same or opposite.

    Args:
        start, end: `[..., size]`.
        t: scalar, or an array with as many axes that broadcasts against them, as `[frames, 1]` against `[1, size]`.

    Reference:
        White, 2016, section 2.1 (https://arxiv.org/abs/1609.04468).
    """
    norms = jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    cosine = jnp.sum(start * end, axis=-1, keepdims=True) / jnp.maximum(norms, 1e-12)
    apart = jnp.abs(cosine) < 1 - 1e-6
    angle = jnp.arccos(jnp.where(apart, cosine, 0.0))  # the inner where keeps the unused branch's gradient finite
    arc = (jnp.sin((1 - t) * angle) * start + jnp.sin(t * angle) * end) / jnp.sin(angle)
    return jnp.where(apart, arc, lerp(start, end, t))
