"""Loss pairs by family: what each player lowers, as a function of everybody's networks."""

from jaxgan.games.adversarial import add_term, adversarial, generate, instance_noise, relativistic
from jaxgan.games.augment import adaptive, augmented, diff_augment
from jaxgan.games.labelled import acgan, matching_aware, semi_supervised
from jaxgan.games.matching import feature_matching
from jaxgan.games.pool import replayed, with_pool
from jaxgan.games.veegan import veegan

__all__ = [
    "acgan",
    "adaptive",
    "add_term",
    "adversarial",
    "augmented",
    "diff_augment",
    "feature_matching",
    "generate",
    "instance_noise",
    "matching_aware",
    "relativistic",
    "replayed",
    "semi_supervised",
    "veegan",
    "with_pool",
]
