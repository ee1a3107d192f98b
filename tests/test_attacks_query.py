"""Attacks that ask for values only, and suites of attacks, on real digits (requirements A11.3, A11.4, A11.8; erratum E24)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from specimens import complaint

from jaxgan import attacks
from jaxgan.attacks import cross_entropy, linf, margin, misclassified, moved, nes, occlusions, pgd, rotations, spatial, square
from jaxgan.attacks.losses import rivals

UNIT = (0.0, 1.0)
KEY = jax.random.key(0)
DIGITS = load_digits()
IMAGES = (DIGITS.images / 16).astype(np.float32)[..., None]
LABELS = DIGITS.target
X, Y = jnp.array(IMAGES[-200:]), jnp.array(LABELS[-200:])


def ridge(rows):
    """Fits a linear classifier to one-hot labels of some digits; [65, 10], the last row is the offset."""
    inputs = np.append(IMAGES[rows].reshape(len(IMAGES[rows]), -1), np.ones((len(IMAGES[rows]), 1)), axis=1)
    weights = np.linalg.solve(inputs.T @ inputs + 10 * np.eye(65), inputs.T @ np.eye(10)[LABELS[rows]])
    return weights.astype(np.float32)


def linear(weights, z):
    return 10 * (z.reshape(len(z), -1) @ weights[:-1] + weights[-1:])


WEIGHTS = ridge(slice(0, 800))
classify = partial(linear, jnp.array(WEIGHTS))
loss = lambda z: cross_entropy(classify(z), Y)
failed = lambda z: misclassified(classify(z), Y)


def run(attack, loss, x):
    return jax.jit(lambda x: attack(loss, x, KEY))(x)


class Opaque:
    """A classifier that takes and gives numpy arrays and nothing else, as a program on another machine would."""

    calls = 0

    def __call__(self, z):
        assert type(z) is np.ndarray
        self.calls += 1
        return linear(WEIGHTS, z)

    def loss(self, z):
        logits = self(z)
        others = np.where(np.arange(10) == LABELS[-200:, None], -np.inf, logits)
        return others.max(axis=1) - logits[np.arange(200), LABELS[-200:]]

    def failed(self, z):
        return self(z).argmax(axis=1) != LABELS[-200:]


@pytest.mark.parametrize(
    ("grid", "least"),
    [(rotations(range(-30, 31, 10), (-1, 0, 1)), 0.5), (occlusions((8, 8, 1), 3), 0.2)],
    ids=["rotations", "patches"],
)
def test_a_grid_fools_an_opaque_host_function_a11_4_e24(grid, least):
    """No gradient, no tracing: the model sees numpy arrays, once a transformation."""
    model, x = Opaque(), IMAGES[-200:]
    clean = model.failed(x).mean()
    model.calls = 0
    z = spatial(grid)(model.loss, x, KEY)
    assert model.calls == len(grid) + 1
    assert clean < 0.15 and model.failed(z).mean() > clean + least
    assert (model.loss(z) >= model.loss(x)).all()
    with pytest.raises(jax.errors.TracerArrayConversionError):
        pgd(linf(0.1, UNIT), 1)(lambda z: model.loss(np.asarray(z)), X, KEY)


def test_a_grid_prefers_a_success_to_a_higher_loss():
    model, x = Opaque(), IMAGES[-200:]
    contrary = lambda z: np.where(model.failed(z), -1.0, 1.0)
    grid = rotations((-20, 20), (0,))
    aim = attacks.Aim(lambda z: (contrary(z), model.failed(z)))
    assert model.failed(spatial(grid)(aim, x, KEY)).mean() > model.failed(x).mean() + 0.1
    np.testing.assert_array_equal(
        model.failed(spatial(grid)(contrary, x, KEY)), model.failed(x) & model.failed(grid[0](x)) & model.failed(grid[1](x))
    )


def test_turns_and_shifts_are_exact_where_no_pixel_is_cut():
    x = np.random.default_rng(0).uniform(size=(3, 6, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(moved(x, 90.0, 0.0, 0.0, 0.0), np.rot90(x, axes=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(moved(x, 180.0, 0.0, 0.0, 0.0), x[:, ::-1, ::-1], atol=1e-5)
    shifted = np.full_like(x, -1)
    shifted[:, 2:, :-1] = x[:, :-2, 1:]
    np.testing.assert_allclose(moved(x, 0.0, 2.0, -1.0, -1.0), shifted, atol=1e-6)
    half = moved(x, 0.0, 0.0, 0.5, 0.0)
    np.testing.assert_allclose(half[:, :, 1:], (x[:, :, 1:] + x[:, :, :-1]) / 2, atol=1e-6)


def test_occlusions_cover_every_pixel_and_leave_the_rest():
    x = np.ones((1, 7, 5, 1), np.float32)
    changed = [np.asarray(change(x)) != 1 for change in occlusions((7, 5, 1), 3, fill=-1.0)]
    assert all(mask.sum() == 9 for mask in changed) and np.any(changed, axis=0).all()
    assert len(changed) == 5 * 3 and (x == 1).all()


@pytest.mark.parametrize("attack", [nes(linf(0.1, UNIT), 10, 50), square(linf(0.1, UNIT), 300)], ids=["nes", "square"])
def test_queries_need_no_gradient_a11_4(attack):
    """The loss is a callback to the host, which JAX cannot differentiate; it fools most digits all the same."""

    def on_host(z):
        value = lambda z: np.asarray(margin(classify(jnp.array(np.asarray(z))), Y))
        return jax.pure_callback(value, jax.ShapeDtypeStruct(z.shape[:1], z.dtype), z, vmap_method="sequential")

    with pytest.raises(ValueError, match="Pure callbacks do not support JVP"):
        jax.grad(lambda z: jnp.sum(on_host(z)))(X)
    assert jnp.mean(failed(run(attack, on_host, X))) > jnp.mean(failed(X)) + 0.3


def test_nes_estimates_the_gradient():
    """Against a linear loss one long step of l2 goes along the estimate, whose direction nears that of the gradient."""
    w = jax.random.normal(KEY, (64,))
    linear_loss = lambda z: z.reshape(len(z), -1) @ w
    angles = []
    for samples in (20, 2000):
        attack = nes(attacks.l2(1.0, attacks.UNBOUNDED), 1, samples, step=1.0)
        moved_by = (run(attack, linear_loss, X) - X).reshape(len(X), -1)
        angles.append(float(jnp.mean(moved_by @ w / jnp.linalg.norm(w))))
    np.testing.assert_allclose(angles, [np.sqrt(20 / (20 + 65)), np.sqrt(2000 / (2000 + 65))], atol=0.03)


def test_square_moves_by_all_that_is_allowed_and_its_windows_shrink():
    """A fine chequered pattern is only met by small windows; large ones match half of it."""
    x = jnp.full((8, 8, 8, 1), 0.5)
    pattern = jnp.array((-1.0) ** np.add.outer(np.arange(8), np.arange(8)))[None, :, :, None]
    z = run(square(linf(0.1, UNIT), 2000), lambda z: jnp.sum(pattern * (z - 0.5), axis=(1, 2, 3)), x)
    np.testing.assert_allclose(jnp.abs(z - x), 0.1, atol=1e-6)
    assert jnp.mean(jnp.sign(z - x) * pattern) > 0.8


@pytest.mark.slow
def test_square_takes_what_is_better_and_nothing_else():
    few, many = (run(square(linf(0.1, UNIT), steps), lambda z: margin(classify(z), Y), X) for steps in (1, 200))
    assert (margin(classify(many), Y) > margin(classify(few), Y)).mean() > 0.9
    for rank in (2, 3, 5):  # points, rows of numbers, clips of images
        x = jnp.full((4, 6, 6, 6, 2)[:rank], 0.5)
        assert (
            jnp.sum(run(square(linf(0.1, UNIT), 60), lambda z: z.reshape(4, -1).sum(1), x) - x, axis=range(1, rank)) > 0
        ).all()


def test_attacks_transfer_better_than_noise_a11_3():
    """Two classifiers of disjoint digits: source in rows, target in columns; noise of the same eps does little."""
    models = [partial(linear, jnp.array(ridge(rows))) for rows in (slice(0, 800), slice(800, 1597))]
    aims = [attacks.untargeted(model, Y) for model in models]
    matrix = np.asarray(jax.jit(lambda x: attacks.transfer(pgd(linf(0.1, UNIT), 10), aims, x, KEY))(X))
    noise = jnp.clip(X + 0.1 * jax.random.rademacher(KEY, X.shape, X.dtype), 0, 1)
    by_noise = np.array([jnp.mean(aim.success(noise)) for aim in aims])
    assert "an Aim of each model" in complaint(attacks.transfer, pgd(linf(0.1, UNIT), 1), [loss], X, KEY)
    assert matrix.shape == (2, 2) and (np.diag(matrix) >= matrix.max(axis=0)).all()
    assert matrix[0, 1] > by_noise[1] + 0.15 and matrix[1, 0] > by_noise[0] + 0.15


@pytest.mark.slow
def test_a_suite_is_as_strong_as_its_strongest_member_on_each_example():
    members = attacks.ensemble(linf(0.05, UNIT), 10, steps=10, queries=50)
    assert list(members) == ["fgsm", "pgd", "apgd", "apgd_dlr", "apgd_margin", "apgd_targeted", "square"]
    found = jax.jit(lambda x, y, key: attacks.worst_case(members, classify, x, y, key))(X, Y, KEY)
    assert set(found.fooled) == set(members)
    by_any = np.any([np.asarray(hits) for hits in found.fooled.values()], axis=0)
    np.testing.assert_array_equal(failed(found.x_adv), by_any)
    assert 0.2 < by_any.mean() < 1 and all(hits.mean() > 0.1 for hits in found.fooled.values())
    assert (loss(found.x_adv)[~by_any] > loss(X)[~by_any]).all()  # the rest is as bad as it gets
    assert not {"apgd_dlr", "apgd_targeted"} & set(attacks.ensemble(linf(0.05, UNIT), 2))
    assert "at least one" in complaint(attacks.worst_case, {}, classify, X, Y, KEY)


def test_an_attack_is_aimed_at_the_likeliest_wrong_classes_one_after_the_other():
    """Classes 1 and 2 lie nearer, but only class 3 can be reached; of two that can be, the likelier one is."""
    x, labels = jnp.zeros((2, 2)), jnp.zeros(2, jnp.int32)
    reach = lambda z: jnp.array([[1, 0.9, 0.8, 0.1, 0]]) + z @ jnp.array([[0.0, 0, 0, 20, 0], [0, 0, 0, 0, 10]])
    np.testing.assert_array_equal(rivals(reach(x), labels, 3), [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(rivals(reach(x), labels + 1, 2), [[0, 2]] * 2)
    many = {"aimed": attacks.Member(attacks.fgsm(linf(0.2, (-1, 1))), attacks.margin, 5)}
    assert "more than the 4 wrong classes" in complaint(attacks.worst_case, many, reach, x, labels, KEY)
    for targets, reached in ((2, False), (3, True), (4, True)):
        aimed = {"aimed": attacks.Member(attacks.apgd(linf(0.2, (-1, 1)), 5, random_start=False), attacks.margin, targets)}
        found = attacks.worst_case(aimed, reach, x, labels, KEY)
        assert found.fooled["aimed"].tolist() == [reached] * 2
        if reached:
            np.testing.assert_array_equal(jnp.argmax(reach(found.x_adv), axis=1), 3)


def honest(z):
    return classify(z)


def stepped(z):
    """The same model of inputs rounded to eighths: hardly another one, but its gradient is zero everywhere."""
    return classify(jnp.round(8 * z) / 8)


@pytest.mark.slow
def test_masked_gradients_are_seen_a11_8():
    judge = lambda model, eps=0.1: attacks.masking(lambda eps: linf(eps, UNIT), eps, model, X, Y, KEY, (2, 5, 20), queries=200)
    passed, success = judge(honest)
    assert passed == dict.fromkeys(("more_steps", "larger_eps", "unbounded", "gradient_free", "multi_step"), True)
    assert success["unbounded"] == 1 and success["eps_x0.25"] < success["pgd_20"] <= success["eps_x2"]
    passed, success = judge(stepped)
    assert not passed["gradient_free"] and not passed["unbounded"]
    assert success["square"] > success["pgd_20"] + 0.2
    assert "must be positive" in complaint(judge, honest, 0.0)
    unit = lambda eps: linf(eps, UNIT)
    assert "leave the box (0, 1)" in complaint(attacks.masking, unit, 0.1, honest, 2 * X - 1, Y, KEY)
    assert "not empty" in complaint(attacks.masking, unit, 0.1, honest, X, Y, KEY, ())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(occlusions, (8, 8), 9), "a square of side 9 does not fit in an image of 8x8"),
        (partial(occlusions, (8, 8), 0), "a square of side 0"),
        (partial(spatial([]), loss, np.ones((2, 8, 8), np.float32), KEY), "images are floating-point [batch, height, width"),
        (partial(spatial([]), loss, np.ones((2, 8, 8, 1), np.uint8), KEY), "not uint8[2, 8, 8, 1]"),
        (partial(spatial([]), np.sum, IMAGES[:2], KEY), "the loss must give one value an example, [2]"),
    ],
)
def test_refusals(call, message):
    assert message in complaint(call)
