"""Rounds other than alternating turns, and the game's vector field (requirements A2.4, A7.3, A7.4; erratum E30)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import dynamics, game, games, latents, objectives, parallel, transforms
from jaxgan.nets import mlp
from jaxgan.nets.layers import BatchNorm
from jaxgan.networks import from_linen
from jaxgan.types import GameState, Outcome, Player, Turn

KEY = jax.random.key(0)
TURN = Turn({}, KEY, jnp.int32(0))


def leaves_close(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


# Small games, in formulas


def formula_game(optimizer, **costs):
    """Players who own numbers and lower costs of `{name: numbers}`."""
    cost = lambda f: lambda nets, turn: (f({name: net.weights for name, net in nets.items()}), Outcome({}, {}))
    return {name: Player(lambda k: (jnp.zeros(()), {}), cost(f), optimizer) for name, f in costs.items()}


def put(players, **values):
    """A first state with the players at given places."""
    states = {name: game.init_player(player, KEY) for name, player in players.items()}
    for name, value in values.items():
        params = jnp.asarray(value, jnp.result_type(float))
        states[name] = states[name]._replace(params=params, opt=players[name].optimizer.init(params))
    return GameState(jnp.int32(0), states)


def bilinear(optimizer):
    return formula_game(optimizer, disc=lambda p: -p["gen"] * p["disc"], gen=lambda p: p["gen"] * p["disc"])


def dirac(gamma, optimizer):
    """The Dirac-GAN: a critic of slope `disc`, a generator at `gen`, data at 0; `gamma` weighs R1."""
    cost = lambda p: jax.nn.softplus(-p["gen"] * p["disc"])
    return formula_game(optimizer, disc=lambda p: cost(p) + gamma / 2 * p["disc"] ** 2, gen=lambda p: -cost(p))


def orbit(play, state, rounds):
    state = jax.jit(lambda s: jax.lax.fori_loop(0, rounds, lambda _, s: play(s, {}, KEY)[0], s))(state)
    return np.array([state.players["gen"].params, state.players["disc"].params])


def test_simultaneous_bilinear_orbit_a2_4():
    """B3c, E30: every round multiplies the distance by sqrt(1 + eta^2) and turns by arctan(eta)."""
    players = bilinear(optax.sgd(0.1))
    end = orbit(dynamics.simultaneous(players), put(players, gen=1, disc=0), 100)
    np.testing.assert_allclose(np.linalg.norm(end), 1.6446318218, rtol=1e-5)
    expected = (1 + 0.1j) ** 100
    np.testing.assert_allclose(end, [expected.real, expected.imag], rtol=1e-4)


def test_simultaneous_dirac_orbit_a2_4():
    players = dirac(0, optax.sgd(0.1))
    end = orbit(dynamics.simultaneous(players), put(players, gen=1, disc=1), 500)
    np.testing.assert_allclose(np.linalg.norm(end), 2.2535787, rtol=1e-5)


def test_extragradient_bilinear_orbit_a2_4():
    """B3c: `1 - eta^2 + i eta` a round, which shrinks."""
    players = bilinear(optax.sgd(0.1))
    end = orbit(dynamics.extragradient(players), put(players, gen=1, disc=0), 100)
    np.testing.assert_allclose(np.linalg.norm(end), 0.6080692274, rtol=1e-5)
    expected = (1 - 0.1**2 + 0.1j) ** 100
    np.testing.assert_allclose(end, [expected.real, expected.imag], rtol=1e-4)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_consensus_bilinear_orbit_a2_4(weight):
    """`|v|^2 / 2 = (x^2 + y^2) / 2` pulls to the origin: `1 - eta weight + i eta` a round."""
    players = bilinear(optax.sgd(0.1))
    end = orbit(dynamics.consensus(players, weight), put(players, gen=1, disc=0), 20)
    expected = (1 - 0.1 * weight + 0.1j) ** 20
    np.testing.assert_allclose(end, [expected.real, expected.imag], rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(end) < 0.5


def test_consensus_gradient_is_that_of_half_the_squared_field_a2_4():
    """On the Dirac-GAN, where J is not symmetric and depends on the point: against formulas and central differences."""
    players, at, weight = dirac(0.3, optax.sgd(1.0)), np.array([0.7, -1.2]), 0.8

    def field(theta, psi):
        slope = 1 / (1 + np.exp(psi * theta))
        return np.array([psi * slope, -theta * slope + 0.3 * psi])

    half_square = lambda x: np.sum(field(*x) ** 2) / 2
    pull = np.array([(half_square(at + h) - half_square(at - h)) / 2e-6 for h in 1e-6 * np.eye(2)])
    end = orbit(dynamics.consensus(players, weight), put(players, gen=at[0], disc=at[1]), 1)
    np.testing.assert_allclose(end, at - field(*at) - weight * pull, rtol=1e-5)


def test_optimistic_bilinear_orbit_a2_4():
    """`z' = z + i eta (2 z - z_before)`, first `1 + i eta`: solved by the roots of `r^2 - (1 + 2 i eta) r + i eta`."""
    eta, rounds = 0.1, 100
    players = bilinear(optax.optimistic_gradient_descent(eta))
    end = orbit(dynamics.simultaneous(players), put(players, gen=1, disc=0), rounds)
    roots = np.roots([1, -(1 + 2j * eta), 1j * eta])
    shares = np.linalg.solve([[1, 1], roots], [1, 1 + 1j * eta])
    expected = np.sum(shares * roots**rounds)
    np.testing.assert_allclose(end, [expected.real, expected.imag], rtol=1e-4)
    assert np.linalg.norm(end) < 0.7


def test_simultaneous_players_do_not_see_each_other_move():
    players = bilinear(optax.sgd(0.1))
    state = put(players, gen=3, disc=2)
    together, metrics = dynamics.simultaneous(players)(state, {}, KEY)
    for name in players:
        alone, reported = game.take_turn(players, name)(state, TURN)
        leaves_close(together.players[name], alone.players[name])
        np.testing.assert_array_equal(metrics[f"{name}/loss"], reported["loss"])
    assert set(metrics) == {"disc/loss", "gen/loss"} and int(together.step) == 1


# The field


def test_bilinear_eigenvalues_a2_4():
    players = bilinear(optax.sgd(0.1))
    point, v = dynamics.field(players, put(players, gen=3, disc=2), TURN)
    np.testing.assert_array_equal(point, [2, 3])  # disc, gen
    np.testing.assert_array_equal(v(point), [-3, 2])
    found = dynamics.jacobian_eigenvalues(v, point)
    np.testing.assert_allclose(sorted(found, key=np.imag), [-1j, 1j], atol=1e-7)


@pytest.mark.parametrize("gamma", [0, 0.1, 0.5, 1.0, 2.0])
def test_dirac_eigenvalues_a7_3(gamma):
    """B3c: of `-v` at the equilibrium, `-g / 2 +- sqrt(g^2 / 4 - 1 / 4)`; imaginary without a penalty, left of 0 with one."""
    players = dirac(gamma, optax.sgd(0.1))
    point, v = dynamics.field(players, put(players, gen=0, disc=0), TURN)
    found = dynamics.jacobian_eigenvalues(lambda x: -v(x), point)
    root = np.sqrt(complex(gamma**2 / 4 - 1 / 4))
    order = lambda values: sorted(values, key=lambda z: (round(z.imag, 4), z.real))
    np.testing.assert_allclose(order(found), order([-gamma / 2 + root, -gamma / 2 - root]), rtol=1e-5, atol=1e-5)
    jacobian = jax.jacfwd(v)(point)
    np.testing.assert_allclose(dynamics.rotation_index(jacobian), 0.5 / (0.5 + gamma**2), rtol=1e-5)


def test_rotation_index_tells_rotation_from_descent():
    rotation, descent = jnp.array([[0.0, -2], [2, 0]]), jnp.array([[1.0, 3], [3, -1]])
    assert dynamics.rotation_index(rotation) == 1 and dynamics.rotation_index(descent) == 0
    np.testing.assert_allclose(dynamics.rotation_index(rotation + descent), 8 / (8 + 20), rtol=1e-6)


def test_jacobian_products_equal_the_dense_jacobian():
    """`J u` and `J^T u` against central differences of `v`, and a dense Jacobian that is not symmetric."""
    with jax.enable_x64(True):
        players = leader_of_two(optax.sgd(0.1))
        point, v = dynamics.field(players, put(players, gen=[0.8, -0.5], disc=0.4), TURN)
        np.testing.assert_array_equal(point, [0.4, 0.8, -0.5])
        dense = np.stack([(v(point + h) - v(point - h)) / 2e-6 for h in 1e-6 * np.eye(3)], axis=1)
        times, transposed_times = dynamics.jacobian_products(v, point)
        u = np.array([1.0, -2.0, 0.5])
        np.testing.assert_allclose(times(u), dense @ u, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(transposed_times(u), dense.T @ u, rtol=1e-7, atol=1e-9)
        assert np.abs((dense - dense.T) @ u).min() > 0.1  # else the two products could be exchanged unseen
        found = dynamics.jacobian_eigenvalues(v, point)
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.linalg.eigvals(dense)), rtol=1e-6)


# Unrolled


def leader_of_two(optimizer):
    """A leader with two numbers, a follower with one, neither loss quadratic nor the two opposite."""
    return formula_game(
        optimizer,
        disc=lambda p: -p["gen"][0] * jnp.sin(p["disc"]) + p["disc"] ** 2 * jnp.exp(0.3 * p["gen"][1]) / 2,
        gen=lambda p: p["gen"][0] * p["disc"] ** 2 + jnp.cos(p["gen"][1]) * p["disc"],
    )


def answered_loss(gen, disc, steps, eta):
    """The leader's loss after the follower's gradient steps, written once more in numpy."""
    for _ in range(steps):
        disc = disc - eta * (-gen[0] * np.cos(disc) + disc * np.exp(0.3 * gen[1]))
    return gen[0] * disc**2 + np.cos(gen[1]) * disc, disc


def leader_step(players, state, steps, turns=1):
    """What the leader takes off its parameters in one round."""
    play = jax.jit(dynamics.unrolled(players, "gen", "disc", steps, turns))
    moved, metrics = play(state, {}, KEY)
    return np.asarray(state.players["gen"].params - moved.players["gen"].params), moved, metrics


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_unrolled_gradient_flows_through_the_follower_a7_4(steps):
    """A7.4: equals finite differences of the loss after the answer; the gradient at a frozen answer is another."""
    eta, gen, disc = 0.3, np.array([0.8, -0.5]), 0.4
    with jax.enable_x64(True):
        players = leader_of_two(optax.sgd(eta))
        taken, moved, metrics = leader_step(players, put(players, gen=gen, disc=disc), steps)
        _, after_turn = answered_loss(gen, disc, 1, eta)
        np.testing.assert_allclose(moved.players["disc"].params, after_turn, rtol=1e-12)  # one turn, answers forgotten
        loss, answer = answered_loss(gen, after_turn, steps, eta)
        np.testing.assert_allclose(metrics["gen/loss"], loss, rtol=1e-12)
        after = lambda leader: answered_loss(leader, after_turn, steps, eta)[0]
        expected = np.array([(after(gen + h) - after(gen - h)) / 2e-5 for h in 1e-5 * np.eye(2)])
        np.testing.assert_allclose(taken / eta, expected, rtol=1e-7)
        frozen = np.array([answer**2, -np.sin(gen[1]) * answer])
        assert np.abs(expected - frozen).min() > 0.02


def test_unrolled_differentiates_the_followers_own_optimizer_a7_4():
    """Adam from moments that are not at rest: the answer is its next turns, the gradient central differences of the loss."""
    with jax.enable_x64(True):
        players = leader_of_two(optax.adam(0.05, eps_root=1e-12))
        players["gen"] = players["gen"]._replace(optimizer=optax.sgd(1.0))
        turn = game.take_turn(players, "disc")
        state = put(players, gen=[0.8, -0.5], disc=0.4)
        for _ in range(2):
            state, _ = turn(state, TURN)
        play = jax.jit(dynamics.unrolled(players, "gen", "disc", 3, turns=0))

        def at(gen):
            there = {**state.players, "gen": state.players["gen"]._replace(params=jnp.asarray(gen))}
            moved, metrics = play(state._replace(players=there), {}, KEY)
            return gen - np.asarray(moved.players["gen"].params), float(metrics["gen/loss"])

        gen = np.array([0.8, -0.5])
        expected = [(at(gen + h)[1] - at(gen - h)[1]) / 2e-6 for h in 1e-6 * np.eye(2)]
        np.testing.assert_allclose(at(gen)[0], expected, rtol=1e-6)
        later = state
        for _ in range(3):
            later, _ = turn(later, TURN)
        np.testing.assert_allclose(at(gen)[1], game.evaluate(players, "gen", jnp.asarray(gen), later, TURN)[0], rtol=1e-12)


def test_unrolled_with_plain_adam_needs_eps_root():
    """The docstring's warning: behind a ReLU that is off the leader's gradient is NaN, and `eps_root` mends it."""
    for eps_root, finite in ((0.0, False), (1e-8, True)):
        players = formula_game(
            optax.adam(0.1, eps_root=eps_root),
            disc=lambda p: jax.nn.relu(-p["disc"] * p["gen"]),
            gen=lambda p: p["gen"] * p["disc"],
        )
        taken, _, _ = leader_step(players, put(players, gen=1, disc=1), 1)
        assert np.isfinite(taken) == finite


@pytest.mark.parametrize("slices, steps", [(3, 3), (2, 5)])
def test_unrolled_answers_see_the_slices_in_order(slices, steps):
    """Each inner turn moves the follower by its slice; the leader's loss shows which were seen."""
    first = lambda k: (jnp.zeros(()), {})
    follow = lambda nets, turn: (nets["disc"].weights * turn.batch["real"], Outcome({}, {}))
    lead = lambda nets, turn: (nets["gen"].weights + nets["disc"].weights, Outcome({}, {}))
    players = {"disc": Player(first, follow, optax.sgd(1.0)), "gen": Player(first, lead, optax.sgd(1.0))}
    real = 10.0 ** np.arange(slices)
    moved, metrics = dynamics.unrolled(players, "gen", "disc", steps)(put(players, gen=0, disc=0), {"real": jnp.array(real)}, KEY)
    np.testing.assert_allclose(moved.players["disc"].params, -1)
    np.testing.assert_allclose(metrics["gen/loss"], -1 - sum(real[i % slices] for i in range(steps)))


