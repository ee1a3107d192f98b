"""Attacks with gradients against closed forms and independent libraries' numbers (requirements A11.1, A11.6, A11.7; B7; E23)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from truth import relu_mlp, waves

from jaxgan import attacks
from jaxgan.attacks import UNBOUNDED, apgd, cross_entropy, fgsm, l1, l2, linf, misclassified, pgd
from jaxgan.attacks.gradient import checkpoints

UNIT = (0.0, 1.0)
KEY = jax.random.key(0)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def logistic():
    """The logistic model of B7: weights, one example, its loss."""
    w, x = waves(8), 0.5 + 0.48 * waves(8, 0.6)
    return w, jnp.array(x)[None], lambda z: jax.nn.softplus(-(z @ jnp.array(w) + 0.2))


def robust(classify, labels, z):
    """Accuracy, mean cross-entropy and sum of an attack's points."""
    logits = classify(z)
    right = 1 - jnp.mean(misclassified(logits, labels))
    return [float(right), float(jnp.mean(cross_entropy(logits, labels))), float(jnp.sum(z))]


def run(attack, loss, x):
    """Attacks in one program; eager operations would each be compiled."""
    return jax.jit(lambda x: attack(loss, x, KEY))(x)


@pytest.mark.parametrize(
    ("ball", "step", "worst"), [(linf, 0.1, 0.9585981391454779), (l2, 0.1, 0.7723209785041392), (l1, 3.0, 0.7156815479940912)]
)
def test_one_step_is_the_worst_case_of_a_linear_model_b7_e23(ball, step, worst, x64):
    """softplus(-(m - eps |w|*)), with the dual norm; many steps end there, too."""
    _, x, loss = logistic()
    np.testing.assert_allclose(loss(x), 0.6662169693463088, rtol=1e-12)
    allowed = ball(0.1, UNBOUNDED)
    for attack in (fgsm(allowed), pgd(allowed, 40, step, random_start=False)):
        np.testing.assert_allclose(loss(run(attack, loss, x)), worst, rtol=1e-10)


def test_many_steps_on_a_linear_model_end_at_the_fgsm_point_b7(x64):
    w, x, loss = logistic()
    expected = np.asarray(x) - 0.1 * np.sign(w)
    for attack in (fgsm(linf(0.1, UNBOUNDED)), pgd(linf(0.1, UNBOUNDED), 4, 0.25, random_start=False)):
        np.testing.assert_allclose(run(attack, loss, x), expected, atol=1e-15)


def test_fgsm_in_the_box_b7(x64):
    _, x, loss = logistic()
    z = run(fgsm(linf(0.2, UNIT)), loss, x)
    np.testing.assert_allclose(z[0], [0.5710283872, 1, 0, 0.6163231450, 1, 0.8830002360, 0.2667737881, 0.6095504318], atol=1e-10)
    np.testing.assert_allclose(loss(z), 1.2809016052572193, rtol=1e-12)


@pytest.mark.parametrize(("ball", "flip"), [(linf, 0.0103103603), (l2, 0.0263614978)])
def test_least_radius_that_flips_a_linear_model_b7(ball, flip, x64):
    w, x, loss = logistic()
    flipped = lambda eps: run(fgsm(ball(eps, UNBOUNDED)), loss, x)[0] @ jnp.array(w) + 0.2 < 0
    assert not flipped(flip * (1 - 1e-6)) and flipped(flip * (1 + 1e-6))


B7 = {  # eps: FGSM, PGD10 by eps / 4, PGD40 by eps / 10, L2-PGD40 of radius 3 eps: accuracy, mean loss, sum of points
    0.02: [
        (0.828125, 0.7516807144788751, 317.54248123442335),
        (0.796875, 0.752339453722221, 317.6324812344234),
        (0.796875, 0.7523905536267632, 317.63848123442335),
        (0.765625, 0.763018737533966, 317.9573580016526),
    ],
    0.05: [
        (0.546875, 0.8696527772147522, 316.9424812344233),
        (0.53125, 0.874458615380263, 317.16748123442335),
        (0.53125, 0.874915824907216, 317.0724812344233),
        (0.5, 0.9039119402657021, 317.84194316663746),
    ],
    0.1: [
        (0.296875, 1.0706620026015832, 316.0710745466426),
        (0.3125, 1.0887219990546844, 315.9098712596499),
        (0.3125, 1.0876154025445803, 315.4948712596499),
        (0.203125, 1.1621695656331235, 316.92740713968163),
    ],
    0.2: [
        (0.09375, 1.458199121251487, 313.7698152603268),
        (0.078125, 1.5346495490056467, 313.35654529264957),
        (0.078125, 1.5455111770666472, 313.07537833652884),
        (0.015625, 1.7689392253731142, 312.287607973901),
    ],
}


