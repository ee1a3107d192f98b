"""Loss pairs by family: what each player lowers, as a function of everybody's networks."""

from jaxgan.games.adversarial import add_term, adversarial, generate, instance_noise, relativistic
from jaxgan.games.augment import adaptive, augmented, diff_augment
from jaxgan.games.labelled import acgan, matching_aware, semi_supervised
from jaxgan.games.matching import feature_matching
from jaxgan.games.pool import replayed, with_pool
from jaxgan.games.robust import (
    advgan,
    classification,
    classify,
    min_max,
    mixed_training,
    near,
    perturbing,
    robustness,
    trades,
)
from jaxgan.games.translation import cyclegan, init_several, pix2pix, regression
from jaxgan.games.veegan import veegan
from jaxgan.games.video import flicker, translate_clip, vid2vid

__all__ = [
    "acgan",
    "adaptive",
    "add_term",
    "adversarial",
    "advgan",
    "augmented",
    "classification",
    "classify",
    "cyclegan",
    "diff_augment",
    "feature_matching",
    "flicker",
    "generate",
    "init_several",
    "instance_noise",
    "matching_aware",
    "min_max",
    "mixed_training",
    "near",
    "perturbing",
    "pix2pix",
    "regression",
    "relativistic",
    "replayed",
    "robustness",
    "semi_supervised",
    "trades",
    "translate_clip",
    "veegan",
    "vid2vid",
    "with_pool",
]
