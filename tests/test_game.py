"""Turns, rounds and games (requirements A1.1, A2.4; errata E30, E37)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from truth import waves

from jaxgan import dynamics, game, games, latents, lipschitz, objectives, parallel, penalties, transforms
from jaxgan.nets import dcgan, mlp, resnet
from jaxgan.networks import accumulate, concat_labels, from_linen, standing_statistics
from jaxgan.types import UNCHANGED, GameState, Net, Network, Outcome, Player, Turn, UserError

KEY = jax.random.key(0)


def image_players(optimizer=None, cheat=False):
    """A small SN-GAN on 8x8 images; with `cheat`, the critic's networks and the generator's are one player's to move."""
    gen, disc = from_linen(resnet.Generator((8, 8, 1), 4, (True,))), from_linen(resnet.Discriminator(4, (True,)))
    latent = latents.normal(3)
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.hinge(), latent)
    optimizer = optimizer or optax.adam(1e-2)
    return {
        "disc": Player(lambda k: disc.init(k, jnp.zeros((1, 8, 8, 1))), disc_loss, optimizer, transforms.spectral_norm()),
        "gen": Player(lambda k: gen.init(k, jnp.zeros((1, 3))), gen_loss, optimizer, ema_decay=0.9),
    }, games.generate(gen)


def start(players, infer=None, schedule=(("disc", 1), ("gen", 1))):
    made = game.make_game(players, game.play_round(players, schedule), infer)
    return made, jax.jit(made.init)(KEY)


def batch(slices=1, size=4):
    return {"real": jax.random.uniform(jax.random.key(7), (slices, size, 8, 8, 1), minval=-1.0)}


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("mover, other", [("disc", "gen"), ("gen", "disc")])
def test_all_others_stand_still_a1_1(mover, other):
    """A1.1: after a D turn every G leaf is bit-identical and vice versa, statistics, power iteration and averages included."""
    players, _ = image_players()
    _, state = start(players)
    turn = Turn(jax.tree.map(lambda x: x[0], batch()), KEY, state.step)
    moved, _ = jax.jit(game.take_turn(players, mover))(state, turn)
    assert same(moved.players[other], state.players[other])
    before, after = state.players[mover], moved.players[mover]
    changed = [
        not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params), strict=True)
    ]
    assert np.mean(changed) > 0.8
    assert not same(before.opt, after.opt)
    if mover == "gen":
        assert not same(before.stats, after.stats) and not same(before.ema, after.ema)
    else:
        assert not same(before.transform, after.transform)


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 2, 5])
def test_critic_turns_are_counted_a1_1(turns):
    players, _ = image_players()
    made, state = start(players, schedule=(("disc", turns), ("gen", 1)))
    step = jax.jit(made.step)
    for _ in range(2):
        state, _ = step(state, batch(turns), KEY)
    assert int(optax.tree_utils.tree_get(state.players["disc"].opt, "count")) == 2 * turns
    assert int(optax.tree_utils.tree_get(state.players["gen"].opt, "count")) == 2
    assert int(state.step) == 2