@pytest.mark.parametrize("eps", B7)
def test_relu_network_b7_a11_1(eps, x64):
    """As foolbox 3.3.4 and torchattacks 3.5.1 have them: accuracy, mean loss and the points themselves."""
    classify, x, labels = relu_mlp()
    ball, wide = linf(eps, UNIT), l2(3 * eps, UNIT)
    climb = partial(pgd, random_start=False)
    for attack, expected in zip([fgsm(ball), climb(ball, 10, 1 / 4), climb(ball, 40, 1 / 10), climb(wide, 40, 1 / 5)], B7[eps]):
        found = run(attack, lambda z: cross_entropy(classify(z), labels), x)
        np.testing.assert_allclose(robust(classify, labels, found), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("eps", "hits", "loss"),
    [
        (0.02, 0.0625, 1.40486632284267),
        (0.05, 0.25, 1.2501134362368314),
        (0.1, 0.515625, 1.034001585739878),
        (0.2, 0.84375, 0.7121757658882697),
    ],
)
def test_targeted_b7_a11_1(eps, hits, loss, x64):
    classify, x, labels = relu_mlp()
    target = (labels + 1) % 3
    z = run(pgd(linf(eps, UNIT), 10, 0.25, random_start=False), lambda z: -cross_entropy(classify(z), target), x)
    np.testing.assert_allclose(robust(classify, target, z)[:2], [hits, loss], rtol=1e-9)


def test_trades_and_mixed_losses_b7_a11_6_e26(x64):
    clean, adv, labels = jnp.array(waves((4, 3))), jnp.array(1.5 * waves((4, 3), 1.6)), jnp.array([0, 1, 2, 1])
    on_clean, on_adv = (float(jnp.mean(cross_entropy(logits, labels))) for logits in (clean, adv))
    gap, reverse = float(jnp.mean(attacks.kl(clean, adv))), float(jnp.mean(attacks.kl(adv, clean)))
    np.testing.assert_allclose([on_clean, on_adv], [0.9180525732879814, 1.6743922631585106], rtol=1e-12)
    np.testing.assert_allclose([gap, reverse], [0.28990268388135493, 0.286907995920744], rtol=1e-12)
    np.testing.assert_allclose(on_clean + gap, 1.2079552571693364, rtol=1e-12)
    np.testing.assert_allclose(on_clean + 6 * gap, 2.657468676576111, rtol=1e-12)
    np.testing.assert_allclose(0.5 * on_clean + 0.5 * on_adv, 1.296222418223246, rtol=1e-12)


def test_the_weak_features_of_the_trade_off_toy_b7():
    """Tsipras et al., 2019: ten features N(.3 y, 1) name y by their mean, until they may move by .6."""
    y = np.tile([1.0, -1.0], 10_000)
    x = jnp.array(0.3 * y[:, None] + np.random.default_rng(0).standard_normal((20_000, 10)), jnp.float32)
    loss = lambda z: jax.nn.softplus(-jnp.array(y, jnp.float32) * jnp.mean(z, axis=1))
    right = lambda z: float(np.mean(np.asarray(jnp.mean(z, axis=1)) * y > 0))
    assert right(x) == pytest.approx(0.8286091444, abs=0.01)
    assert right(fgsm(linf(0.6, UNBOUNDED))(loss, x, KEY)) == pytest.approx(0.1713908556, abs=0.01)


def test_losses():
    logits, labels = jnp.array([[3.0, 1.0, 0.0, -1.0], [2.0, 5.0, 1.0, 4.0]]), jnp.array([0, 0])
    np.testing.assert_allclose(attacks.margin(logits, labels), [-2, 3])
    np.testing.assert_allclose(attacks.dlr(logits, labels), [-2 / 3, 3 / 3], rtol=1e-6)
    np.testing.assert_allclose(attacks.dlr(10 * logits + 7, labels), attacks.dlr(logits, labels), rtol=1e-5)
    np.testing.assert_array_equal(misclassified(logits, labels), [False, True])
    optaxs = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    np.testing.assert_allclose(cross_entropy(logits, labels), optaxs, rtol=1e-6)


def test_cross_entropy_shows_the_way_where_softmax_is_sure():
    """At a margin of 40 `softmax - 1` is zero in float32; the gradient's direction is that of float64 all the same."""
    logits, labels = jnp.array([[40.0, 0.0, -1.0], [-3.0, 9.0, 60.0]]), jnp.array([0, 2])
    got = np.asarray(jax.grad(lambda logits: jnp.sum(cross_entropy(logits, labels)))(logits), np.float64)
    exact = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    exact[[0, 1], [0, 2]] = [-exact[0, 1:].sum(), -exact[1, :2].sum()]
    np.testing.assert_allclose(got, exact, rtol=1e-5)


def test_apgd_looks_back_when_the_paper_says():
    """Croce and Hein, 2020, section 3.1: w = ceil(p N), p = 0, .22, .41, .57, .70, .80, .87, .93, .99."""
    assert [step for step, _ in checkpoints(100)] == [22, 41, 57, 70, 80, 87, 93, 99]
    assert [span for _, span in checkpoints(100)] == [22, 19, 16, 13, 10, 7, 6, 6]
    assert list(checkpoints(1)) == [(1, 1)]


def test_apgd_halves_its_step_where_the_loss_is_a_narrow_peak():
    """A peak that steps of PGD's length hop about: after halving, APGD comes a hundred times nearer."""
    x = jnp.zeros((1, 2))
    away = lambda z: jnp.linalg.norm(z - jnp.array([[0.3137, -0.1731]]), axis=1)
    loss = lambda z: -away(z)
    ball = linf(1.0, UNBOUNDED)
    assert away(run(pgd(ball, 100, 0.5, random_start=False), loss, x)) > 0.05
    assert away(run(apgd(ball, 100, random_start=False), loss, x)) < 0.03
    worse_at_the_end = lambda z: jnp.where(jnp.max(jnp.abs(z), axis=1) > 0.9, -5.0, -away(z))
    assert worse_at_the_end(run(apgd(ball, 1, random_start=False), worse_at_the_end, x)) > -5  # the best point, not the last
