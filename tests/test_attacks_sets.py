"""Perturbation sets: what comes out lies in them, to the last bit of float32, and is the best there is (requirement A11.7)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog
from specimens import complaint

from jaxgan.attacks import UNBOUNDED, affine, anywhere, apgd, l1, l2, linf, patch, pgd, square

KEY = jax.random.key(3)
SHAPE = (64, 14, 14, 2)
NORMS = {"linf": np.inf, "l2": 2, "l1": 1, "affine": 2}
MASK = np.zeros((14, 14, 1), bool)
MASK[3:8, 5:9] = True
DIRECTIONS = np.random.default_rng(0).standard_normal((5, *SHAPE[1:]))
BALLS = {"linf": linf, "l2": l2, "l1": l1, "affine": partial(affine, DIRECTIONS)}


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def examples(box):
    """Float32 examples of every size: in the middle, at the box's very sides, at zero and next to it."""
    low, high = box if np.isfinite(box).all() else (-100.0, 100.0)
    rng = np.random.default_rng(1)
    x = rng.uniform(low, high, SHAPE).astype(np.float32)
    at = rng.integers(0, 10, SHAPE)
    x = np.select([at == 0, at == 1, at == 2, at == 3], [np.float32(low), np.float32(high), 0 * x, x * np.float32(1e-9)], x)
    return jnp.array(np.clip(x, low, high), jnp.float32)


def offered(allowed, x, eps):
    """Everything that a set hands out: points drawn, projected from near and far, and maximisers of dense and sparse slopes."""
    g = jax.random.normal(KEY, x.shape)
    sparse = g * (jax.random.uniform(jax.random.key(4), x.shape) < 0.02)
    project = jax.vmap(allowed.project)
    strides = {scale: x + scale * jax.vmap(allowed.stride)(g) for scale in (0.3, 1.0, 7.0)}
    return {
        "drawn": jax.vmap(allowed.random_point)(jax.random.split(KEY, len(x)), x),
        **{f"a stride of {scale}": project(z, x) for scale, z in strides.items()},
        "far": project(x + 50 * g, x),
        "near": project(x + eps * g, x),
        "spikes": project(x + 3 * eps * sparse, x),
        "again": project(project(x + eps * g, x), x),
        "dense": jax.vmap(allowed.linear_maximiser)(g, x),
        "sparse": jax.vmap(allowed.linear_maximiser)(sparse, x),
        "flat": jax.vmap(allowed.linear_maximiser)(0 * g, x),
    }


@pytest.mark.parametrize("box", [(-1.0, 1.0), UNBOUNDED], ids=str)
@pytest.mark.parametrize("name", BALLS)
def test_balls_are_kept_exactly_in_float32(name, box):
    """|z - x| <= eps (1 + 1e-6), in float64, from eps = 0 to more than the box; and the box itself, without tolerance."""
    x = examples(box)
    offers = jax.jit(lambda x, eps: offered(BALLS[name](eps, box), x, eps))
    for eps in (0.0, 1e-30, 1e-12, 1e-8, 1e-6, 1e-4, 8 / 255, 0.3, 1.0, 20.0):
        for what, z in offers(x, jnp.float32(eps)).items():
            delta = (np.asarray(z, np.float64) - np.asarray(x, np.float64)).reshape(len(x), -1)
            assert np.linalg.norm(delta, NORMS[name], axis=1).max() <= np.float64(np.float32(eps)) * (1 + 1e-6), (eps, what)
            assert box[0] <= z.min() and z.max() <= box[1], (eps, what)


