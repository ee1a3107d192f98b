"""Loss pairs and the tricks around them (requirements A6.2, A6.3, A7.4)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from truth import waves

from jaxgan import data, games, latents, objectives, parallel
from jaxgan.game import make_game, play_round
from jaxgan.games import pool
from jaxgan.nets import layers, mlp
from jaxgan.networks import from_linen, pack, with_reference
from jaxgan.types import Net, Network, Player, Turn, UserError

KEY = jax.random.key(0)
BATCH = 8
OBJECTIVE = objectives.non_saturating()
LATENT = latents.normal(2)
RING = data.load("ring")
SAME = Network(lambda key, *x: ({}, {}), lambda params, stats, x, train, key=None: (x, stats))


def small_gen(**options):
    return from_linen(mlp.Generator((2,), (8,), **options))


def small_disc(**options):
    return from_linen(mlp.Discriminator((8,), **options))


def adversarial(axis_name, gen=None, disc=None, latent=LATENT, **options):
    gen, disc = gen or small_gen(), disc or small_disc()
    return gen, disc, games.adversarial(gen, disc, OBJECTIVE, parallel.draw(latent, axis_name), **options), latent


def packed_and_blurred(axis_name):
    augment = games.instance_noise(0.5, 3, parallel.draw(latents.normal(2), axis_name))
    return adversarial(axis_name, disc=pack(small_disc(), 2), joint=True, augment=augment)


def normalised_with_dropout(axis_name):
    gen = small_gen(dropout=0.5, normalise=lambda: layers.VirtualBatchNorm(5))
    reference = jnp.array(waves((5, 10)), jnp.float32)
    return adversarial(axis_name, gen=with_reference(gen, reference), latent=latents.normal(10))


def replayed(axis_name):
    gen, disc = small_gen(), games.with_pool(small_disc(), 12)
    return gen, disc, games.replayed(gen, disc, OBJECTIVE, parallel.draw(LATENT, axis_name), axis_name), LATENT


def feature_matching(axis_name):
    gen, disc, (disc_loss, _), latent = adversarial(axis_name)
    gen_loss = games.feature_matching(gen, small_disc(outputs=0), parallel.draw(latent, axis_name), axis_name)
    return gen, disc, (disc_loss, gen_loss), latent


def semi_supervised(axis_name):
    gen, disc, latent = small_gen(), small_disc(outputs=8), parallel.draw(LATENT, axis_name)
    return gen, disc, games.semi_supervised(gen, disc, OBJECTIVE, latent, axis_name=axis_name), LATENT


TRICKS = {
    "packs, instance noise, joint pass": packed_and_blurred,
    "virtual batch norm, dropout": normalised_with_dropout,
    "minibatch stddev, spherical latents": lambda axis_name: adversarial(
        axis_name, disc=small_disc(minibatch=layers.MinibatchStddev(2)), latent=latents.spherical(2)
    ),
    "minibatch discrimination": lambda axis_name: adversarial(
        axis_name, disc=small_disc(minibatch=layers.MinibatchDiscrimination(3, 2))
    ),
    "replay": replayed,
    "feature matching": feature_matching,
    "semi-supervised": semi_supervised,
}
BY_DEVICE = {"minibatch discrimination"}  # compares within a device's own slice
AVERAGED = {"replay", "feature matching", "semi-supervised"}  # devices speak with one another


def build(trick, axis_name=None):
    """A game with SGD, which hides no factor as Adam would."""
    gen, disc, (disc_loss, gen_loss), latent = TRICKS[trick](axis_name)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, 2))), disc_loss, optax.sgd(0.1)),
        "gen": Player(lambda key: gen.init(key, latent(KEY, 1)), gen_loss, optax.sgd(0.1)),
    }
    return make_game(players, play_round(players, (("disc", 1), ("gen", 1)), axis_name), games.generate(gen)), latent


def hide_labels(batch):
    """Keeps three labels of eight, unevenly over devices."""
    return {**batch, "label": jnp.where(jnp.array([1, 1, 0, 0, 1, 0, 0, 0], bool), batch["label"], -1)}


@functools.cache
def train(trick, mode, devices, rounds=4):
    plan = parallel.make_plan(mode, devices, batch_size=BATCH)
    made, _ = build(trick, plan.axis_name)
    start = jax.device_get(jax.jit(made.init)(KEY))
    state, key, step = plan.replicate(start), plan.replicate(KEY), plan.compile(made.step)
    batch_at = data.batches(RING, BATCH)
    for i in range(rounds):
        state, metrics = step(state, plan.spread(hide_labels(batch_at(i))), key)
    return jax.device_get((start, state, metrics))


@pytest.mark.parametrize("trick", TRICKS)
def test_every_trick_trains(trick):
    start, state, metrics = train(trick, "jit", 1)
    described = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert described(start) == described(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, metrics)))
    for name in ("disc", "gen"):
        leaves = (jax.tree.leaves(s.players[name].params) for s in (start, state))
        assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(*leaves, strict=True)), name
    made, latent = build(trick)
    points = made.infer(state, latent(KEY, 3))
    assert points.shape == (3, 2) and np.isfinite(points).all()


@pytest.mark.parametrize(
    "trick, mode, devices",
    [(trick, "shard_map", 1 if trick in BY_DEVICE else 4) for trick in TRICKS]
    + [(trick, "pmap", 2) for trick in sorted(AVERAGED)],
)
def test_every_trick_is_the_same_on_several_devices(trick, mode, devices):
    """Parameters, pools and metrics; `shard_map` also refuses a state in which replicas might differ."""
    for a, b in zip(jax.tree.leaves(train(trick, "jit", 1)), jax.tree.leaves(train(trick, mode, devices)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def both_losses(pair, nets, key=KEY, step=0, **batch):
    turn = Turn({"real": jax.random.normal(KEY, (BATCH, 2)), **batch}, key, jnp.int32(step))
    return [loss(nets, turn) for loss in pair]


def nets_of(gen, disc):
    return {"gen": Net(*gen.init(KEY, jnp.zeros((1, 2)))), "disc": Net(*disc.init(jax.random.key(1), jnp.zeros((1, 2))))}


def test_packs_hold_one_kind_also_in_joint_passes_a7_4():
    gen, disc = small_gen(), pack(small_disc(), 4)
    nets = nets_of(gen, disc)
    apart, joint = (both_losses(games.adversarial(gen, disc, OBJECTIVE, LATENT, joint=joint), nets)[0] for joint in (False, True))
    for a, b in zip(jax.tree.leaves(apart), jax.tree.leaves(joint), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    odd = pack(small_disc(), 16)
    with pytest.raises(UserError, match="packs do not divide 8 examples"):
        both_losses(games.adversarial(gen, odd, OBJECTIVE, LATENT, joint=True), nets_of(gen, odd))


@pytest.mark.parametrize("joint", [False, True])
def test_augmentation_reaches_both_players_and_not_the_penalty(joint):
    """The critic with its examples changed is the changed critic with its examples as they come, gradients included."""
    change = lambda x: 2 * x + 1
    seen = []

    def augment(key, x, step):
        seen.append((key, int(step)))
        return change(x)

    gen, disc = small_gen(), small_disc()
    changed = disc._replace(apply=lambda params, stats, x, **rest: disc.apply(params, stats, change(x), **rest))
    penalty = lambda critic, real, fake, key: jnp.sum(real) + 10 * jnp.sum(fake)
    pairs = [
        games.adversarial(gen, disc, OBJECTIVE, LATENT, penalty=penalty, joint=joint, augment=augment),
        games.adversarial(gen, changed, OBJECTIVE, LATENT, penalty=penalty, joint=joint),
    ]
    nets = nets_of(gen, disc)
    turn = Turn({"real": jax.random.normal(KEY, (BATCH, 2))}, KEY, jnp.int32(7))
    for i, name in enumerate(("disc", "gen")):
        value = lambda weights, loss, name=name: loss({**nets, name: nets[name]._replace(weights=weights)}, turn)[0]
        found, expected = (jax.value_and_grad(value)(nets[name].weights, pair[i]) for pair in pairs)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    keys = {tuple(jax.random.key_data(key).tolist()) for key, _ in seen}
    assert len(seen) == len(keys) == 3 and {step for _, step in seen} == {7}


def test_instance_noise_falls_to_nothing():
    augment, x = games.instance_noise(0.5, 10), jnp.ones((4000, 2))
    for step, std in ((0, 0.5), (5, 0.25), (9, 0.05)):
        noise = augment(KEY, x, jnp.int32(step)) - x
        np.testing.assert_allclose(jnp.std(noise), std, rtol=0.03)
    for step in (10, 11, 10**6):
        np.testing.assert_array_equal(augment(KEY, x, jnp.int32(step)), x)
    given = games.instance_noise(0.5, 10, lambda key, count: jnp.full((count, 2), 3.0))
    np.testing.assert_allclose(given(KEY, x, jnp.int32(0)), 2.5)
    for wrong in ((-1.0, 10), (1.0, 0)):
        with pytest.raises(UserError, match="instance noise needs"):
            games.instance_noise(*wrong)


def test_a_pool_fills_up_and_then_trades_half_a6_2():
    trade, held = jax.jit(pool.exchange), pool.init(50, jnp.zeros(1))
    rest, traded = [], 0
    for i in range(200):
        batch = jnp.arange(16.0)[:, None] + 16 * i
        before = held
        shown, held = trade(before, batch, jax.random.fold_in(KEY, i))
        if i < 4:  # the fourth batch finds two rows
            np.testing.assert_array_equal(shown, batch)
            assert held.filled == min(50, 16 * (i + 1))
        else:  # nothing is lost, nothing comes twice
            both = lambda *parts: sorted(np.concatenate(parts).ravel().tolist())
            assert both(before.examples, batch) == both(held.examples, shown)
            assert np.isin(shown[shown != batch], before.examples).all()
            traded += int(np.sum(shown != batch))
        rest.append(held.examples)
    np.testing.assert_array_equal(rest[3][:, 0], np.arange(50))
    np.testing.assert_allclose(traded / (196 * 16), 0.5, atol=0.03)  # 3 standard errors
    assert held.examples.min() < 16 * 190 and len(np.unique(held.examples)) == 50


def test_a_pool_of_images_served_one_by_one():
    held = pool.init(2, jnp.zeros((3, 3, 1)))
    for i in range(6):
        shown, held = pool.exchange(held, jnp.full((1, 3, 3, 1), i), jax.random.fold_in(KEY, i))
        assert shown.shape == (1, 3, 3, 1) and held.examples.shape == (2, 3, 3, 1) and len(np.unique(shown)) == 1
    with pytest.raises(UserError, match="pool of 2 cannot serve batches of 3"):
        pool.exchange(held, jnp.zeros((3, 3, 3, 1)), KEY)


def test_the_critic_alone_sees_the_pool():
    """Replay of what the generator no longer makes: the critic's mean score of fakes is that of the pool's share."""
    gen, disc = small_gen(), games.with_pool(small_disc(), BATCH)
    nets = nets_of(gen, disc)
    far = pool.Pool(jnp.full((BATCH, 2), 100.0), jnp.float32(BATCH))
    nets["disc"] = nets["disc"]._replace(stats={"network": {}, "pool": far})
    (_, of_disc), (gen_loss, _) = both_losses(games.replayed(gen, disc, OBJECTIVE, LATENT), nets)
    kept = of_disc.stats["pool"]
    traded = int(np.sum(kept.examples[:, 0] != 100))
    assert 0 < traded < BATCH
    on_far, _ = disc.apply(*nets["disc"], far.examples[:1], train=True)
    plain = games.adversarial(gen, disc, OBJECTIVE, LATENT)
    assert gen_loss == both_losses(plain, nets)[1][0]
    fresh = both_losses(plain, nets)[0][1].metrics["fake"]
    assert abs(of_disc.metrics["fake"] - traded / BATCH * on_far[0]) < 1 < abs(fresh - of_disc.metrics["fake"])


def test_feature_matching_vector_a6_3():
    real, fake = (jnp.array(waves((3, 4), rate), jnp.float32) for rate in (1.0, 1.2))
    loss = games.feature_matching(SAME, SAME, lambda key, count: fake)
    value, _ = loss({"gen": Net({}, {}), "disc": Net({}, {})}, Turn({"real": real}, KEY, jnp.int32(0)))
    np.testing.assert_allclose(value, 0.2969473145, rtol=1e-5)


def test_semi_supervised_losses_a6_3():
    """Against the paper's formulas in float64, over four of eight labels."""
    gen, disc = small_gen(), small_disc(outputs=3)
    nets = nets_of(gen, disc)
    label = jnp.array([0, -1, 2, 1, -1, -1, 0, -1])
    real = jax.random.normal(KEY, (BATCH, 2))
    seen = []
    spy = disc._replace(apply=lambda *args, **rest: (seen.append(out := disc.apply(*args, **rest)), out)[1])
    pair = games.semi_supervised(gen, spy, OBJECTIVE, LATENT, weight=0.5)
    (loss, outcome), (gen_loss, _) = both_losses(pair, nets, label=label, real=real)
    on_real, on_fake, on_own = (np.asarray(logits, np.float64) for logits, _ in seen)
    z = lambda logits: np.exp(logits).sum(1)
    d = lambda logits: z(logits) / (z(logits) + 1)
    known = np.asarray(label) >= 0
    chosen = np.exp(on_real)[np.arange(BATCH), label] / z(on_real)
    supervised = -np.log(chosen)[known].mean()
    unsupervised = -np.log(d(on_real)).mean() - np.log(1 - d(on_fake)).mean()
    np.testing.assert_allclose(loss, unsupervised + 0.5 * supervised, rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["cross_entropy"], supervised, rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["accuracy"], np.mean(on_real.argmax(1)[known] == np.asarray(label)[known]))
    np.testing.assert_allclose(gen_loss, -np.log(d(on_own)).mean(), rtol=1e-5)