@pytest.mark.slow
def test_a_round_equals_its_turns_one_after_the_other():
    players, _ = image_players(optax.sgd(0.1))
    made, state = start(players, schedule=(("disc", 3), ("gen", 1)))
    slices, keys = batch(3), jax.random.split(jax.random.fold_in(KEY, 0), 4)
    expected, reports, turns = state, {}, {name: jax.jit(game.take_turn(players, name)) for name in players}
    for i, name in enumerate(("disc", "disc", "disc", "gen")):
        own = jax.tree.map(lambda x, i=i: x[i % 3], slices)
        expected, reports[name] = turns[name](expected, Turn(own, keys[i], state.step))
    played, metrics = jax.jit(made.step)(state, slices, KEY)
    for a, b in zip(jax.tree.leaves(played.players), jax.tree.leaves(expected.players), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(metrics["disc/real"], reports["disc"]["real"], rtol=1e-4, atol=1e-5)


def test_each_turn_has_fresh_data_and_fresh_noise_a1_1():
    seen = []
    note = lambda nets, turn: (seen.append((turn.batch["real"], turn.key)), (nets["disc"].weights.sum(), Outcome({}, {})))[1]
    players = {"disc": Player(lambda k: (jnp.ones(1), {}), note, optax.sgd(0.1))}
    made, state = start(players, schedule=(("disc", 3),))
    with jax.disable_jit():  # a scan is a loop then, over numbers that can be looked at
        for _ in range(2):
            state, _ = made.step(state, {"real": jnp.arange(3.0).reshape(3, 1)}, KEY)
    assert [float(real[0]) for real, _ in seen] == [0, 1, 2, 0, 1, 2]
    assert len({tuple(np.asarray(jax.random.key_data(key)).tolist()) for _, key in seen}) == 6


def test_a_free_critic_lets_the_generator_cheat_a1_1():
    """S2: raise the critic's last bias to 1e6 and every sample scores high. Only a frozen critic makes samples change."""
    gen, disc = from_linen(mlp.Generator((2,), (8,))), from_linen(mlp.Discriminator((8,)))
    latent = latents.normal(2)
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.hinge(), latent)
    make_gen, make_disc = lambda k: gen.init(k, jnp.zeros((1, 2))), lambda k: disc.init(k, jnp.zeros((1, 2)))
    honest = {"disc": Player(make_disc, disc_loss, optax.sgd(0.1)), "gen": Player(make_gen, gen_loss, optax.sgd(0.1))}

    def joint(nets, turn):  # one player whose params hold both networks: the loss of G, free to change D
        own = nets["gen"].weights
        loss, outcome = gen_loss(
            {"gen": nets["gen"]._replace(weights=own["gen"]), "disc": nets["disc"]._replace(weights=own["disc"])}, turn
        )
        return loss, outcome

    last_bias_only = optax.multi_transform(
        {"move": optax.sgd(1e6), "keep": optax.set_to_zero()},
        lambda params: jax.tree.map_with_path(
            lambda path, _: "move" if "disc" in str(path[0]) and "Dense_1" in str(path) and "bias" in str(path) else "keep",
            params,
        ),
    )
    cheat = {
        "disc": honest["disc"],
        "gen": Player(lambda k: ({"gen": make_gen(k)[0], "disc": make_disc(k)[0]}, {}), joint, last_bias_only),
    }
    turn = Turn({"real": jnp.zeros((16, 2))}, KEY, jnp.int32(0))
    z = latent(KEY, 16)

    _, state = start(cheat)
    moved, _ = game.take_turn(cheat, "gen")(state, turn)
    params = moved.players["gen"].params
    assert float(params["disc"]["Dense_1"]["bias"][0]) == 1e6
    score = disc.apply(params["disc"], {}, gen.apply(params["gen"], {}, z, train=False)[0], train=False)[0]
    assert score.mean() > 9e5
    assert same(params["gen"], state.players["gen"].params["gen"])

    _, state = start(honest)
    moved, _ = game.take_turn(honest, "gen")(state, turn)
    samples = [gen.apply(s.players["gen"].params, {}, z, train=False)[0] for s in (state, moved)]
    assert same(moved.players["disc"], state.players["disc"])
    assert np.abs(samples[0] - samples[1]).max() > 1e-3


def scalar_game(disc_cost, gen_cost, eta):
    """Two players who own one number each and descend given costs of (disc, gen)."""
    cost = lambda f: lambda nets, turn: (f(nets["disc"].weights, nets["gen"].weights), Outcome({}, {}))
    return {
        "disc": Player(lambda k: (jnp.float32(0), {}), cost(disc_cost), optax.sgd(eta)),
        "gen": Player(lambda k: (jnp.float32(0), {}), cost(gen_cost), optax.sgd(eta)),
    }


def orbit(players, disc, gen, rounds):
    made, state = start(players)
    place = lambda name, value: state.players[name]._replace(params=jnp.float32(value))
    state = GameState(state.step, {"disc": place("disc", disc), "gen": place("gen", gen)})
    step = jax.jit(lambda s: jax.lax.fori_loop(0, rounds, lambda _, s: made.step(s, {}, KEY)[0], s))
    state = step(state)
    return float(state.players["gen"].params), float(state.players["disc"].params)


