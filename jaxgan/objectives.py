"""What critic and generator play for, as three elementwise curves over one critic score."""

import jax
import jax.numpy as jnp

from jaxgan.divergences import Divergence
from jaxgan.types import Curve, Objective, UserError

softplus = jax.nn.softplus


def minimax() -> Objective:
    """The original two-player game: the generator minimises what the critic maximises.

    The score is the logit of D. The generator descends `log(1 - D)`, whose slope `-D` vanishes where the critic is sure, so it
    learns slowest when it is worst. Stable for any finite score: no logarithm of a probability is taken.

    Reference:
        Goodfellow et al., 2014, equation 1 (https://arxiv.org/abs/1406.2661).
    """
    return Objective(real=lambda t: softplus(-t), fake=softplus, gen=lambda t: -softplus(t))


def non_saturating() -> Objective:
    """The original game with the generator loss used in practice.

    The critic estimates `t = log p(x) - log q(x)` by logistic regression; the generator minimises `-log sigmoid(t)`, whose
    gradient does not vanish when the critic is confident. It is not the opposite of the critic's loss: at the optimal critic
    it descends `KL(q, p) - 2 JSD(p, q)` (Arjovsky and Bottou, 2017), not the Jensen-Shannon divergence.

    Reference:
        Goodfellow et al., 2014, section 3 (https://arxiv.org/abs/1406.2661).
    """
    return Objective(real=lambda t: softplus(-t), fake=softplus, gen=lambda t: softplus(-t))


def hinge() -> Objective:
    """Margin game: the critic stops caring about scores beyond +-1, the generator raises its score without limit.

    Reference:
        Lim and Ye, 2017 (https://arxiv.org/abs/1705.02894); Miyato et al., 2018, equations 16-17 (https://arxiv.org/abs/1802.05957).
    """
    return Objective(real=lambda t: jax.nn.relu(1 - t), fake=lambda t: jax.nn.relu(1 + t), gen=lambda t: -t)


def wasserstein() -> Objective:
    """Difference of mean scores; it means a distance only for a critic that is held Lipschitz.

    For a K-Lipschitz critic the negated critic loss is a lower estimate of `K W1(p, q)`. Without a bound on the slope the
    supremum is infinite.

    Reference:
        Arjovsky et al., 2017, equation 2 (https://arxiv.org/abs/1701.07875).
    """
    return Objective(real=lambda t: -t, fake=lambda t: t, gen=lambda t: -t)


def least_squares(fake: float = 0.0, real: float = 1.0, wanted: float = 1.0) -> Objective:
    """Regression to one number for real and another for fake, with the factor 1/2 of the paper.

    Args:
        fake: what the critic regresses generated examples to, a in the paper.
        real: what it regresses real ones to, b.
        wanted: what the generator regresses its score to, c. `(0, 1, 1)` is the paper's equation 9; `(-1, 1, 0)`, its equation 8,
            minimises the Pearson divergence of `p + q` to `2 q`, as every coding with b - c = 1 and b - a = 2.

    Reference:
        Mao et al., 2017, equations 8 and 9 (https://arxiv.org/abs/1611.04076).
    """
    return Objective(*(lambda t, to=to: 0.5 * jnp.square(t - to) for to in (real, fake, wanted)))


def f_gan(divergence: Divergence, saturating: bool = False) -> Objective:
    """The variational game of an f-divergence `D_f(p, q)`.

    With `T = g_f(t)` the critic maximises `E_p[T] - E_q[f*(T)]`, a lower bound of the divergence that is reached at
    `T = f'(p / q)`; it calls an example real where `T > f'(1)`.

    Args:
        divergence: from `jaxgan.divergences`.
        saturating: the generator minimises the bound itself, `-E_q[f*(T)]`; otherwise it maximises `E_q[T]`, whose gradient does
            not vanish where the critic is sure. With `divergences.goodfellow()` these are `minimax` and `non_saturating`.

    Reference:
        Nowozin et al., 2016, equations 6 and 7 and section 3.2 (https://arxiv.org/abs/1606.00709).
    """
    real, fake = lambda t: -divergence.activation(t), divergence.fake_cost
    return Objective(real, fake, gen=(lambda t: -fake(t)) if saturating else real)


def f_distance(measure: Curve) -> Objective:
    """The game of an F-distance: the critic maximises `E_p[phi(D)] + E_q[phi(1 - D)]` with `D = sigmoid(t)`.

    With a critic of bounded capacity this distance generalises from samples to distributions, which neither the Jensen-Shannon
    divergence nor the Wasserstein distance does; it may then be small for a generator that knows few examples.

    Args:
        measure: the concave `phi` as a function of the logit, `t -> phi(sigmoid(t))`: `jax.nn.log_sigmoid` for `phi = log`, which
            is the original game, `jax.nn.sigmoid` for `phi(D) = D`.

    Reference:
        Arora et al., 2017, definition 2 (https://arxiv.org/abs/1703.00573).
    """
    return Objective(real=lambda t: -measure(t), fake=lambda t: -measure(-t), gen=lambda t: measure(-t))


def smooth_labels(objective: Objective, real: float = 0.9, fake: float = 0.0) -> Objective:
    """Makes the critic less sure: it is told "real" with these probabilities instead of 1 and 0.

    The expected cost over flipped labels, without their noise. The logistic optimum is `D = (real p + fake q) / (p + q)`:
    one-sided smoothing scales it, while `fake > 0` puts `p` and `q` together in the numerator and rewards staying put.

    Args:
        objective: any.
        real: chance that a real example is called real, in [0, 1]; 0.9 is one-sided label smoothing.
        fake: chance that a generated one is.

    Raises:
        UserError: a chance outside [0, 1].

    Reference:
        Salimans et al., 2016, section 3.4 (https://arxiv.org/abs/1606.03498).
    """
    if not (0 <= real <= 1 and 0 <= fake <= 1):
        raise UserError(f"labels are smoothed to chances in [0, 1], not real={real} and fake={fake}")

    def told(chance):
        return lambda t: chance * objective.real(t) + (1 - chance) * objective.fake(t)

    return Objective(told(real), told(fake), objective.gen)
