"""Distances between distributions as a critic sees them: f-divergences, the value of the original game, the F-distance.

An f-divergence is `D_f(P, Q) = E_Q f(p / q)` with a convex `f` on `u >= 0`. Its conjugate `f*(t) = sup_u (u t - f(u))` turns it
into a game: `D_f >= E_P T - E_Q f*(T)` for every T with values in the domain of `f*`, and the bound is met by `T = f'(p / q)`.
Logarithms are natural, P is the real distribution and Q the generated one.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import bisect

from jaxgan.types import Array, Curve, UserError

softplus = jax.nn.softplus
LOG2 = float(np.log(2))
NODES = 16  # of Gauss and Legendre in each panel
NEGLIGIBLE = -230.0  # log of a density too small to count: 1e-100


class Divergence(NamedTuple):
    """An f-divergence, and the critic's output layer that goes with it: elementwise, differentiable functions.

    Where a true value is too large for the float type it is inf, never clipped: `fake_cost` of `kl` is `exp(v - 1)`, inf in
    float32 from v = 90 on. Such critics want bounded scores, or a gentler divergence.

    Attributes:
        generator: `f(u)`, convex on `u >= 0`, `u` standing for p / q.
        derivative: `f'(u)`; at `u = p / q` it is the best `T`, at `u = inf` its limit.
        conjugate: `f*(t)`, the supremum over `u >= 0`: constant below `f'(0)`, inf outside its domain.
        activation: `g_f(v)`, increasing, from any real score into the domain of `f*`.
        fake_cost: `f*(g_f(v))`, what a generated example of score `v` costs the critic, without the overflow and cancellation
            of composing the two.
        threshold: `f'(1)`; the critic takes an example for real where `g_f(v)` is above it.

    Reference:
        Nowozin et al., 2016, tables 1, 2, 5 and 6 (https://arxiv.org/abs/1606.00709).
    """

    generator: Curve
    derivative: Curve
    conjugate: Curve
    activation: Curve
    fake_cost: Curve
    threshold: float


def total_variation() -> Divergence:
    """`f(u) = |u - 1| / 2`: half the L1 distance of the densities, in [0, 1]; symmetric.

    The best `T` is `sign(p - q) / 2`, which the activation reaches only for infinite scores.
    """
    activation = lambda v: jnp.tanh(v) / 2
    return Divergence(
        generator=lambda u: jnp.abs(u - 1) / 2,
        derivative=lambda u: jnp.sign(u - 1) / 2,
        conjugate=lambda t: _extended(t <= 0.5, lambda t: jnp.maximum(t, -0.5), t, safe=0.0),
        activation=activation,
        fake_cost=activation,
        threshold=0.0,
    )


def kl() -> Divergence:
    """`f(u) = u log u`: `E_P log(p / q)`, infinite where Q leaves out a part of P, so its minimiser covers P."""
    conjugate = lambda t: jnp.exp(t - 1)
    return Divergence(
        generator=_xlogx,
        derivative=lambda u: jnp.log(u) + 1,
        conjugate=conjugate,
        activation=_identity,
        fake_cost=conjugate,
        threshold=1.0,
    )


def reverse_kl() -> Divergence:
    """`f(u) = -log u`: `E_Q log(q / p)`, infinite where Q puts mass outside P, so its minimiser seeks a mode.

    The paper's table prints the activation `-exp(v)`, which decreases, against its own text that a large score means "real";
    `-exp(-v)` increases. So it is in `neyman` and `squared_hellinger`.
    """
    return Divergence(
        generator=lambda u: -jnp.log(u),
        derivative=lambda u: -1 / u,
        conjugate=lambda t: _extended(t < 0, lambda t: -1 - jnp.log(-t), t, safe=-1.0),
        activation=lambda v: -jnp.exp(-v),
        fake_cost=lambda v: v - 1,
        threshold=-1.0,
    )


def pearson() -> Divergence:
    """`f(u) = (u - 1)^2`: the chi-squared divergence `int (p - q)^2 / q`.

    The paper's table 1 prints the integrals of Pearson and Neyman the other way round; the generators decide.
    """

    def conjugate(t):
        kept = jnp.maximum(t, -2)
        return kept * (kept / 4 + 1)

    return Divergence(
        generator=lambda u: jnp.square(u - 1),
        derivative=lambda u: 2 * (u - 1),
        conjugate=conjugate,
        activation=_identity,
        fake_cost=conjugate,
        threshold=0.0,
    )


def neyman() -> Divergence:
    """`f(u) = (1 - u)^2 / u`: Pearson's divergence with P and Q exchanged, `int (p - q)^2 / p`."""
    return Divergence(
        generator=lambda u: jnp.square(1 - u) / u,
        derivative=lambda u: 1 - 1 / jnp.square(u),
        conjugate=lambda t: _extended(t <= 1, lambda t: 2 - 2 * jnp.sqrt(1 - t), t, safe=0.0),
        activation=lambda v: -jnp.expm1(-v),
        fake_cost=lambda v: -2 * jnp.expm1(-v / 2),
        threshold=0.0,
    )


def squared_hellinger() -> Divergence:
    """`f(u) = (sqrt(u) - 1)^2`: `int (sqrt(p) - sqrt(q))^2`, in [0, 2]; symmetric."""
    return Divergence(
        generator=lambda u: jnp.square(jnp.sqrt(u) - 1),
        derivative=lambda u: 1 - 1 / jnp.sqrt(u),
        conjugate=lambda t: _extended(t < 1, lambda t: t / (1 - t), t, safe=0.0),
        activation=lambda v: -jnp.expm1(-v),
        fake_cost=jnp.expm1,
        threshold=0.0,
    )


def jeffrey() -> Divergence:
    """`f(u) = (u - 1) log u`: `KL(P, Q) + KL(Q, P)`.

    With `W` of Lambert the conjugate is `w + 1/w + t - 2` at `w = W(e^(1 - t))`, the solution of `w + log w = 1 - t`. In
    `l = -log w = log u` it is `e^l - 1 + l`, in which nothing large cancels.
    """

    def conjugate(t):
        log_ratio = _jeffrey_log_ratio(t)
        return jnp.expm1(log_ratio) + log_ratio

    return Divergence(
        generator=lambda u: (u - 1) * jnp.log(u),
        derivative=lambda u: jnp.log(u) + 1 - 1 / u,
        conjugate=conjugate,
        activation=_identity,
        fake_cost=conjugate,
        threshold=0.0,
    )


def jensen_shannon() -> Divergence:
    """`f(u) = u log u - (u + 1) log((u + 1) / 2)`: twice the Jensen-Shannon divergence, in [0, 2 log 2]; symmetric.

    `jsd` is the divergence with its factor 1/2, log 2 for disjoint supports.
    """
    return Divergence(
        generator=lambda u: _xlogx(u) - (u + 1) * jnp.log((u + 1) / 2),
        derivative=lambda u: LOG2 - jnp.log1p(1 / u),
        conjugate=lambda t: _extended(t < LOG2, lambda t: -jnp.log1p(-jnp.expm1(t)), t, safe=0.0),
        activation=lambda v: LOG2 - softplus(-v),
        fake_cost=lambda v: softplus(v) - LOG2,
        threshold=0.0,
    )


def weighted_jensen_shannon(pi: float) -> Divergence:
    """`pi KL(P, M) + (1 - pi) KL(Q, M)` with the mixture `M = pi P + (1 - pi) Q`; `pi = 1/2` gives `jsd`.

    The paper's activation has no factor pi before the softplus; both stay in the domain, and with it the score at the optimum
    is the posterior's logit `log(pi p) - log((1 - pi) q)`.

    Args:
        pi: share of the real distribution, in (0, 1).

    Raises:
        UserError: `pi` is outside (0, 1).
    """
    if not 0 < pi < 1:
        raise UserError(f"the weight pi of the Jensen-Shannon divergence must lie strictly between 0 and 1, not be {pi}")
    log_real, log_fake = float(np.log(pi)), float(np.log1p(-pi))
    mixed = lambda u: 1 - pi + pi * u

    def conjugate(t):
        finite = lambda t: (1 - pi) * (log_fake - jax.nn.log1mexp(-t / pi - log_real))
        return _extended(t < -pi * log_real, finite, t, safe=0.0)

    return Divergence(
        generator=lambda u: pi * _xlogx(u) - mixed(u) * jnp.log(mixed(u)),
        derivative=lambda u: -pi * jnp.log(pi + (1 - pi) / u),
        conjugate=conjugate,
        activation=lambda v: -pi * (log_real + softplus(-v)),
        fake_cost=lambda v: (1 - pi) * (log_fake + softplus(v)),
        threshold=0.0,
    )


def goodfellow() -> Divergence:
    """`f(u) = u log u - (u + 1) log(u + 1)`: the value of the original game at the best D, `2 JSD - log 4`.

    `f(1) = -2 log 2`, so equal distributions are at -log 4, not 0. The score is the logit of D.
    """
    return Divergence(
        generator=lambda u: _xlogx(u) - (u + 1) * jnp.log1p(u),
        derivative=lambda u: -jnp.log1p(1 / u),
        conjugate=lambda t: _extended(t < 0, lambda t: -jax.nn.log1mexp(-t), t, safe=-1.0),
        activation=lambda v: -softplus(-v),
        fake_cost=softplus,
        threshold=-LOG2,
    )


def alpha(a: float) -> Divergence:
    """`f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1))`: Neyman / 2 at -1, 2 Hellinger^2 at 1/2, Pearson / 2 at 2.

    Args:
        a: any real number but 0 and 1, where the limits are `reverse_kl` and `kl` up to a multiple of `u - 1`, which adds nothing
            to the divergence of two distributions.

    Raises:
        UserError: `a` is 0 or 1, or not finite.
    """
    if a in (0, 1) or not np.isfinite(a):
        raise UserError(f"alpha({a}) is not defined; its limit at 0 is reverse_kl(), at 1 it is kl()")
    slope, power, log_slope = a - 1, a / (a - 1), float(np.log(abs(a - 1)))

    def conjugate(t):
        finite = lambda t: jnp.expm1(power * jnp.log1p(slope * t)) / a
        return _extended(1 + slope * t > 0, finite, t, safe=0.0, otherwise=-1 / a if a > 1 else jnp.inf)

    def fake_cost(v):
        return jnp.expm1(power * (log_slope + _log_softplus(-v))) / a

    return Divergence(
        generator=lambda u: (jnp.power(u, a) - 1 - a * (u - 1)) / (a * slope),
        derivative=lambda u: (jnp.power(u, slope) - 1) / slope,
        conjugate=conjugate,
        activation=_identity if a > 1 else lambda v: -1 / slope - softplus(-v),
        fake_cost=conjugate if a > 1 else fake_cost,
        threshold=0.0,
    )


# What a command line offers; the last two with a parameter chosen for them.
BY_NAME: dict[str, Callable[[], Divergence]] = {
    "total_variation": total_variation,
    "kl": kl,
    "reverse_kl": reverse_kl,
    "pearson": pearson,
    "neyman": neyman,
    "squared_hellinger": squared_hellinger,
    "jeffrey": jeffrey,
    "jensen_shannon": jensen_shannon,
    "goodfellow": goodfellow,
    "weighted_jensen_shannon": partial(weighted_jensen_shannon, 0.3),
    "alpha": partial(alpha, 0.5),
}


def from_generator(f: Curve) -> Divergence:
    """Derives all the rest of an f-divergence from its generator.

    The activation is `f'(u)` at `u = exp(arcsinh v) = v + sqrt(1 + v^2)`, which runs through all ratios and, unlike `exp(v)`,
    overflows at no score; with it `f*(g_f(v)) = u f'(u) - f(u)` needs no supremum. `conjugate` itself is found by bisecting
    `f'(u) = t` in log u and has the slope `u`, by the envelope theorem. Suprema are looked for up to u = 7e12 in float32 and
    1e102 in float64, and a greater one counts as infinite. `derivative(inf)`, asked for by `f_divergence` where q is 0, is what
    autodiff of `f` gives there: NaN for a difference of infinities.

    Args:
        f: elementwise and convex on `u > 0`, in jax.numpy; twice differentiable for training, as the output layer is `f'`.
    """
    derivative = _slope(f)
    curvature = _slope(derivative)

    def extremes(t):
        end = float(np.log(jnp.finfo(t.dtype).max)) / 3  # cubes of ratios stay finite
        return jnp.full_like(t, -end), jnp.full_like(t, end)

    @jax.custom_jvp
    def best_ratio(t):
        def halve(_, ends):
            low, high = ends
            middle = (low + high) / 2
            below = derivative(jnp.exp(middle)) < t
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        low, high = jax.lax.fori_loop(0, 64, halve, extremes(t))
        return jnp.exp((low + high) / 2)

    @best_ratio.defjvp
    def best_ratio_jvp(primals, tangents):
        (t,), (tangent,) = primals, tangents
        u = best_ratio(t)
        bend = curvature(u)
        moves = (bend > 0) & (derivative(jnp.exp(extremes(t)[0])) < t)  # u stays at a kink of f, and at 0 below f'(0)
        return u, jnp.where(moves, tangent / jnp.where(moves, bend, 1), 0)

    def conjugate(t):
        t = _floating(t)
        u = best_ratio(t)
        return jnp.where(derivative(jnp.exp(extremes(t)[1])) < t, jnp.inf, u * t - f(u))

    ratio = lambda v: jnp.exp(jnp.arcsinh(v))

    def fake_cost(v):
        u = ratio(v)
        return u * derivative(u) - f(u)

    return Divergence(f, derivative, conjugate, lambda v: derivative(ratio(v)), fake_cost, float(derivative(1.0)))


def f_divergence(p, q, divergence: Divergence) -> Array:
    """Computes `sum q f(p / q)` of two discrete distributions.

    Limits stand for what has no value: a cell with `q = 0` adds `p f'(inf)`, one with `p = 0` adds `q f(0)`, an empty one
    nothing. Differentiable in the cells where both are positive.

    Args:
        p: non-negative, any shape, sum 1.
        q: the same shape.
        divergence: any row of the table.

    Returns:
        Scalar; inf where supports differ and the divergence cannot bear it.
    """
    p, q = _floating(p), _floating(q)
    return jnp.sum(_cells(p, q, jnp.where(q > 0, p / jnp.where(q > 0, q, 1), jnp.inf), divergence))


def f_divergence_of_densities(log_p, log_q, divergence: Divergence, low=-30.0, high=30.0, points=4096) -> float:
    """Integrates `q f(p / q)` over an interval, in float64, to ten digits for smooth densities.

    Panels of Gauss-Legendre nodes, cut also where the densities cross, as total variation has its kink there. Points at which
    both densities are below 1e-100 are left out; ratios beyond e^-700 and e^700 count as 0 and infinite. An integral that
    diverges does so only in the tails: no quadrature, and no sample, can tell it from a large number.

    Args:
        log_p: `x -> log p(x)`, elementwise on float64 `[n]`, in numpy or jax.numpy; -inf outside a support.
        log_q: the same for q.
        divergence: any row of the table.
        low: left end; both distributions should have their mass between the ends.
        high: right end.
        points: how many nodes, at least.

    Raises:
        UserError: the interval is empty, or a density is NaN.
    """
    if not low < high:
        raise UserError(f"the interval of integration must have low < high, not [{low}, {high}]")
    with jax.enable_x64(True), np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        log_densities = lambda x: (np.asarray(log_p(x), np.float64), np.asarray(log_q(x), np.float64))
        log_ratio = lambda x: np.nan_to_num(np.subtract(*log_densities(x)))  # NaN outside both supports
        x, weights = _quadrature(log_ratio, low, high, points)
        real, fake = log_densities(x)
        if np.isnan(real).any() or np.isnan(fake).any():
            raise UserError(f"a log density is NaN somewhere in [{low}, {high}]; outside its support it must be -inf")
        counts = np.maximum(real, fake) > NEGLIGIBLE
        ratio = np.exp(np.subtract(real, fake, out=np.zeros_like(real), where=counts))
        return float((weights * counts) @ np.asarray(_cells(np.exp(real), np.exp(fake), ratio, divergence)))


def variational_bound(real_scores, fake_scores, divergence: Divergence) -> Array:
    """Computes `E_P g_f(V) - E_Q f*(g_f(V))`, which a critic V raises towards `D_f(P, Q)` and never above it, in expectation.

    The activation keeps `T = g_f(V)` in the domain of `f*`; equality holds for `T = f'(p / q)`.

    Args:
        real_scores: V at examples of P, any shape.
        fake_scores: V at examples of Q, any shape.
        divergence: whose bound.

    Returns:
        Scalar, a lower bound up to sampling error.

    Reference:
        Nowozin et al., 2016, equations 4 and 6 (https://arxiv.org/abs/1606.00709).
    """
    return jnp.mean(divergence.activation(real_scores)) - jnp.mean(divergence.fake_cost(fake_scores))


def optimal_critic(log_p, log_q, divergence: Divergence) -> Array:
    """Gives the `T = f'(p / q)` that attains the variational bound, from log densities of one shape.

    Reference:
        Nowozin et al., 2016, equation 5 (https://arxiv.org/abs/1606.00709).
    """
    return divergence.derivative(jnp.exp(jnp.subtract(log_p, log_q)))


def jsd(p, q) -> Array:
    """Computes the Jensen-Shannon divergence of discrete p and q of one shape, in [0, log 2]: log 2 for disjoint supports."""
    return f_divergence(p, q, jensen_shannon()) / 2


def optimal_discriminator(log_p, log_q) -> Array:
    """Gives the best discriminator `p / (p + q)`, from log densities of one shape.

    Reference:
        Goodfellow et al., 2014, proposition 1 (https://arxiv.org/abs/1406.2661).
    """
    return jax.nn.sigmoid(jnp.subtract(log_p, log_q))


def value(real_logits, fake_logits) -> Array:
    """Computes the value of the original game, `E_P log D + E_Q log(1 - D)`, from logits of D.

    It is -2 times the binary cross-entropy of balanced halves, at most 0, and `2 JSD - log 4` at the best D.

    Args:
        real_logits: logits at examples of P, any shape.
        fake_logits: logits at examples of Q, any shape.

    Reference:
        Goodfellow et al., 2014, equation 1 and theorem 1 (https://arxiv.org/abs/1406.2661).
    """
    return variational_bound(real_logits, fake_logits, goodfellow())


def f_distance(phi: Curve, real, fake) -> Array:
    """Computes `E_P phi(D) + E_Q phi(1 - D) - 2 phi(1/2)` for one critic; the F-distance is its supremum over a family F.

    The identity gives `E_P D - E_Q D`, so a family of 1-Lipschitz critics gives the Wasserstein distance; the logarithm gives
    `value + log 4`, 2 JSD at the best D. No absolute value is taken: for the logarithm the first two terms are never positive.
    What generalises from samples is the distance for a family of bounded capacity, not JSD or Wasserstein's.

    Args:
        phi: concave and increasing.
        real: D at examples of P, any shape: in [0, 1], or any real number for the identity.
        fake: D at examples of Q, any shape.

    Reference:
        Arora et al., 2017, definition 2 (https://arxiv.org/abs/1703.00573).
    """
    return jnp.mean(phi(real)) + jnp.mean(phi(1 - fake)) - 2 * phi(0.5)


def _identity(v):
    return v


def _floating(x):
    x = jnp.asarray(x)
    return x.astype(jnp.result_type(float, x))


def _xlogx(u):
    """`u log u`, 0 at 0 with slope -inf."""
    return -jax.scipy.special.entr(u)


def _extended(inside, formula, t, safe, otherwise=jnp.inf):
    """`formula(t)` inside, `otherwise` outside; the formula sees `safe` there, as a NaN slope would pass through `where`."""
    return jnp.where(inside, formula(jnp.where(inside, t, safe)), otherwise)


def _log_softplus(x):
    """`log log(1 + e^x)`; below -37 it is x to the last digit of a float64, and softplus underflows in float32 soon after."""
    tail = x < -37
    return jnp.where(tail, x, jnp.log(softplus(jnp.where(tail, 0.0, x))))


@jax.custom_jvp
def _jeffrey_log_ratio(t):
    """Solves `l + 1 - e^-l = t`: Newton on a concave, increasing curve climbs from the left and cannot overshoot."""
    l = jnp.maximum(jnp.maximum(t - 1, t / 2), -jnp.log1p(jnp.maximum(-t, 0)))
    for _ in range(6):  # four reach float64's last digit
        l = l - (l - jnp.expm1(-l) - t) / (1 + jnp.exp(-l))
    return l


@_jeffrey_log_ratio.defjvp
def _jeffrey_log_ratio_jvp(primals, tangents):
    l = _jeffrey_log_ratio(*primals)
    return l, jax.nn.sigmoid(l) * tangents[0]


def _slope(f):
    """The derivative of an elementwise function, as an elementwise function."""

    def slope(u):
        u = _floating(u)
        return jax.jvp(f, (u,), (jnp.ones_like(u),))[1]

    return slope


def _cells(p, q, ratio, divergence):
    """`q f(ratio)`, and its limit `p f'(inf)` where the ratio all but overflows; 0 where p and q are."""
    finite = ratio < jnp.finfo(ratio.dtype).max / 1e4  # `u log u` stays finite
    lost = ~finite & (p > 0)
    u = jnp.where(finite, ratio, 1)
    within = jnp.where(u > 1, p, q) * divergence.generator(u) / jnp.where(u > 1, u, 1)  # q may underflow where p counts
    beyond = jnp.where(lost, p, 1) * divergence.derivative(jnp.inf)  # inf must not meet the slope 0 of a finite cell
    return jnp.where(finite, within, jnp.where(lost, beyond, 0))


def _quadrature(log_ratio, low, high, points):
    """Nodes and weights, `[n]` each, of panels between `low`, `high` and the zeros of `log_ratio`."""
    edges = np.linspace(low, high, -(-points // NODES) + 1)
    side = np.sign(log_ratio(edges))
    crossed = np.flatnonzero(side[:-1] * side[1:] < 0)
    crossings = [bisect(lambda x: log_ratio(np.array([x]))[0], edges[i], edges[i + 1]) for i in crossed]
    edges = np.union1d(edges, crossings)
    x, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * weights).ravel()
