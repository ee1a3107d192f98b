"""Adversarial examples: perturbation sets, and attacks `(loss, x, key) -> x_adv` that search them for the worst point.

A loss is any function `[batch, ...] -> [batch]` to be raised, with the label in its closure: a classifier's cross-entropy, or a
critic's score. Adversarial training, TRADES and a GAN share this inner maximum. An `Aim` is a loss that also tells of success,
where an attack ends.

    attack = attacks.pgd(attacks.linf(8 / 255, box=(0, 1)), steps=40)
    x_adv = attack(attacks.untargeted(classify, labels), x, jax.random.key(0))
"""

from jaxgan.attacks.gradient import apgd, fgsm, pgd
from jaxgan.attacks.losses import cross_entropy, dlr, kl, margin, misclassified, targeted, untargeted
from jaxgan.attacks.protocol import Aim, Attack, Classifier, Score, restarts
from jaxgan.attacks.query import moved, nes, occlusions, rotations, spatial, square
from jaxgan.attacks.sets import UNBOUNDED, Box, PerturbationSet, affine, anywhere, l1, l2, linf, patch
from jaxgan.attacks.suite import Found, Masking, Member, ensemble, masking, transfer, worst_case

__all__ = [
    "UNBOUNDED",
    "Aim",
    "Attack",
    "Box",
    "Classifier",
    "Found",
    "Masking",
    "Member",
    "PerturbationSet",
    "Score",
    "affine",
    "anywhere",
    "apgd",
    "cross_entropy",
    "dlr",
    "ensemble",
    "fgsm",
    "kl",
    "l1",
    "l2",
    "linf",
    "margin",
    "masking",
    "misclassified",
    "moved",
    "nes",
    "occlusions",
    "patch",
    "pgd",
    "restarts",
    "rotations",
    "spatial",
    "square",
    "targeted",
    "transfer",
    "untargeted",
    "worst_case",
]
