"""Any objective, any penalty, any network and any transform make a game together (issue 4, acceptance 7)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from jaxgan import divergences, games, latents, objectives, penalties, transforms
from jaxgan.game import gradient, init_player, take_turn
from jaxgan.nets import dcgan, mlp, resnet
from jaxgan.networks import from_linen
from jaxgan.types import GameState, Objective, Player, Turn

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


NOTHING = Objective(*[lambda t: 0.0 * t] * 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "network", "transform"), [(i, *pair) for i, pair in enumerate(itertools.product(NETWORKS, TRANSFORMS))]
)
def test_every_combination_takes_a_finite_step(shift, network, transform):
    """The whole product: a critic's gradient is that of its objective and that of its penalty, added up.

    So each is found once, every sum is looked at, and real games of both, an objective for each penalty, are compared with their
    sums. Run without jit: operations are compiled once and shared. Penalties with BatchNorm are tried, too.
    """
    shape, *modules = NETWORKS[network]
    gen, disc = (from_linen(module) for module in modules)
    real, latent = jax.random.uniform(KEY, (4, *shape), minval=-1.0), latents.normal(3)
    turn = Turn({"real": real}, KEY, jnp.int32(0))
    inits = {"disc": lambda key: disc.init(key, real), "gen": lambda key: gen.init(key, jnp.zeros((1, 3)))}

    def players(curves, term):
        losses = zip(("disc", "gen"), games.adversarial(gen, disc, curves, latent, penalty=term), strict=True)
        return {name: Player(inits[name], loss, optax.sgd(1.0), TRANSFORMS[transform]) for name, loss in losses}

    start = {name: init_player(player, KEY) for name, player in players(NOTHING, None).items()}
    start = GameState(jnp.int32(0), start)

    def slope(name, curves, term=None):
        grads, (_, _, metrics) = gradient(players(curves, term), name, start, turn)
        assert all(np.isfinite(value) for value in metrics.values())
        return np.asarray(ravel_pytree(grads)[0])

    of_objectives = {name: slope("disc", curves) for name, curves in OBJECTIVES.items()}
    of_penalties = {name: slope("disc", NOTHING, term) if term else np.float32(0) for name, term in PENALTIES.items()}
    for (objective, own), (penalty, added) in itertools.product(of_objectives.items(), of_penalties.items()):
        assert np.isfinite(own + added).all() and (own + added).any(), f"{objective}, {penalty}"
    for objective, curves in OBJECTIVES.items():
        found = slope("gen", curves)
        assert np.isfinite(found).all() and found.any(), objective
    for i, (penalty, term) in enumerate(PENALTIES.items()):
        objective = list(OBJECTIVES)[(i + shift) % len(OBJECTIVES)]
        state, _ = take_turn(players(OBJECTIVES[objective], term), "disc")(start, turn)
        moved = ravel_pytree(start.players["disc"].params)[0] - ravel_pytree(state.players["disc"].params)[0]
        total = of_objectives[objective] + of_penalties[penalty]
        np.testing.assert_allclose(moved, total, rtol=1e-3, atol=1e-4 * np.abs(total).max(), err_msg=f"{objective}, {penalty}")