@pytest.mark.parametrize("name", ["linf", "l2"])
def test_attacks_keep_their_set_exactly_in_float32(name):
    """Whole attacks, against a loss whose gradient is steep and irregular."""
    x = examples((0.0, 1.0))[:16]
    loss = lambda z: jnp.sum(jnp.sin(40 * z + jnp.arange(z[0].size).reshape(1, *z.shape[1:])), axis=(1, 2, 3))

    @jax.jit
    def found(x, eps):
        allowed = BALLS[name](eps, (0.0, 1.0))
        return [attack(loss, x, KEY) for attack in (pgd(allowed, 7), apgd(allowed, 7), square(allowed, 9))]

    for eps in np.float32([1e-6, 8 / 255]):
        for z in found(x, eps):
            delta = (np.asarray(z, np.float64) - np.asarray(x, np.float64)).reshape(len(x), -1)
            assert 0 < np.linalg.norm(delta, NORMS[name], axis=1).max() <= np.float64(eps) * (1 + 1e-6)
            assert z.min() >= 0 and z.max() <= 1


@pytest.mark.parametrize("name", [*BALLS, "patch"])
def test_projection_is_the_nearest_point(name, x64):
    """`<z - Pz, p - Pz> <= 0` for every p of a convex set, and for no other point than the projection.

    L-infinity, l1 and patches with a box, the others without: there the box is kept in ways that are not nearest.
    """
    box = (-0.4, 0.6) if name in ("linf", "l1", "patch") else UNBOUNDED
    allowed = patch(MASK, box) if name == "patch" else BALLS[name](1.5, box)
    x = jnp.array(np.random.default_rng(2).uniform(-0.4, 0.6, (20, *SHAPE[1:])))
    z = x + jax.random.normal(KEY, x.shape)
    nearest = np.asarray(jax.vmap(allowed.project)(z, x))
    assert np.linalg.norm(np.asarray(z) - nearest) > 1
    for seed in range(20):
        drawn = jax.vmap(allowed.random_point)(jax.random.split(jax.random.key(seed), len(x)), x)
        drawn = drawn if seed else jax.vmap(allowed.linear_maximiser)(z - nearest, x)
        assert np.sum((np.asarray(z) - nearest) * (drawn - nearest), axis=(1, 2, 3)).max() < 1e-8
    np.testing.assert_allclose(jax.vmap(allowed.project)(nearest, x), nearest, atol=1e-12)