def test_bilinear_orbit_a2_4():
    """B3c: min_x max_y xy by alternating turns stays bounded and does not converge (E30)."""
    x, y = orbit(scalar_game(lambda y, x: -x * y, lambda y, x: x * y, 0.1), disc=0.0, gen=1.0, rounds=100)
    np.testing.assert_allclose([x, y], [-0.8093848211, -0.5482021195], rtol=1e-4)


@pytest.mark.parametrize("gamma, theta, psi", [(0.0, -0.998973113828, -1.001108963886), (0.5, -2.8272822e-06, -7.510854e-07)])
def test_dirac_gan_orbit_a2_4(gamma, theta, psi):
    """B3c: the Dirac-GAN circles without, and converges with, a zero-centred penalty on the critic's slope."""
    cost = lambda psi, theta: jax.nn.softplus(-psi * theta)
    players = scalar_game(lambda p, t: cost(p, t) + gamma / 2 * p**2, lambda p, t: -cost(p, t), 0.1)
    np.testing.assert_allclose(orbit(players, disc=1.0, gen=1.0, rounds=500), [theta, psi], rtol=1e-3)


def test_moving_average():
    players = scalar_game(lambda y, x: y, lambda y, x: x, 0.5)
    players["gen"] = players["gen"]._replace(ema_decay=0.75)
    made, state = start(players, infer=lambda nets, inputs: nets["gen"].weights)
    average = 0.0
    for t in range(1, 4):
        state, _ = made.step(state, {}, KEY)
        average = 0.75 * average + 0.25 * (-0.5 * t)
    np.testing.assert_allclose(state.players["gen"].ema.weights, average, rtol=1e-6)
    np.testing.assert_allclose(made.infer(state, ()), average, rtol=1e-6)
    assert state.players["disc"].ema is None


def test_inference_changes_nothing_and_repeats_itself():
    players, infer = image_players()
    made, state = start(players, infer)
    z = latents.normal(3)(KEY, 6)
    images = made.infer(state, z)
    assert images.shape == (6, 8, 8, 1) and np.abs(images).max() <= 1
    np.testing.assert_array_equal(images, made.infer(state, z))
    np.testing.assert_allclose(images[:2], made.infer(state, z[:2]), atol=1e-6)  # no batch statistics at inference


@pytest.mark.slow
def test_transform_is_applied_once_a_turn_and_not_advanced_by_a_look():
    players, _ = image_players(optimizer=optax.sgd(0.0))
    made, state = start(players)
    after, _ = made.step(state, batch(), KEY)
    _, expected = players["disc"].transform.apply(state.players["disc"].params, state.players["disc"].transform)
    for name, u in after.players["disc"].transform.items():
        np.testing.assert_allclose(u, expected[name], rtol=1e-5, atol=1e-6)
    assert players["gen"].transform is UNCHANGED


def test_same_key_same_round_other_key_other_round():
    players, _ = image_players()
    made, state = start(players)
    step = jax.jit(made.step)
    assert same(step(state, batch(), KEY), step(state, batch(), KEY))
    assert not same(step(state, batch(), KEY), step(state, batch(), jax.random.key(1)))


# What large models train with (A10.2)


def test_an_average_that_starts_late_is_a_copy_until_then_a10_2():
    players = scalar_game(lambda y, x: y, lambda y, x: x, 0.5)
    players["gen"] = players["gen"]._replace(ema_decay=0.75, ema_start=2)
    made, first = start(players, infer=lambda nets, inputs: nets["gen"].weights)
    third = 0.75 * -1.0 + 0.25 * -1.5
    for step in (made.step, dynamics.simultaneous(players)):
        state, seen = first, []
        for _ in range(4):
            state, _ = step(state, {}, KEY)
            seen.append(float(state.players["gen"].ema.weights))
        np.testing.assert_allclose(seen, [-0.5, -1.0, third, 0.75 * third + 0.25 * -2.0], rtol=1e-6)


OBJECTIVE, LATENT = objectives.non_saturating(), latents.normal(3)
COUPLED = {
    "WGAN-GP": lambda gen, disc: games.adversarial(
        gen, disc, objectives.wasserstein(), LATENT, penalty=penalties.gradient_penalty()
    ),
    "joint pass": lambda gen, disc: games.adversarial(gen, disc, objectives.hinge(), LATENT, joint=True),
    "relativistic": lambda gen, disc: games.relativistic(gen, disc, OBJECTIVE, LATENT),
}


