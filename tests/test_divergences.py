"""Divergences against the f-GAN table (A2.1, A2.2, A2.7, A3.1-A3.4, A4.4; errata E8, E28, E32-E34; B1, B1b, B2, B3a)."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm
from truth import waves

from jaxgan import divergences
from jaxgan.types import UserError

ROWS = {
    "total_variation": divergences.total_variation,
    "kl": divergences.kl,
    "reverse_kl": divergences.reverse_kl,
    "pearson": divergences.pearson,
    "neyman": divergences.neyman,
    "squared_hellinger": divergences.squared_hellinger,
    "jeffrey": divergences.jeffrey,
    "jensen_shannon": divergences.jensen_shannon,
    "weighted_jensen_shannon": partial(divergences.weighted_jensen_shannon, 0.3),
    "goodfellow": divergences.goodfellow,
    "alpha_-1": partial(divergences.alpha, -1.0),
    "alpha_0.5": partial(divergences.alpha, 0.5),
    "alpha_2": partial(divergences.alpha, 2.0),
    "alpha_3": partial(divergences.alpha, 3.0),
}
every_row = pytest.mark.parametrize("name", ROWS)
OWN = ["kl", "reverse_kl", "pearson", "jeffrey", "jensen_shannon", "alpha_0.5"]  # whose generators stand for a user's
INF = float("inf")
ENDS = {  # the ends of dom f*, closed by rounding
    "total_variation": (-0.5, 0.5),
    "reverse_kl": (-INF, 0),
    "neyman": (-INF, 1),
    "squared_hellinger": (-INF, 1),
    "jensen_shannon": (-INF, np.log(2)),
    "weighted_jensen_shannon": (-INF, -0.3 * np.log(0.3)),
    "goodfellow": (-INF, 0),
    "alpha_-1": (-INF, 0.5),
    "alpha_0.5": (-INF, 2),
}
RATIOS = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 1.5, 2, 4, 10])
SCORES = np.array([-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3])
PRINTED = {"rtol": 4e-10, "atol": 6e-11}  # half a unit in the tenth printed digit

unit = partial(norm.logpdf, loc=0, scale=1)
shifted = partial(norm.logpdf, loc=1, scale=1)
wide = partial(norm.logpdf, loc=0.5, scale=1.5)
PAIRS = {"A": (unit, shifted), "B": (unit, wide), "B'": (wide, unit)}
UNIFORM, TILTED, HALVES = [0.25] * 4, [0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.125, 0.125]


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def slopes(curve, x):
    """Derivative of an elementwise function at each x."""
    return jax.jit(jax.grad(lambda x: jnp.sum(curve(x))))(jnp.array(x))


def gauss(low, high, panels):
    """Nodes and weights of composite Gauss-Legendre."""
    x, w = np.polynomial.legendre.leggauss(16)
    half = (high - low) / panels / 2
    middles = low + half * (1 + 2 * np.arange(panels))[:, None]
    return (middles + half * x).ravel(), np.tile(half * w, panels)


def bound(score, divergence, p=unit, q=shifted):
    """`E_P g(V) - E_Q f*(g(V))`, with panels that end where the conjugates of Pearson, alpha 2 and 3 meet their constants."""
    x, w = gauss(-30.0, 31.0, 305)
    return w @ (np.exp(p(x)) * divergence.activation(score(x)) - np.exp(q(x)) * divergence.fake_cost(score(x)))


# fmt: off
TABLE = {  # f(.5), f(2), D(A), D(B), D(B'), D(d1), D(d2), bound at V = .3 - .5 x on A; None where the integral diverges
    "total_variation":
        (.25, .5, .3829249225, .2377806358, .2377806358, .2, .45, .2037556295),
    "kl":
        (-.3465735903, 1.386294361, .5, .1832428859, .3445348919, .1064401353, .5223284436, -.0412977553),
    "reverse_kl":
        (.6931471806, -.6931471806, .5, .3445348919, .1832428859, .1217772743, .6056774007, .3605429792),
    "pearson":  # the bound is that of the conjugate over u >= 0; with t^2/4 + t everywhere it would be .4275
        (.25, 1, 1.718281828, .2917234099, None, .2, 1.18, .4275011443),
    "neyman":
        (.5, .5, 1.718281828, None, .2917234099, .3020833333, 1.903645833, .4410485970),
    "squared_hellinger":
        (.0857864376, .1715728753, .2350061948, .1150617580, .1150617580, .0563805489, .2710608789, .2327994929),
    "jeffrey":
        (.3465735903, .6931471806, 1, .5277777778, .5277777778, .2282174096, 1.128005844, .4342555373),
    "jensen_shannon":
        (.0849495184, .1698990368, .2228429644, .1058097775, .1058097775, .0557312269, .2612019372, .1740061803),
    "weighted_jensen_shannon":
        (.0341690130, .0748147645, .0949104739, .0414545440, .0489997006, .0228871829, .1081190071, -.0041049626),
    "goodfellow":
        (-.9547712524, -1.909542505, -1.163451397, -1.280484584, -1.280484584, -1.330563134, -1.125092424, -1.212288181),
    "alpha_-1":
        (.25, .25, .8591409142, None, .1458617049, .1510416667, .9518229167, .1850472857),
    "alpha_0.5":
        (.1715728753, .3431457505, .4700123897, .2301235160, .2301235160, .1127610979, .5421217578, -2.023143916),
    "alpha_2":
        (.125, .5, .8591409142, .1458617049, None, .1, .59, .3572015179),
    "alpha_3":
        (.1041666667, .6666666667, 3.180922821, .1355709632, None, .1, .826, .3249254674),
}
# fmt: on


@every_row
def test_generators_b1(name):
    """In float32, the type that critics train in."""
    np.testing.assert_allclose(ROWS[name]().generator(jnp.array([0.5, 2.0])), TABLE[name][:2], rtol=1e-5)


@every_row
def test_divergences_b1_a3_1(name, x64):
    _, _, a, b, reverse, tilted, halves, _ = TABLE[name]
    divergence = ROWS[name]()
    for pair, expected in (("A", a), ("B", b), ("B'", reverse)):
        if expected is not None:
            measured = divergences.f_divergence_of_densities(*PAIRS[pair], divergence)
            np.testing.assert_allclose(measured, expected, **PRINTED)
    np.testing.assert_allclose(divergences.f_divergence(TILTED, UNIFORM, divergence), tilted, **PRINTED)
    np.testing.assert_allclose(divergences.f_divergence(TILTED, HALVES, divergence), halves, **PRINTED)


@every_row
def test_bound_of_a_given_critic_b1_a3_3(name, x64):
    measured = bound(lambda x: 0.3 - 0.5 * x, ROWS[name]())
    np.testing.assert_allclose(measured, TABLE[name][-1], **PRINTED)
    assert measured < TABLE[name][2]


@every_row
def test_no_critic_exceeds_the_divergence_e32(name, x64):
    """E32: the bound holds for any V; here V are irregular functions on nine cells."""
    divergence = ROWS[name]()
    p, q = np.exp(waves(9)), np.exp(waves(9, 1.3, 0.5))
    p, q = p / p.sum(), q / q.sum()
    most = divergences.f_divergence(p, q, divergence)
    for k in range(20):
        score = 2 * waves(9, 0.7 + k, k) + (k - 10) / 4
        assert p @ divergence.activation(score) - q @ divergence.fake_cost(score) < most


@every_row
def test_the_best_critic_attains_it_e32_a3_3(name, x64):
    divergence = ROWS[name]()
    x, w = gauss(-15.0, 15.5, 305)
    best = divergences.optimal_critic(unit(x), shifted(x), divergence)
    attained = w @ (np.exp(unit(x)) * best - np.exp(shifted(x)) * divergence.conjugate(best))
    np.testing.assert_allclose(attained, divergences.f_divergence_of_densities(unit, shifted, divergence), atol=1e-8)


@every_row
def test_conjugate_is_the_supremum_a3_2(name, x64):
    divergence = ROWS[name]()
    t = np.asarray(divergence.activation(SCORES[1:-1]))[:, None]
    u = np.exp(np.linspace(-25, 25, 200_001))  # 1 is among them, where total variation has its kink
    supremum = np.max(u * t - np.asarray(divergence.generator(u)), axis=1)
    np.testing.assert_allclose(divergence.conjugate(t[:, 0]), supremum, rtol=1e-7, atol=1e-7)


@every_row
def test_conjugate_is_convex_and_increasing_a3_2(name, x64):
    low, high = ENDS.get(name, (-6, 6))
    t = jnp.linspace(max(low, -6) + 1e-2, high - 1e-2, 4880)
    values = ROWS[name]().conjugate(t)
    assert (jnp.diff(values) >= -1e-12).all()
    assert (jnp.diff(values, 2) >= -1e-12).all()


@every_row
def test_fenchel_equality(name, x64):
    divergence, u = ROWS[name](), jnp.array(RATIOS)
    best = divergence.derivative(u)
    np.testing.assert_allclose(u * best - divergence.conjugate(best), divergence.generator(u), atol=2e-14)


@every_row
def test_derivatives(name, x64):
    divergence, u = ROWS[name](), jnp.array(RATIOS)
    np.testing.assert_allclose(slopes(divergence.generator, u), divergence.derivative(u), rtol=1e-12, atol=1e-15)
    if name != "total_variation":  # its best T are the ends of the domain, where the slope jumps
        np.testing.assert_allclose(slopes(divergence.conjugate, divergence.derivative(u)), u, rtol=1e-12)
    np.testing.assert_allclose(divergence.threshold, divergence.derivative(1.0), atol=1e-15)


def test_thresholds_b1():
    expected = {"kl": 1, "reverse_kl": -1, "goodfellow": -np.log(2)}
    assert {name: make().threshold for name, make in ROWS.items()} == {name: expected.get(name, 0) for name in ROWS}


@every_row
def test_fake_cost_is_the_composition(name, x64):
    divergence = ROWS[name]()
    naive = lambda v: divergence.conjugate(divergence.activation(v))
    np.testing.assert_allclose(divergence.fake_cost(jnp.array(SCORES)), naive(jnp.array(SCORES)), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes(divergence.fake_cost, SCORES), slopes(naive, SCORES), rtol=1e-10)


@every_row
def test_activation_increases_within_the_domain_e33(name):
    """E33, note 1: the paper prints decreasing activations for three rows."""
    activation = ROWS[name]().activation
    values = np.asarray(activation(jnp.array([-1e4, -100, -3, -1, 0, 1, 3, 100, 1e4])))
    low, high = ENDS.get(name, (-INF, INF))
    assert values.min() >= low - 1e-7 and values.max() <= high + 1e-7
    assert (values[1:] >= values[:-1]).all()
    assert (np.diff(values[2:7]) > 0).all()


TOO_LARGE = {  # which true values exceed float32 at a score of -1e4 or 1e4
    "activation": {("reverse_kl", -1), ("neyman", -1), ("squared_hellinger", -1)},
    "fake_cost": {("kl", 1), ("neyman", -1), ("squared_hellinger", 1), ("jeffrey", 1), ("alpha_0.5", 1)},
}


@every_row
@pytest.mark.parametrize("curve", TOO_LARGE)
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_scores(name, curve, sign):
    """Value and slope are finite in float32 wherever the true ones are, and inf, not NaN, where they are not."""
    value, slope = jax.value_and_grad(getattr(ROWS[name](), curve))(sign * 1e4)
    finite = (name, sign) not in TOO_LARGE[curve]
    assert np.isfinite(value) == finite and np.isfinite(slope) == finite
    assert not np.isnan(value) and not np.isnan(slope)


@pytest.mark.parametrize(
    ("name", "score", "expected"),
    [("jensen_shannon", 1e4, 1e4 - np.log(2)), ("goodfellow", 1e4, 1e4),
     ("weighted_jensen_shannon", 1e4, 0.7 * (1e4 + np.log(0.7))),
     ("reverse_kl", -1e4, -1e4 - 1), ("jeffrey", -1e4, -10.209419), ("alpha_-1", -1e4, 1 - np.sqrt(2e4)),
     ("alpha_2", 1e4, 1e4**2 / 2 + 1e4), ("alpha_0.5", 60.0, 2 * (2 * np.exp(60.0) - 1)), ("goodfellow", -20.0, np.exp(-20.0))],
)  # fmt: skip
def test_fake_cost_keeps_its_digits_in_float32(name, score, expected):
    np.testing.assert_allclose(ROWS[name]().fake_cost(jnp.float32(score)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "t", "expected", "slope"),
    [("pearson", -5.0, -1, 0), ("alpha_2", -4.0, -1 / 2, 0), ("alpha_3", -4.0, -1 / 3, 0), ("total_variation", -2.0, -1 / 2, 0),
     ("total_variation", 0.6, INF, 0), ("reverse_kl", 0.1, INF, 0), ("neyman", 1.5, INF, 0), ("squared_hellinger", 1.5, INF, 0),
     ("jensen_shannon", 1.0, INF, 0), ("goodfellow", 0.5, INF, 0), ("weighted_jensen_shannon", 0.5, INF, 0),
     ("alpha_0.5", 3.0, INF, 0), ("goodfellow", -20.0, np.exp(-20.0), np.exp(-20.0))],
)  # fmt: skip
def test_conjugates_beyond_the_slopes_of_f(name, t, expected, slope):
    """Constant below f'(0), since u >= 0 (note 4), and inf above f'(inf); no NaN reaches a gradient."""
    measured = jax.value_and_grad(ROWS[name]().conjugate)(t)
    np.testing.assert_allclose(measured, (expected, slope), rtol=1e-5)


def test_jeffrey_solves_its_equation_everywhere(x64):
    """Note 5: no Lambert function; `w + log w = 1 - t` by Newton, with the right second derivative, too."""
    t = jnp.concatenate([-jnp.logspace(5, -3, 200), jnp.zeros(1), jnp.logspace(-3, 2, 200)])
    conjugate = divergences.jeffrey().conjugate
    u = slopes(conjugate, t)
    np.testing.assert_allclose(jnp.log(u) + 1 - 1 / u, t, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(slopes(jax.vmap(jax.grad(conjugate)), t), 1 / (1 / u + 1 / u**2), rtol=1e-12)


@pytest.mark.parametrize("a", [0, 1, 0.0, 1.0, float("nan")])
def test_alpha_names_its_limits(a):
    with pytest.raises(UserError, match=r"reverse_kl\(\).*kl\(\)"):
        divergences.alpha(a)


@pytest.mark.parametrize("pi", [0.0, 1.0, -0.5, float("nan")])
def test_weights_outside_the_unit_interval(pi):
    with pytest.raises(UserError, match="between 0 and 1"):
        divergences.weighted_jensen_shannon(pi)


def test_limits_of_alpha_are_the_two_kl_divergences(x64):
    for a, limit in ((1e-6, divergences.reverse_kl()), (1 + 1e-6, divergences.kl())):
        near, exact = (divergences.f_divergence(TILTED, HALVES, d) for d in (divergences.alpha(a), limit))
        np.testing.assert_allclose(near, exact, rtol=1e-5)


@pytest.mark.parametrize("name", divergences.BY_NAME)
def test_by_name_gives_divergences_without_arguments(name):
    assert float(divergences.BY_NAME[name]().activation(0.5)) > float(divergences.BY_NAME[name]().activation(-0.5))


class TestFromGenerator:
    """A user's own generator is enough; the table's rows tell what must come out."""

    @pytest.mark.parametrize("name", [*OWN, "total_variation"])
    def test_conjugate(self, name, x64):
        known = ROWS[name]()
        own, t = divergences.from_generator(known.generator), known.activation(jnp.array(SCORES))
        (values, slopes), expected = (jax.jit(jax.vmap(jax.value_and_grad(row.conjugate)))(t) for row in (own, known))
        np.testing.assert_allclose(values, expected[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(slopes, expected[1], rtol=1e-7, atol=1e-12)

    @pytest.mark.parametrize("name", OWN)
    def test_fenchel_and_young(self, name, x64):
        """`f(u) + f*(t) >= u t`, with equality at `t = f'(u)`."""
        own, u = divergences.from_generator(ROWS[name]().generator), jnp.array(RATIOS)
        t = own.derivative(u)
        gap = own.generator(u)[None] + jax.jit(own.conjugate)(t)[:, None] - u[None] * t[:, None]
        np.testing.assert_allclose(jnp.diag(gap), 0, atol=1e-10)
        assert (gap + jnp.eye(len(u)) > 1e-4).all()

    @pytest.mark.parametrize("name", OWN)
    def test_scores(self, name, x64):
        own = divergences.from_generator(ROWS[name]().generator)
        supremum = jax.jit(own.conjugate)(own.activation(SCORES))
        np.testing.assert_allclose(own.fake_cost(SCORES), supremum, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(own.activation(0.0), own.threshold, atol=1e-14)
        np.testing.assert_allclose(own.threshold, ROWS[name]().threshold, atol=1e-14)
        assert (jnp.diff(own.activation(SCORES)) > 0).all()

    @pytest.mark.parametrize("name", OWN)
    def test_extreme_scores_are_finite_in_float32(self, name):
        own = divergences.from_generator(ROWS[name]().generator)
        for curve in (own.activation, own.fake_cost):
            for score in (-1e4, 1e4):
                assert np.isfinite(jax.value_and_grad(curve)(score)).all()

    def test_a_generator_that_is_in_no_table(self, x64):
        """Vincze and Le Cam's `int (p - q)^2 / (p + q)`."""
        own = divergences.from_generator(lambda u: jnp.square(u - 1) / (u + 1))
        p, q = np.array(TILTED), np.array(HALVES)
        exact = np.sum((p - q) ** 2 / (p + q))
        np.testing.assert_allclose(divergences.f_divergence(p, q, own), exact, rtol=1e-12)
        best = divergences.optimal_critic(np.log(p), np.log(q), own)
        np.testing.assert_allclose(p @ best - q @ own.conjugate(best), exact, rtol=1e-9)

    def test_second_derivative_and_flat_part_of_the_conjugate(self, x64):
        own = divergences.from_generator(lambda u: jnp.square(u - 1))
        conjugate = own.conjugate
        slope = jax.grad(conjugate)
        measure = jax.jit(lambda t: jnp.stack([conjugate(t), slope(t), jax.grad(slope)(t)]))
        np.testing.assert_allclose(measure(1.0), [1.25, 1.5, 0.5], rtol=1e-12)
        np.testing.assert_allclose(measure(-3.0), [-1, 0, 0], atol=1e-12)