def test_unrolled_memory_does_not_grow_by_activations_a7_4():
    """A7.4: sixteen more inner turns cost less memory than one array of a turn's activations: they are computed again."""
    data = jnp.linspace(-1, 1, 2**18)
    wave = lambda p: jnp.mean(jnp.tanh(jnp.sin(p["gen"] * data) * p["disc"]))
    players = formula_game(optax.sgd(0.1), disc=wave, gen=lambda p: -wave(p))

    def memory(steps):
        play = jax.jit(dynamics.unrolled(players, "gen", "disc", steps))
        return play.lower(put(players, gen=1, disc=1), {}, KEY).compile().memory_analysis().temp_size_in_bytes

    assert memory(18) - memory(2) < data.nbytes


# A GAN on a ring, through every dynamic


class Normalised(nn.Module):
    """A generator whose BatchNorm statistics all devices must share."""

    axis_name: str | None

    @nn.compact
    def __call__(self, z, train):
        return nn.Dense(2)(nn.tanh(BatchNorm(self.axis_name)(nn.Dense(8, use_bias=False)(z), train)))


def ring_players(axis_name, optimizer):
    """BatchNorm and a moving average in the generator, spectral norm in the critic."""
    gen, disc = from_linen(Normalised(axis_name)), from_linen(mlp.Discriminator((8,)))
    latent = parallel.draw(latents.normal(3), axis_name)
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.non_saturating(), latent)
    return {
        "disc": Player(lambda k: disc.init(k, jnp.zeros((1, 2))), disc_loss, optimizer, transforms.spectral_norm()),
        "gen": Player(lambda k: gen.init(k, jnp.zeros((1, 3))), gen_loss, optimizer, ema_decay=0.5),
    }