@pytest.mark.slow
@pytest.mark.parametrize("pair", COUPLED)
@pytest.mark.parametrize("name", ["disc", "gen"])
def test_accumulated_gradients_are_those_of_the_large_batch_a10_2(pair, name):
    """Also of penalties on slopes, and of losses that compare examples with means over the batch."""
    shape = (8, 8, 1)
    networks = from_linen(mlp.Generator(shape, (16, 16))), from_linen(dcgan.Discriminator((4,)))  # no BatchNorm in either
    z, x = jnp.zeros((1, 3)), jnp.zeros((1, *shape))

    def grads(rows):
        gen, disc = (accumulate(network, rows) for network in networks)
        losses = COUPLED[pair](gen, disc)
        players = {
            player: Player(lambda k, n=network, x=x: n.init(k, x), loss, optax.sgd(1.0))
            for player, network, x, loss in zip(("disc", "gen"), (disc, gen), (x, z), losses, strict=True)
        }
        _, state = start(players)
        turn = Turn(jax.tree.map(lambda x: x[0], batch(size=8)), KEY, state.step)
        found, (_, _, metrics) = jax.jit(lambda state: game.gradient(players, name, state, turn))(state)
        return found, metrics

    whole, parts = grads(8), grads(2)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(whole[0]))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.slow
def test_accumulation_needs_the_memory_of_a_part_a10_2():
    shape, z = (32, 32, 3), jnp.zeros((1, 3))
    gen, critic = from_linen(mlp.Generator(shape, (8,))), from_linen(resnet.Discriminator(8, (True, True, False)))

    def temporary(rows):
        disc = accumulate(critic, rows)
        losses = games.adversarial(gen, disc, objectives.hinge(), LATENT)
        players = {
            "disc": Player(lambda k: disc.init(k, jnp.zeros((1, *shape))), losses[0], optax.sgd(0.1)),
            "gen": Player(lambda k: gen.init(k, z), losses[1], optax.sgd(0.1)),
        }
        made = game.make_game(players, game.play_round(players, (("disc", 1), ("gen", 1))), None)
        state, real = jax.eval_shape(made.init, KEY), jax.ShapeDtypeStruct((1, 64, *shape), jnp.float32)
        return jax.jit(made.step).lower(state, {"real": real}, KEY).compile().memory_analysis().temp_size_in_bytes

    assert temporary(8) < temporary(64) / 3


@pytest.mark.slow
def test_accumulation_normalises_each_part_over_all_devices_a10_2():
    """Two rows at a time on two devices are four at a time on one that has the same parts."""
    order = jnp.array([0, 1, 4, 5, 2, 3, 6, 7])

    def play(mode, devices, rows, order):
        plan = parallel.make_plan(mode, devices)
        gen = accumulate(from_linen(dcgan.Generator((8, 8, 1), (4,), plan.axis_name)), rows)
        disc = accumulate(from_linen(dcgan.Discriminator((4, 4), plan.axis_name)), rows)
        latent = parallel.draw(lambda key, count: LATENT(key, count)[order], plan.axis_name)
        losses = games.adversarial(gen, disc, OBJECTIVE, latent)
        players = {
            "disc": Player(lambda k: disc.init(k, jnp.zeros((1, 8, 8, 1))), losses[0], optax.sgd(0.1)),
            "gen": Player(lambda k: gen.init(k, jnp.zeros((1, 3))), losses[1], optax.sgd(0.1)),
        }
        made = game.make_game(players, game.play_round(players, (("disc", 1), ("gen", 1)), plan.axis_name), games.generate(gen))
        state, step = plan.replicate(jax.jit(made.init)(KEY)), plan.compile(made.step)
        real = {"real": batch(size=8)["real"][:, order]}
        return jax.device_get(step(state, plan.spread(real), plan.replicate(KEY)))

    several = play("shard_map", 2, 2, jnp.arange(8))
    for a, b in zip(jax.tree.leaves(play("jit", 1, 4, order)), jax.tree.leaves(several), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
    whole = play("jit", 1, 8, order)[0].players["gen"].params
    moved = [np.abs(a - b).max() for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(several[0].players["gen"].params))]
    assert max(moved) > 1e-4  # the parts do count


