"""Adversarial examples: perturbation sets, and attacks `(loss, x, key) -> x_adv` that search them for the worst point.

A loss is any function `[batch, ...] -> [batch]` to be raised, with the label in its closure: a classifier's cross-entropy, or a
critic's score. Adversarial training, TRADES and a GAN share this inner maximum.

    attack = attacks.pgd(attacks.linf(8 / 255, box=(0, 1)), steps=40)
    x_adv = attack(lambda z: attacks.cross_entropy(classify(z), labels), x, jax.random.key(0))
"""

from jaxgan.attacks.gradient import apgd, fgsm, pgd
from jaxgan.attacks.losses import cross_entropy, dlr, kl, margin, misclassified
from jaxgan.attacks.protocol import Attack, Score, Success, never, restarts
from jaxgan.attacks.query import moved, nes, occlusions, rotations, spatial, square
from jaxgan.attacks.sets import UNBOUNDED, Box, PerturbationSet, affine, anywhere, l1, l2, linf, patch
from jaxgan.attacks.suite import Classifier, Found, Masking, Member, ensemble, masking, transfer, worst_case

__all__ = [
    "UNBOUNDED",
    "Attack",
    "Box",
    "Classifier",
    "Found",
    "Masking",
    "Member",
    "PerturbationSet",
    "Score",
    "Success",
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
    "never",
    "occlusions",
    "patch",
    "pgd",
    "restarts",
    "rotations",
    "spatial",
    "square",
    "transfer",
    "worst_case",
]