@functools.cache
def ring_init():
    return jax.jit(game.make_game(ring_players(None, optax.sgd(0.1)), None, None).init)(KEY)


def ring_start(players):
    """One first state for all, so that it is compiled once; in buffers of its own, which a step may consume."""
    state = jax.tree.map(jnp.copy, ring_init())
    fresh = {name: mine._replace(opt=players[name].optimizer.init(mine.params)) for name, mine in state.players.items()}
    return state._replace(players=fresh)


def ring_batch(i, slices=2, size=8):
    angles = 2 * np.pi / 8 * jax.random.randint(jax.random.fold_in(KEY, i), (slices, size), 0, 8)
    return {"real": jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)}


DYNAMICS = {
    "simultaneous": (dynamics.simultaneous, optax.sgd(0.1)),
    "optimistic": (dynamics.simultaneous, optax.optimistic_gradient_descent(0.1)),
    "extragradient": (dynamics.extragradient, optax.sgd(0.1)),
    "consensus": (functools.partial(dynamics.consensus, weight=0.5), optax.sgd(0.1)),
    "unrolled": (functools.partial(dynamics.unrolled, leader="gen", follower="disc", steps=3), optax.sgd(0.1)),
}


@functools.cache
def train(name, mode, devices, rounds=3):
    plan = parallel.make_plan(mode, devices, batch_size=8)
    build, optimizer = DYNAMICS[name]
    players = ring_players(plan.axis_name, optimizer)
    made = game.make_game(players, build(players, axis_name=plan.axis_name), games.generate(None))
    state, key, step = plan.replicate(ring_start(players)), plan.replicate(KEY), plan.compile(made.step)
    for i in range(rounds):
        state, metrics = step(state, plan.spread(ring_batch(i)), key)
    return jax.device_get((ring_start(players), state, metrics))


