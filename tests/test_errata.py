"""Claims of the notes about whole games that do not hold as they stand there (errata E2, E7, E9, E27, E35)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import ndtri

from experiments import figures
from experiments.figures import _critic, tabular
from jaxgan import divergences, objectives, transforms, transport

POINTS = ndtri((np.arange(512) + 0.5) / 512)[:, None].astype(np.float32)  # of N(0, 1), whose W1 from N(1, 1) is 1


def gap(optimizer, turns, transform=None):
    """Gives `E D(x) - E D(x + 1)` after so many turns of a critic that is paid by it."""
    critic = _critic.alone(objectives.wasserstein(), lambda key, count: POINTS + 1, 1, optimizer, (16,))
    state, _ = figures.play(critic, lambda key: {"real": POINTS[None]}, turns, critic.init(jax.random.key(0)), jax.random.key(1))
    if transform is not None:
        disc = state.players["disc"]
        weights, _ = transform.apply(disc.params, transform.init(jax.random.key(2), disc.params))
        state = state._replace(players={**state.players, "disc": disc._replace(params=weights)})
    return float(jnp.mean(critic.infer(state, POINTS)) - jnp.mean(critic.infer(state, POINTS + 1)))


def test_without_a_bound_on_slopes_the_critics_gap_grows_without_end_e2_e7():
    """sup is infinite for any two laws; it is the constraint that makes it W1, and a network does not keep it by itself."""
    early, late = (gap(optax.adam(0.02), turns) for turns in (100, 400))
    assert early > 2 and late > 10 * early
    assert 0 < gap(optax.adam(0.02), 400, transforms.spectral_norm(num_iterations=100)) < 1.001


@pytest.mark.parametrize("bound", [0.01, 0.1])
def test_a_clipped_critics_estimate_is_that_of_its_own_bound_e35(bound):
    """For a linear critic |w| <= c it is c W1: losses of two bounds cannot be compared, and none of them is W1."""
    clipped = optax.chain(optax.sgd(0.01), transforms.clip_weights(bound))
    critic = _critic.alone(objectives.wasserstein(), lambda key, count: POINTS + 1, 1, clipped, ())
    state, _ = figures.play(critic, lambda key: {"real": POINTS[None]}, 200, critic.init(jax.random.key(0)), jax.random.key(1))
    told = jnp.mean(critic.infer(state, POINTS)) - jnp.mean(critic.infer(state, POINTS + 1))
    assert float(told) == pytest.approx(bound, rel=1e-4)


def test_only_the_distance_of_a_bounded_family_generalises_e9():
    """From 100 to 1,600 points of one law in 16 dimensions: a linear critic's distance falls by 4, W1 hardly, JS not at all."""

    def distances(m, pairs):
        x, y = np.random.default_rng(m).standard_normal((2, pairs, m, 16))
        linear = np.mean([np.linalg.norm(a.mean(0) - b.mean(0)) for a, b in zip(x, y)])  # sup over |w| <= 1
        table = np.repeat(np.eye(2), m, axis=1) / m  # each sample on points of its own
        return linear, transport.wasserstein(x[0], y[0])[0], float(divergences.jsd(*table))

    (few_linear, few_w1, few_js), (linear, w1, js) = distances(100, 20), distances(1600, 20)
    assert few_linear / linear == pytest.approx(4, rel=0.15)
    assert few_w1 / w1 < 1.35
    np.testing.assert_allclose([few_js, js], np.log(2), rtol=1e-6)


def test_a_fixed_critic_is_best_met_by_a_single_point_e27():
    """min over p_g of `V(G, D)` with D fixed is a corner; of `C(G) = max_D V` it is the data, value -log 4 (E28)."""
    laws = np.random.default_rng(0).dirichlet(np.ones(8), 500)
    corners = np.eye(8)
    logits = np.log(tabular.DATA) - np.log(laws[0])
    fixed = lambda law: law @ jax.nn.log_sigmoid(-logits)  # the part of V that knows p_g
    assert min(map(fixed, corners)) == fixed(corners[logits.argmax()]) < min(map(fixed, laws)) < fixed(tabular.DATA)
    best = lambda law: 2 * float(divergences.jsd(tabular.DATA, law)) - np.log(4)
    assert best(tabular.DATA) == pytest.approx(-np.log(4), abs=1e-6)
    assert best(tabular.DATA) < min(map(best, [*laws, *corners]))