@pytest.mark.parametrize("scale", [-1e4, 1e4])
def test_semi_supervised_is_stable_with_and_without_labels(scale):
    points = jnp.array(waves((BATCH, 3)), jnp.float32)
    disc = Network(lambda key, x: ({}, {}), lambda params, stats, x, train, key=None: (params * x, stats))
    disc_loss, _ = games.semi_supervised(SAME, disc, OBJECTIVE, lambda key, count: points)
    for label in (jnp.full(BATCH, -1), jnp.zeros(BATCH, int)):
        turn = Turn({"real": points, "label": label}, KEY, jnp.int32(0))
        loss = lambda weight, turn=turn: disc_loss({"gen": Net({}, {}), "disc": Net(weight, {})}, turn)
        (value, outcome), slope = jax.value_and_grad(loss, has_aux=True)(jnp.float32(scale))
        assert np.isfinite(value) and np.isfinite(slope)
        assert (outcome.metrics["cross_entropy"] == 0) == (label[0] < 0)


def test_semi_supervised_mistakes_are_named():
    gen, disc = small_gen(), small_disc()
    pair = games.semi_supervised(gen, disc, OBJECTIVE, LATENT)
    with pytest.raises(UserError, match="these data have none"):
        both_losses(pair, nets_of(gen, disc))
    with pytest.raises(UserError, match="a logit for each class"):
        both_losses(pair, nets_of(gen, disc), label=jnp.zeros(BATCH, int))


@pytest.mark.slow
def test_a_few_labels_teach_the_semi_supervised_critic():
    """Three labels in eight of small batches: the critic tells the ring's modes apart."""
    gen, disc = small_gen(), from_linen(mlp.Discriminator((32, 32), outputs=8))
    disc_loss, gen_loss = games.semi_supervised(gen, disc, OBJECTIVE, LATENT)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, 2))), disc_loss, optax.adam(1e-2)),
        "gen": Player(lambda key: gen.init(key, jnp.zeros((1, 2))), gen_loss, optax.adam(1e-3)),
    }
    made = make_game(players, play_round(players, (("disc", 1), ("gen", 1))), games.generate(gen))
    state, step, batch_at = jax.jit(made.init)(KEY), jax.jit(made.step), data.batches(RING, BATCH)
    for i in range(300):
        state, _ = step(state, hide_labels(batch_at(i)), KEY)
    test = jax.tree.map(lambda x: x[0], data.batches(RING, 500)(10**6))
    logits, _ = disc.apply(state.players["disc"].params, {}, test["real"], train=False)
    assert np.mean(jnp.argmax(logits, axis=1) == test["label"]) > 0.95
