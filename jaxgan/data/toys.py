"""Points on the line and in the plane: mixtures of Gaussians whose modes can be counted.

The protocol is PacGAN's: 8 modes on a circle, or 25 on a grid, each drawn with the same probability; the line is a row of the
grid. Other ports differ in sigma, so state sigma with every result.

Reference:
    Lin et al., 2018, section 4.1 (https://arxiv.org/abs/1712.04086).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.types import Array

HELD_OUT = (0, 2**32 - 1)  # seed and step of the points to judge by: no training gets that far


class Mixture(NamedTuple):
    """Equally likely round Gaussians; an inexhaustible source of examples.

    Attributes:
        centres: float64 `[modes, dimensions]`; a point's label is the row it was drawn from.
        sigma: standard deviation of every mode along each axis.
    """

    centres: np.ndarray
    sigma: float


def line_modes() -> Mixture:
    """Returns the line: 5 modes at -4, -2, 0, 2 and 4, sigma 0.05."""
    return Mixture(np.arange(-4.0, 5, 2)[:, None], 0.05)


def ring_modes() -> Mixture:
    """Returns the ring: mode k of 8 at angle 2 pi k / 8 on the unit circle, sigma 0.01."""
    angle = 2 * np.pi * np.arange(8) / 8  # without the endpoint: linspace(0, 2 pi, 8) has only 7 distinct modes
    return Mixture(np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.01)


def grid_modes() -> Mixture:
    """Returns the grid: 25 modes on {-4, -2, 0, 2, 4}^2, first coordinate slowest, sigma 0.05."""
    return Mixture(np.array([[x, y] for x in range(-4, 5, 2) for y in range(-4, 5, 2)], float), 0.05)


@functools.partial(jax.jit, static_argnames=("sigma", "lead"))
def draw(centres: Array, sigma: float, address: Array, lead: tuple[int, ...]) -> dict[str, Array]:
    """Draws points and the modes they came from.

    Args:
        centres: float32 `[modes, dimensions]`.
        sigma: > 0.
        address: uint32 `[2]`: seed and step. Different addresses give independent draws.
        lead: leading axes of what is drawn.

    Returns:
        `{"real": float32 [*lead, dimensions], "label": int32 [*lead]}`.
    """
    which, where = jax.random.split(jax.random.fold_in(jax.random.key(address[0]), address[1]))
    label = (jax.random.bits(which, lead) % len(centres)).astype(jnp.int32)  # uneven by 1e-8, and compiles faster than randint
    noise = jax.random.normal(where, (*lead, centres.shape[1]), jnp.float32)
    return {"real": jnp.take(centres, label, axis=0, mode="clip") + sigma * noise, "label": label}