class TestDiscrete:
    LIMITS: ClassVar = {  # for disjoint supports: f(0) + f'(inf)
        "total_variation": 1, "kl": INF, "reverse_kl": INF, "pearson": INF, "neyman": INF, "squared_hellinger": 2, "jeffrey": INF,
        "jensen_shannon": 2 * np.log(2), "weighted_jensen_shannon": -0.3 * np.log(0.3) - 0.7 * np.log(0.7), "goodfellow": 0,
        "alpha_-1": INF, "alpha_0.5": 4, "alpha_2": INF, "alpha_3": INF,
    }  # fmt: skip

    @every_row
    def test_disjoint_and_equal_supports(self, name):
        """A4.4: the parallel lines of WGAN's example 1, at theta != 0 and theta = 0. E34: log 2 is for disjoint supports."""
        divergence = ROWS[name]()
        disjoint = divergences.f_divergence([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], divergence)
        np.testing.assert_allclose(disjoint, self.LIMITS[name], rtol=1e-6)
        equal = divergences.f_divergence([0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], divergence)
        np.testing.assert_allclose(equal, -np.log(4) if name == "goodfellow" else 0, atol=1e-7)

    def test_one_support_within_the_other(self):
        inner, outer = [0.5, 0.5, 0, 0], [0.25, 0.5, 0.25, 0]
        np.testing.assert_allclose(divergences.f_divergence(inner, outer, divergences.kl()), np.log(2) / 2, rtol=1e-6)
        assert divergences.f_divergence(outer, inner, divergences.kl()) == INF
        assert divergences.f_divergence(inner, outer, divergences.reverse_kl()) == INF

    def test_gradient_beside_empty_cells(self):
        p, q = jnp.array([0.3, 0.7, 0.0]), jnp.array([0.6, 0.4, 0.0])
        by_p, by_q = jax.grad(divergences.f_divergence, (0, 1))(p, q, divergences.kl())
        np.testing.assert_allclose(by_p, [1 - np.log(2), 1 + np.log(1.75), 0], rtol=1e-6)
        np.testing.assert_allclose(by_q, [-0.5, -1.75, 0], rtol=1e-6)

    def test_jsd_e34(self, x64):
        np.testing.assert_allclose(divergences.jsd([0.5, 0.5, 0, 0], [0, 0, 0.9, 0.1]), np.log(2), rtol=1e-15)
        np.testing.assert_allclose(divergences.jsd(TILTED, UNIFORM), 0.0278656134573, rtol=1e-11)
        halves = divergences.weighted_jensen_shannon(0.5)
        np.testing.assert_allclose(divergences.f_divergence(TILTED, UNIFORM, halves), 0.0278656134573, rtol=1e-11)