@pytest.mark.parametrize("name", DYNAMICS)
def test_every_dynamic_trains_a_ring_gan(name):
    """Finite, every parameter moved and all that is carried, shapes as they were."""
    start, state, metrics = train(name, "jit", 1)
    assert int(state.step) == 3 and set(metrics) == {"disc/loss", "disc/real", "disc/fake", "gen/loss"}
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.players, metrics)))
    assert jax.tree.map(jnp.shape, start) == jax.tree.map(jnp.shape, state)
    for player, before in start.players.items():
        after = state.players[player]
        apart = lambda part, a=before, b=after: [np.abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, (part(a), part(b))))]
        assert min(apart(lambda s: s.params)) > 0 and max(apart(lambda s: s.params)) > 1e-2
        assert max(apart(lambda s: (s.transform, s.stats, s.ema))) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name, mode", [*((name, "shard_map") for name in DYNAMICS), ("consensus", "pmap"), ("unrolled", "pmap")])
def test_every_dynamic_is_the_same_on_four_devices(name, mode):
    """With SGD, which hides no factor; under pmap, those that differentiate averages.

    The test above shows that parameters move by far more than the tolerance.
    """
    leaves_close(train(name, mode, 4), train(name, "jit", 1), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_extragradient_uses_and_forgets_what_is_carried_ahead():
    """Adam counts one step a round; `u` and BatchNorm's averages advance once, from where they stood, at the point ahead."""
    players = ring_players(None, optax.adam(0.05))
    state, batch = ring_start(players), ring_batch(0)
    keys = dict(zip(("disc", "gen"), jax.random.split(jax.random.fold_in(KEY, 0), 2), strict=True))

    @jax.jit
    def play(state):
        ahead, _ = dynamics.simultaneous(players)(state, batch, KEY)
        there = state._replace(players={n: state.players[n]._replace(params=p.params) for n, p in ahead.players.items()})
        turns = {name: Turn({"real": batch["real"][0]}, key, state.step) for name, key in keys.items()}
        alone = {name: game.take_turn(players, name)(there, turn)[0].players[name] for name, turn in turns.items()}
        return dynamics.extragradient(players)(state, batch, KEY)[0], there, alone

    moved, there, alone = play(state)
    for name, expected in alone.items():
        found, before = moved.players[name], state.players[name]
        for part in ("transform", "stats", "opt"):
            leaves_close(getattr(found, part), getattr(expected, part), rtol=1e-5, atol=1e-6)
        step = jax.tree.map(jnp.subtract, expected.params, there.players[name].params)
        leaves_close(found.params, jax.tree.map(jnp.add, before.params, step), rtol=1e-5, atol=1e-6)
        assert int(optax.tree_utils.tree_get(found.opt, "count")) == 1


def test_consensus_without_weight_is_simultaneous():
    players = ring_players(None, optax.sgd(0.1))
    rounds = (dynamics.simultaneous(players), dynamics.consensus(players, 0.0))
    plain, leaning = jax.jit(lambda state: [play(state, ring_batch(0), KEY) for play in rounds])(ring_start(players))
    leaves_close(leaning, plain, rtol=1e-5, atol=1e-6)


def test_unrolled_by_no_steps_is_a_round_of_turns_a7_4():
    players = ring_players(None, optax.sgd(0.1))
    state, ordinary = ring_start(players), game.play_round(players, (("disc", 2), ("gen", 1)))
    rounds = (dynamics.unrolled(players, "gen", "disc", steps=0, turns=2), ordinary)
    found, expected = jax.jit(lambda state: [play(state, ring_batch(0), KEY) for play in rounds])(state)
    leaves_close(found, expected, rtol=1e-5, atol=1e-6)