@pytest.mark.parametrize("eps", [0.05, 0.7, 3.0, 50.0])
def test_linear_maximisers_are_exact_in_the_box_e23(eps, x64):
    """L1 against a linear programme, l2 against halving; both greater than a step that is clipped."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        x, g = rng.uniform(0, 1, 12), rng.standard_normal(12) * (rng.uniform(size=12) < 0.8)
        x[:3] = 0, 1, 0
        room = np.where(g > 0, 1 - x, x)
        halves = linprog(-np.abs(g), A_ub=np.ones((1, 12)), b_ub=[eps], bounds=np.stack([0 * room, room], axis=1))
        got = g @ (l1(eps, (0, 1)).linear_maximiser(jnp.array(g), jnp.array(x)) - x)
        np.testing.assert_allclose(got, -halves.fun, rtol=1e-9)

        low, high = 0.0, 1e6
        for _ in range(200):
            t = (low + high) / 2
            low, high = (t, high) if np.linalg.norm(np.minimum(t * np.abs(g), room)) <= eps else (low, t)
        got = g @ (l2(eps, (0, 1)).linear_maximiser(jnp.array(g), jnp.array(x)) - x)
        np.testing.assert_allclose(got, np.abs(g) @ np.minimum(low * np.abs(g), room), rtol=1e-9)
        assert got >= g @ (np.clip(x + eps * g / np.linalg.norm(g), 0, 1) - x) - 1e-12

        got = g @ (linf(eps, (0, 1)).linear_maximiser(jnp.array(g), jnp.array(x)) - x)
        np.testing.assert_allclose(got, np.abs(g) @ np.minimum(eps, room), rtol=1e-12)


@pytest.mark.parametrize("name", BALLS)
def test_points_are_drawn_uniformly_from_balls(name):
    """The share within radius r is r^n, n the set's dimension: the n-th power of norms is uniform on [0, 1], its mean 1/2."""
    directions = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, -1.0, 3.0]])
    allowed, n = (affine(directions, 2.0, UNBOUNDED), 2) if name == "affine" else (BALLS[name](2.0, UNBOUNDED), 4)
    points = np.asarray(jax.vmap(allowed.random_point, (0, None))(jax.random.split(KEY, 4000), jnp.zeros(4)))
    radii = np.linalg.norm(points / 2, NORMS[name], axis=1) ** n
    np.testing.assert_allclose(np.quantile(radii, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03)
    np.testing.assert_allclose(points.mean(0), 0, atol=0.1)
    signs = (points > 0) @ [1, 2, 4, 8]
    assert name == "affine" or np.bincount(signs, minlength=16).min() > 180  # of 250 in each orthant


def test_patches_change_what_they_may_and_nothing_else():
    x = examples((-1.0, 1.0))
    for what, z in jax.jit(lambda x: offered(patch(MASK, (-1.0, 1.0)), x, 1.0))(x).items():
        changed = np.asarray(z) != np.asarray(x)
        assert not (changed & ~MASK).any() and z.min() >= -1 and z.max() <= 1, what
        assert changed.any() == (what != "flat"), what
    greatest = jax.vmap(anywhere((-1.0, 1.0)).linear_maximiser)(jnp.ones_like(x), x)
    np.testing.assert_array_equal(greatest, 1)


def test_affine_perturbations_stay_in_the_span():
    """Also where the box cuts them short, which clipping would not do."""
    x = examples((0.0, 1.0))
    x = jnp.clip(x, 0.05, 0.95)
    z = jax.jit(jax.vmap(affine(DIRECTIONS, 3.0, (0.0, 1.0)).project))(x + jax.random.normal(KEY, x.shape), x)
    delta = np.asarray(z, np.float64).reshape(len(x), -1) - np.asarray(x, np.float64).reshape(len(x), -1)
    span = np.linalg.qr(DIRECTIONS.reshape(5, -1).T)[0]
    np.testing.assert_allclose(delta @ span @ span.T, delta, atol=1e-6)
    assert np.linalg.norm(delta, axis=1).min() > 1e-3 and (z.max() > 0.999 or z.min() < 0.001)


def test_no_bound_means_any_point_of_the_box():
    """An attack that may go anywhere finds a point that only a far walk reaches."""
    x = jnp.full((3, 4), 0.05)
    z = pgd(anywhere((0.0, 1.0)), 50, 0.05)(lambda z: -jnp.sum(jnp.square(z - 0.9), axis=1), x, KEY)
    np.testing.assert_allclose(z, 0.9, atol=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *((partial(ball, -0.1, (0, 1)), "eps must be a finite number of at least 0, not -0.1") for ball in (linf, l2, l1)),
        (partial(linf, float("inf"), (0, 1)), "for no bound but the box take `anywhere`"),
        (partial(linf, float("nan"), (0, 1)), "finite number of at least 0, not nan"),
        (partial(linf, jnp.ones(3), (0, 1)), "finite number"),
        (partial(linf, 0.1, (1, 0)), "a box is (least, greatest), as (0, 1), not (1, 0)"),
        (partial(l2, 0.1, (0, float("nan"))), "a box is (least, greatest)"),
        (partial(anywhere, UNBOUNDED), "need a finite box"),
        (partial(patch, np.ones((2, 2)), (0, 1)), "array of bool, not float64"),
        (partial(affine, np.ones((2, 3)), 0.1, (0, 1)), "the 2 directions of an affine set must be independent"),
        (partial(affine, np.eye(3)[:, :2], 0.1, (0, 1)), "the 3 directions"),
        (partial(affine(np.eye(3), 0.1, (0, 1)).project, jnp.ones(4), jnp.ones(4)), "[3] do not fit examples of [4]"),
        (partial(patch(MASK, (0, 1)).project, jnp.ones((9, 9, 1)), jnp.ones((9, 9, 1))), "does not fit examples of [9, 9, 1]"),
    ],
)
def test_refusals(make, message):
    assert message in complaint(make)