class TestDensities:
    SMALL = 0.1

    @pytest.mark.parametrize(
        ("distance", "jsd", "slope"),
        [(0.05, 0.0303113005, 1.1763175306), (0.1, 0.1114214822, 1.9898643359), (0.2, 0.3368308203, 2.2479975460),
         (0.3, 0.5267773065, 1.4793187665), (0.5, 0.6759425774, 0.2368980859), (0.8, 0.6930536455, 0.0019643737),
         (1.0, 0.6931463174, 0.0000223205)],
    )  # fmt: skip
    def test_jensen_shannon_saturates_b2(self, distance, jsd, slope):
        """A2.5: its slope in the distance vanishes; -int q' f*(T*) / 2 by the envelope theorem, through the stable cost."""
        log_p, log_q = (partial(norm.logpdf, loc=mean, scale=self.SMALL) for mean in (0, distance))
        row = divergences.jensen_shannon()
        np.testing.assert_allclose(divergences.f_divergence_of_densities(log_p, log_q, row, -1.5, 2.5) / 2, jsd, atol=6e-11)
        with jax.enable_x64(True):
            x, w = gauss(-1.5, 2.5, 256)
            moving = np.exp(log_q(x)) * (x - distance) / self.SMALL**2
            descent = -w @ (moving * row.fake_cost(log_p(x) - log_q(x))) / 2
        np.testing.assert_allclose(descent, slope, atol=6e-11)

    BEST: ClassVar = {  # mu, sigma, D of the best Gaussian for each mixture
        "kl": ((0.9000, 2.9813, 0.638483), (1.1000, 1.7883, 0.036526)),
        "reverse_kl": ((2.9992, 0.9016, 0.430562), (1.0979, 1.7297, 0.041245)),
        "jensen_shannon": ((2.9986, 0.9027, 0.279833), (1.0996, 1.7686, 0.019000)),
        "jeffrey": ((1.2517, 2.5055, 2.108442), (1.0949, 1.7531, 0.078443)),
        "squared_hellinger": ((2.9959, 0.9093, 0.386797), (1.0973, 1.7620, 0.019270)),
        "pearson": ((0.7613, 3.0651, 1.207118), (1.1081, 1.8287, 0.067826)),
        "total_variation": ((2.7648, 1.3477, 0.346779), (1.2483, 1.8422, 0.109561)),
    }

    @pytest.mark.parametrize("name", BEST)
    @pytest.mark.parametrize(("modes", "which"), [(((0.35, -3, 0.7), (0.65, 3, 0.9)), 0), (((0.3, -1, 1), (0.7, 2, 1.2)), 1)])
    def test_best_gaussian_for_a_mixture_b1b_a3_5(self, name, modes, which):
        mixture = lambda x: np.logaddexp(*(np.log(w) + norm.logpdf(x, m, s) for w, m, s in modes))
        mu, sigma, least = self.BEST[name][which]
        gaussian = lambda m, s: partial(norm.logpdf, loc=m, scale=s)
        measure = lambda *fit: divergences.f_divergence_of_densities(mixture, gaussian(*fit), ROWS[name](), -14, 14)  # as in B1b
        np.testing.assert_allclose(measure(mu, sigma), least, atol=2e-6)
        around = [measure(mu + dm, sigma + ds) for dm, ds in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05))]
        assert min(around) > measure(mu, sigma)

    def test_bounded_supports(self):
        """Uniform on [0, 1] against [0, 2], a mass outside, and disjoint; in jax.numpy, at whatever precision it computes."""
        box = lambda low, high: lambda x: jnp.where((low <= x) & (x <= high), -jnp.log(high - low), -jnp.inf)
        measure = partial(divergences.f_divergence_of_densities, low=-1.0, high=3.0)
        np.testing.assert_allclose(measure(box(0, 1), box(0, 2), divergences.kl()), np.log(2), rtol=1e-10)
        assert measure(box(0, 2), box(0, 1), divergences.kl()) == INF
        np.testing.assert_allclose(measure(box(0, 1), box(2, 3), divergences.jensen_shannon()), 2 * np.log(2), rtol=1e-10)

    def test_ratios_beyond_the_floats(self):
        """A spike in a wide Gaussian: p / q passes through every size up to e^5000; bounded divergences see disjoint supports."""
        spike = partial(norm.logpdf, loc=0, scale=1e-4)
        for p, q in ((unit, spike), (spike, unit)):
            measured = divergences.f_divergence_of_densities(p, q, divergences.jensen_shannon(), -10, 10, 2**18)
            np.testing.assert_allclose(measured, 1.3838020848, rtol=1e-9)

    def test_refusals(self):
        with pytest.raises(UserError, match="low < high"):
            divergences.f_divergence_of_densities(unit, shifted, divergences.kl(), 3, 3)
        with pytest.raises(UserError, match="NaN"):
            divergences.f_divergence_of_densities(np.log, shifted, divergences.kl(), -1, 1)


