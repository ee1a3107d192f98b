"""Any objective, any penalty, any network and any transform make a game together (issue 4, acceptance 7)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import divergences, games, latents, objectives, penalties, transforms
from jaxgan.game import init_player, take_turn
from jaxgan.nets import dcgan, mlp, resnet
from jaxgan.networks import from_linen
from jaxgan.types import GameState, Player, Turn

KEY = jax.random.key(0)
OBJECTIVES = {
    **{f.__name__: f() for f in (objectives.minimax, objectives.non_saturating, objectives.hinge, objectives.wasserstein)},
    **{"least_squares": objectives.least_squares(), "f_distance": objectives.f_distance(jax.nn.sigmoid)},
    **{f"f_gan {name}": objectives.f_gan(make()) for name, make in divergences.BY_NAME.items()},
    "smoothed": objectives.smooth_labels(objectives.non_saturating()),
}
PENALTIES = {
    "none": None,
    "two-sided": penalties.gradient_penalty(),
    "one-sided": penalties.gradient_penalty(one_sided=True),
    "zero-centred": penalties.zero_centred(),
    "r1 and r2": penalties.both(penalties.r1(), penalties.r2()),
    "dragan": penalties.dragan(),
    "drift": penalties.drift(),
    "consistency": penalties.consistency(lambda key, x: -x),
}
TRANSFORMS = {
    "unchanged": transforms.UNCHANGED,
    "spectral": transforms.spectral_norm(),
    "clamped": transforms.clamp_singular_values(1.0),
    "weight": transforms.weight_norm(),
    "equalized": transforms.equalized_lr(),
    "orthogonal": transforms.orthogonalize(3),
    "chained": transforms.chain(transforms.equalized_lr(), transforms.spectral_norm()),
}
NETWORKS = {
    "points": ((2,), mlp.Generator((2,), (4,)), mlp.Discriminator((4,))),
    "residual": ((8, 8, 1), resnet.Generator((8, 8, 1), 4, (True,)), resnet.Discriminator(4, (True,))),
    "strided": ((8, 8, 1), dcgan.Generator((8, 8, 1), (4,)), dcgan.Discriminator((4,))),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "network", "transform"), [(i, *pair) for i, pair in enumerate(itertools.product(NETWORKS, TRANSFORMS))]
)
def test_combinations_take_a_finite_step(shift, network, transform):
    """Every network meets every transform, and every objective every penalty, one shift a time; each meets all of the others.

    Run without jit: operations are compiled once and shared. Penalties with BatchNorm are tried, too.
    """
    shape, *modules = NETWORKS[network]
    gen, disc = (from_linen(module) for module in modules)
    real, latent = jax.random.uniform(KEY, (4, *shape), minval=-1.0), latents.normal(3)
    turn = Turn({"real": real}, KEY, jnp.int32(0))
    inits = {"disc": lambda key: disc.init(key, real), "gen": lambda key: gen.init(key, jnp.zeros((1, 3)))}
    start = None
    terms = list(PENALTIES.items())
    for i, (objective, curves) in enumerate(OBJECTIVES.items()):
        penalty, term = terms[(i + shift) % len(terms)]
        losses = dict(zip(("disc", "gen"), games.adversarial(gen, disc, curves, latent, penalty=term), strict=True))
        players = {name: Player(inits[name], losses[name], optax.sgd(1e-2), TRANSFORMS[transform]) for name in losses}
        start = start or GameState(jnp.int32(0), {name: init_player(player, KEY) for name, player in players.items()})
        for name in ("disc",) if term is not None else players:  # a penalty is no business of the generator's
            state, metrics = take_turn(players, name)(start, turn)
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves((state.players[name].params, metrics))]
            assert all(np.isfinite(leaf).all() for leaf in leaves), f"{name}, {objective}, {penalty}"
            before = jax.tree.leaves(start.players[name].params)
            after = jax.tree.leaves(state.players[name].params)
            assert any((a != b).any() for a, b in zip(after, before, strict=True)), objective
