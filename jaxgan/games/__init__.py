"""Loss pairs by family: what each player lowers, as a function of everybody's networks."""

from jaxgan.games.adversarial import add_term, adversarial, generate, instance_noise, relativistic
from jaxgan.games.labelled import semi_supervised
from jaxgan.games.matching import feature_matching
from jaxgan.games.pool import replayed, with_pool
from jaxgan.games.veegan import veegan

__all__ = [
    "add_term",
    "adversarial",
    "feature_matching",
    "generate",
    "instance_noise",
    "relativistic",
    "replayed",
    "semi_supervised",
    "veegan",
    "with_pool",
]
