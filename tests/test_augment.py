"""Changes of what a critic sees, and the chance of them (DiffAugment, ADA)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import games, latents, objectives, parallel, penalties
from jaxgan.game import make_game, play_round
from jaxgan.games import augment
from jaxgan.nets import mlp
from jaxgan.networks import concat_labels, from_linen
from jaxgan.types import Net, Network, Outcome, Player, Turn, UserError

KEY = jax.random.key(0)
X = jax.random.uniform(KEY, (5, 6, 8, 3), minval=-1.0)
ALL = {
    f.__name__: f()
    for f in (augment.brightness, augment.saturation, augment.contrast, augment.translation, augment.cutout, augment.flip)
}
OBJECTIVE = objectives.non_saturating()


def change(made, u, x=X):
    """Applies a change with the same numbers for all images."""
    return np.asarray(made.apply(x, jnp.broadcast_to(jnp.array(u, jnp.float32), (len(x), made.numbers))))


def test_colours_by_hand():
    x, grey, mean = np.asarray(X), np.asarray(X).mean(3, keepdims=True), np.asarray(X).mean((1, 2, 3), keepdims=True)
    for u in (0.0, 0.25, 0.5, 0.75):
        np.testing.assert_allclose(change(augment.brightness(), u), x + u - 0.5, atol=1e-6)
        np.testing.assert_allclose(change(augment.brightness(0.2), u), x + 0.4 * u - 0.2, atol=1e-6)
        np.testing.assert_allclose(change(augment.saturation(), u), grey + 2 * u * (x - grey), atol=1e-6)
        np.testing.assert_allclose(change(augment.contrast(), u), mean + (u + 0.5) * (x - mean), atol=1e-6)
    np.testing.assert_allclose(change(augment.saturation(), 0.1, X[..., :1]), X[..., :1], atol=1e-6)


def test_translation_by_whole_pixels_zeros_come_in():
    """A quarter of 6 x 8 pixels is 2 (1.5 and a half) and 2; u of 0, 1/2 and almost 1 are the far ends and no move."""
    made, x = augment.translation(0.25), np.asarray(X)
    np.testing.assert_array_equal(change(made, [0.5, 0.5]), x)
    down = change(made, [0.0, 0.5])
    np.testing.assert_array_equal(down[:, 2:], x[:, :-2])
    assert not down[:, :2].any()
    left = change(made, [0.5, 0.999])
    np.testing.assert_array_equal(left[:, :, :-2], x[:, :, 2:])
    assert not left[:, :, -2:].any()


def test_cutout_covers_a_rectangle_with_its_centre_in_the_image():
    made, x = augment.cutout(0.5), np.asarray(X)
    holes = change(made, [0.5, 0.5]) == 0  # 3 x 4 pixels around row 3, column 4
    assert holes[:, 2:5, 2:6].all() and holes[0].sum() == 3 * 4 * 3
    corner = change(made, [0.0, 0.0])  # rows -1..1, columns -2..1
    assert not corner[:, :2, :2].any()
    np.testing.assert_array_equal(corner[:, 2:], x[:, 2:])
    np.testing.assert_array_equal(corner[:, :, 2:], x[:, :, 2:])
    last = change(made, [0.999, 0.999])  # rows 4..6, columns 6..9
    assert not last[:, 4:, 6:].any() and (last != 0).sum() == x.size - 5 * 2 * 2 * 3


def test_flips_and_quarter_turns():
    np.testing.assert_array_equal(change(augment.flip(), 0.4), X[:, :, ::-1])
    np.testing.assert_array_equal(change(augment.flip(), 0.6), X)
    square = X[:, :, :6]
    for i in range(4):
        turned = change(augment.quarter_turns(), 0.25 * i + 0.1, square)
        np.testing.assert_array_equal(turned, np.rot90(np.asarray(square), i, (1, 2)))
    with pytest.raises(UserError, match="6x8 pixels cannot be turned"):
        change(augment.quarter_turns(), 0.5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(5, 5, 1), (7, 16, 3)])
def test_gradients_flow_through_every_change(name, shape):
    """Every change is affine in an image: what the generator is told is the change of what the critic sees."""
    made, keys = ALL[name], jax.random.split(KEY, 4)
    u = jax.random.uniform(keys[0], (3, made.numbers))
    x, moved, weight = (jax.random.normal(key, (3, *shape)) for key in keys[1:])
    score = lambda x: jnp.sum(weight * made.apply(x, u))
    assert made.apply(x, u).shape == x.shape
    slope = jax.grad(score)(x)
    np.testing.assert_allclose(jnp.sum(slope * moved), score(x + moved) - score(x), rtol=1e-3, atol=1e-3)
    assert np.abs(slope).max() > 0.1


def test_images_are_changed_apart_and_with_the_chance_given():
    alter = augment._alter((augment.brightness(), augment.flip()), None)
    x = jnp.broadcast_to(jnp.linspace(-1, 1, 4)[None, None, :, None], (4000, 1, 4, 1))
    np.testing.assert_array_equal(alter(KEY, x, 0.0), x)
    always, some = (alter(KEY, x, chance) for chance in (1.0, 0.3))
    assert len(np.unique(np.asarray(always).mean((1, 2, 3)))) > 3900
    moved = np.abs(np.asarray(some - x).mean((1, 2, 3))) > 1e-6
    flipped = np.asarray(some)[:, 0, 0, 0] > np.asarray(some)[:, 0, -1, 0]
    np.testing.assert_allclose([moved.mean(), flipped.mean()], [0.3, 0.15], atol=0.025)  # 3 standard errors
    np.testing.assert_allclose(np.mean(moved & flipped), 0.3 * 0.15, atol=0.012)  # one coin for each change
    with pytest.raises(UserError, match="are for images"):
        alter(KEY, jnp.ones((3, 2)), 1.0)


TOTAL = Network(lambda key, x: (jnp.float32(1), {}), lambda w, stats, x, train, key=None: (w * jnp.sum(x, (1, 2, 3)), stats))


def test_diff_augment_is_augmented_with_a_chance_of_one():
    always = augment.augmented(TOTAL, augment.DIFF_AUGMENT, chance=1.0)
    params, stats = always.init(KEY, X)
    own = jax.random.split(jax.random.key(3))[1]
    seen = games.diff_augment()(own, X, jnp.int32(7))
    np.testing.assert_allclose(always.apply(params, stats, X, train=True, key=jax.random.key(3))[0], jnp.sum(seen, (1, 2, 3)))
    np.testing.assert_allclose(always.apply(params, stats, X, train=False)[0], jnp.sum(X, (1, 2, 3)))
    assert np.all(np.abs(jnp.sum(seen - X, (1, 2, 3))) > 1e-3)
    with pytest.raises(UserError, match=r"a chance of 1\.5"):
        augment.augmented(TOTAL, chance=1.5)


@pytest.mark.parametrize("score, direction", [(2.0, 1), (-2.0, -1)])
def test_the_chance_follows_how_sure_the_critic_is(score, direction):
    """Up by every * batch / images where all real scores are positive, down where none is; only in rounds that look."""
    disc = augment.augmented(TOTAL, (augment.flip(),), chance=0.5)
    loss = lambda nets, turn: (jnp.float32(1), Outcome(nets["disc"].stats, {"own": jnp.float32(2)}))
    adapted = augment.adaptive(loss, disc, images=1000)
    real = jnp.full((5, 4, 4, 1), score)
    for step, moved in ((0, 4 * 5 / 1000), (1, 0), (3, 0), (4, 4 * 5 / 1000)):
        nets = {"disc": Net(*disc.init(KEY, real))}
        value, outcome = adapted(nets, Turn({"real": real}, KEY, jnp.int32(step)))
        np.testing.assert_allclose(outcome.stats["chance"], 0.5 + direction * moved, rtol=1e-6)
        assert value == 1 and outcome.metrics == {"own": 2, "chance": outcome.stats["chance"]}


@pytest.mark.parametrize("sure, rises", [(7, False), (9, True)])
def test_the_chance_is_decided_by_signs_and_not_by_sums(sure, rises):
    """r is 0.4 with seven of ten positive, however large they are; 0.8 with nine, although the sum is negative."""
    disc = augment.augmented(TOTAL, (), chance=0.5)
    real = jnp.where(jnp.arange(10) < sure, 100.0 if not rises else 0.1, -1.0 if not rises else -100.0).reshape(10, 1, 1, 1)
    loss = lambda nets, turn: (jnp.float32(1), Outcome(nets["disc"].stats, {}))
    _, outcome = augment.adaptive(loss, disc)({"disc": Net(*disc.init(KEY, real))}, Turn({"real": real}, KEY, jnp.int32(0)))
    assert (outcome.stats["chance"] > 0.5) == rises and outcome.stats["chance"] != 0.5


@pytest.mark.parametrize("chance, score", [(0.0, -1.0), (1.0, 1.0)])
def test_the_chance_stays_between_zero_and_one(chance, score):
    disc = augment.augmented(TOTAL, (), chance=chance)
    loss = lambda nets, turn: (jnp.float32(1), Outcome(nets["disc"].stats, {}))
    real = jnp.full((5, 2, 2, 1), score)
    nets, turn = {"disc": Net(*disc.init(KEY, real))}, Turn({"real": real}, KEY, jnp.int32(0))
    assert augment.adaptive(loss, disc, images=1)(nets, turn)[1].stats["chance"] == chance


@functools.cache
def train(mode, devices, rounds=5):
    """A conditional pair on images: ADA and R1 through it, and a fixed change on top; with SGD, which hides no factor."""
    plan = parallel.make_plan(mode, devices, batch_size=8)
    shape, axis_name = (6, 6, 1), plan.axis_name
    gen = concat_labels(from_linen(mlp.Generator(shape, (8,))), 2)
    critic = concat_labels(from_linen(mlp.Discriminator((8,))), 2)
    disc = augment.augmented(critic, chance=0.4, axis_name=axis_name)
    disc_loss, gen_loss = games.adversarial(
        gen, disc, OBJECTIVE, parallel.draw(latents.normal(3), axis_name), penalty=penalties.r1(0.1),
        augment=games.diff_augment((augment.cutout(),), axis_name), given=("label",),
    )  # fmt: skip
    disc_loss = augment.adaptive(disc_loss, disc, ("label",), images=200, axis_name=axis_name)
    x, z, label = jnp.zeros((1, *shape)), jnp.zeros((1, 3)), jnp.zeros(1, int)
    players = {
        "disc": Player(lambda key: disc.init(key, x, label), disc_loss, optax.sgd(0.1)),
        "gen": Player(lambda key: gen.init(key, z, label), gen_loss, optax.sgd(0.1)),
    }
    made = make_game(players, play_round(players, (("disc", 1), ("gen", 1)), axis_name), games.generate(gen))
    state, step = plan.replicate(jax.jit(made.init)(KEY)), plan.compile(made.step)
    for i in range(rounds):
        real = jax.random.uniform(jax.random.fold_in(KEY, i), (1, 8, *shape), minval=-1.0)
        state, metrics = step(state, plan.spread({"real": real, "label": jnp.arange(8)[None] % 2}), plan.replicate(KEY))
    return jax.device_get((state, metrics))


@pytest.mark.slow
@pytest.mark.parametrize("mode, devices", [("shard_map", 4), ("pmap", 2)])
def test_changes_and_chance_are_the_same_on_several_devices(mode, devices):
    state, metrics = train("jit", 1)
    for a, b in zip(jax.tree.leaves((state, metrics)), jax.tree.leaves(train(mode, devices)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def test_the_chance_is_part_of_the_state():
    """Rounds 0 and 4 look, and each moves it by 4 * 8 / 200."""
    state, metrics = train("jit", 1)
    np.testing.assert_allclose(abs(state.players["disc"].stats["chance"] - 0.4), 0.32, rtol=1e-5)
    assert metrics["disc/chance"] == state.players["disc"].stats["chance"]