class TestOriginalGame:
    QUANTILES = ndtri((np.arange(20_000) + 0.5) / 20_000)  # of N(0, 1)

    def test_optimal_discriminator_b3a_a2_1(self):
        x = np.array([-2, -1, 0, 0.5, 1, 2, 3])
        expected = [0.92414182, 0.8175744762, 0.6224593312, 0.5, 0.3775406688, 0.1824255238, 0.0758581800]
        np.testing.assert_allclose(divergences.optimal_discriminator(unit(x), shifted(x)), expected, rtol=1e-6)
        expected = [0.4487689202, 0.6, 0.6132562780, 0.5696602477, 0.4902563996, 0.2507652909, 0.0626410192]
        np.testing.assert_allclose(divergences.optimal_discriminator(unit(x), wide(x)), expected, rtol=1e-6)

    @pytest.mark.parametrize(("q", "best", "jsd"), [(shifted, -1.1634513968, 0.1114214822), (wide, -1.2804845836, 0.0529048888)])
    def test_best_value_b3a_a2_2(self, q, best, jsd, x64):
        """C(G) = 2 JSD - log 4, as the supremum and as the value that D* attains; -log 4 is a value, not a place (E28)."""
        np.testing.assert_allclose(divergences.f_divergence_of_densities(unit, q, divergences.goodfellow()), best, atol=6e-11)
        np.testing.assert_allclose(bound(lambda x: unit(x) - q(x), divergences.goodfellow(), unit, q), best, atol=6e-11)
        np.testing.assert_allclose((best + np.log(4)) / 2, jsd, atol=6e-11)

    def test_value_of_a_poorer_discriminator_b3a(self, x64):
        np.testing.assert_allclose(bound(lambda x: -x, divergences.goodfellow()), -1.2129154664, atol=6e-11)

    def test_value_of_logits(self):
        np.testing.assert_allclose(divergences.value(jnp.zeros(3), jnp.zeros(5)), -np.log(4), rtol=1e-6)
        np.testing.assert_allclose(divergences.value(jnp.full(3, 1e4), jnp.full(3, -1e4)), 0, atol=1e-7)
        np.testing.assert_allclose(divergences.value(jnp.full(3, -1e4), jnp.full(3, 1e4)), -2e4, rtol=1e-6)
        real, fake = jnp.array(waves(6)), jnp.array(waves(6, 1.3, 0.5))
        np.testing.assert_allclose(divergences.value(real, fake), -1.6980186568714624, rtol=1e-5)
        real, fake = 0.5 - self.QUANTILES, -0.5 - self.QUANTILES  # logits of D* on the pair A
        np.testing.assert_allclose(divergences.value(real, fake), -1.1634513968, atol=1e-4)

    def test_variational_bound_of_scores(self):
        """Means over samples of any two sizes."""
        real, fake = jnp.array(waves(6)), jnp.array(waves(9, 1.3))
        expected = np.tanh(waves(6)).mean() / 2 - np.tanh(waves(9, 1.3)).mean() / 2
        np.testing.assert_allclose(divergences.variational_bound(real, fake, divergences.total_variation()), expected, rtol=1e-5)
        expected = waves(6).mean() - np.exp(waves(9, 1.3) - 1).mean()
        np.testing.assert_allclose(divergences.variational_bound(real, fake, divergences.kl()), expected, rtol=1e-5)

    def test_f_distance_e8_a2_7(self, x64):
        """E8: the identity gives the difference of means, not the constant, which gives nothing; no absolute value is taken."""
        real, fake = waves(7), waves(9, 1.3)
        np.testing.assert_allclose(divergences.f_distance(lambda t: t, real, fake), real.mean() - fake.mean(), rtol=1e-12)
        assert divergences.f_distance(jnp.ones_like, real, fake) == 0
        np.testing.assert_allclose(divergences.f_distance(jnp.log, jnp.full(4, 0.5), jnp.full(3, 0.5)), 0, atol=1e-15)
        x = self.QUANTILES
        best = lambda x: divergences.optimal_discriminator(unit(x), shifted(x))
        np.testing.assert_allclose(divergences.f_distance(jnp.log, best(x), best(x + 1)), 0.2228429644, atol=1e-4)
        np.testing.assert_allclose(divergences.f_distance(lambda t: t, -0.01 * x, -0.01 * (x + 1)), 0.01, rtol=1e-12)