def test_accumulation_carries_the_mean_over_parts():
    def apply(params, stats, x, train, key=None):
        return x - jnp.mean(x), {"mean": 0.9 * stats["mean"] + 0.1 * jnp.mean(x)}

    network = accumulate(Network(lambda key, x: ({}, {"mean": jnp.float32(0)}), apply), 2)
    output, stats = network.apply({}, {"mean": jnp.float32(5)}, jnp.arange(6.0), train=True)
    np.testing.assert_allclose(output, [-0.5, 0.5] * 3)
    np.testing.assert_allclose(stats["mean"], 0.9 * 5 + 0.1 * 2.5, rtol=1e-6)
    for rows, words in ((0, "0 examples at a time"), (4, "take a divisor of 6")):
        with pytest.raises(UserError, match=words):
            accumulate(network, rows).apply({}, stats, jnp.arange(6.0), train=True)


def test_standing_statistics_see_labels_that_come_in_turn():
    """More classes than a batch has rows: every one of them is seen."""
    gen = Network(
        lambda key, z, label: ({}, jnp.zeros(())),
        lambda params, stats, z, label, train, key=None: (z, 0.9 * stats + 0.1 * jnp.mean(label.astype(jnp.float32))),
    )
    found = standing_statistics(gen, Net({}, jnp.zeros(())), latents.with_labels(latents.normal(2), 128), KEY, batches=4, size=32)
    np.testing.assert_allclose(found.stats, 63.5, rtol=1e-5)


def test_standing_statistics_are_means_over_batches_a10_2():
    """Of this network's own first layer, over truncated latents and labels: by hand, whatever was carried before."""
    gen = concat_labels(from_linen(dcgan.Generator((8, 8, 1), (4,))), 2)
    params, stats = gen.init(KEY, jnp.zeros((1, 3)), jnp.zeros(1, int))
    inputs = latents.with_labels(latents.truncated(3, 0.5), 2)
    found = jax.jit(lambda net: standing_statistics(gen, net, inputs, KEY, batches=4, size=32))
    stale = jax.tree.map(lambda s: s + 7.0, stats)
    net = found(Net(params, stale))
    (kernel,) = (leaf for name, leaf in transforms.named_leaves(params)[0].items() if name.startswith("Dense"))
    z, label = inputs(jax.random.split(KEY)[0], 4 * 32)
    rows = np.split(np.concatenate([z, np.eye(2)[label]], axis=1), 4)
    maps = [(row @ np.asarray(kernel, np.float64)).reshape(-1, 4) for row in rows]
    ((_, carried),) = net.stats["batch_stats"].items()
    np.testing.assert_allclose(carried["mean"], np.mean([m.mean(0) for m in maps], 0), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(carried["var"], np.mean([m.var(0) for m in maps], 0), rtol=1e-3)
    assert same(net.weights, params)
    assert same(found(Net(params, stats)).stats, net.stats)


def test_top_singular_values_a10_2():
    """Vectors B4; as many as there are, where a kernel has fewer."""
    w, k = (jnp.array(waves(shape), jnp.float32) for shape in ((4, 6), (3, 3, 2, 4)))
    params = {"Dense_0": {"kernel": w, "bias": jnp.ones(6)}, "Conv_0": {"kernel": k}, "Dense_1": {"kernel": jnp.ones((5, 1))}}
    found = jax.jit(lipschitz.top_singular_values)(params)
    assert set(found) == {"Dense_0/kernel", "Conv_0/kernel", "Dense_1/kernel"}
    np.testing.assert_allclose(found["Dense_0/kernel"], [2.7822536159, 1.8817057132, 1.2281968242], rtol=1e-5)
    np.testing.assert_allclose(found["Conv_0/kernel"], [3.3635991457, 3.0906, 3.0415], rtol=2e-5)
    np.testing.assert_allclose(found["Dense_1/kernel"], [np.sqrt(5)], rtol=1e-6)
