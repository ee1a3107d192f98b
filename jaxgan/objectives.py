"""What critic and generator play for, as three elementwise curves over one critic score."""

import jax
import jax.numpy as jnp

from jaxgan.types import Objective

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


def least_squares() -> Objective:
    """Regression to 1 for real and 0 for fake, with the factor 1/2 of the paper; the generator regresses its score to 1.

    Reference:
        Mao et al., 2017, equation 9 (https://arxiv.org/abs/1611.04076).
    """
    return Objective(
        real=lambda t: 0.5 * jnp.square(t - 1), fake=lambda t: 0.5 * jnp.square(t), gen=lambda t: 0.5 * jnp.square(t - 1)
    )
