"""Clips: the next frame by a game and by regression, warping, translation frame by frame (requirements A1.6, A9.7)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from specimens import complaint
from truth import waves

from jaxgan import latents, objectives, parallel
from jaxgan.data import clips
from jaxgan.game import make_game, play_round
from jaxgan.games import translation
from jaxgan.games import video as games
from jaxgan.nets import translate, video
from jaxgan.nets.layers import BatchNorm
from jaxgan.networks import from_linen
from jaxgan.types import Net, Network, Player, Turn

KEYS = jax.random.split(jax.random.key(0), 4)


def flow_of(down, right, shape=(1, 5, 7)):
    return jnp.broadcast_to(jnp.array([down, right], jnp.float32), (*shape, 2))


# ---- warp


@pytest.mark.parametrize("down, right", [(0, 0), (1, 0), (-2, 3), (4, -6), (9, 0)])
def test_a_whole_shift_is_exact_a9_7(down, right):
    image = np.asarray(jax.random.normal(KEYS[0], (2, 5, 7, 3)))
    moved, visible = video.warp(image, flow_of(down, right, (2, 5, 7)))
    rows, columns = np.arange(5) + down, np.arange(7) + right
    np.testing.assert_array_equal(moved, image[:, rows.clip(0, 4)][:, :, columns.clip(0, 6)])
    inside = ((rows >= 0) & (rows < 5))[:, None] & ((columns >= 0) & (columns < 7))[None]
    np.testing.assert_array_equal(visible[..., 0], np.broadcast_to(inside, (2, 5, 7)))


def test_between_pixels_it_is_bilinear():
    """A bilinear function of the place is met exactly."""
    row, column = np.meshgrid(np.arange(5.0), np.arange(7.0), indexing="ij")
    plane = lambda r, c: 2 + 3 * r - c + 0.5 * r * c
    flow = 0.9 * jnp.array(waves((1, 5, 7, 2)), jnp.float32)
    moved, visible = video.warp(jnp.array(plane(row, column), jnp.float32)[None, ..., None], flow)
    expected = plane(row + flow[0, ..., 0], column + flow[0, ..., 1])
    seen = np.asarray(visible[0, ..., 0] == 1)
    assert 20 < seen.sum() < 35
    np.testing.assert_allclose(moved[0, ..., 0][seen], expected[seen], rtol=1e-5)


def test_a_flow_can_be_learned():
    """The gradient by the flow is the slope of the image."""
    image = jnp.arange(7.0)[None, None, :, None] * jnp.ones((1, 5, 7, 1))
    slope = jax.grad(lambda flow: video.warp(image, flow)[0].sum())(flow_of(0, 0.5))
    np.testing.assert_allclose(slope[0, :, :-1], np.broadcast_to([0, 1], (5, 6, 2)), atol=1e-6)
    np.testing.assert_array_equal(slope[0, :, -1], 0)  # the border ends there


# ---- networks


def shapes(module, *inputs):
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in inputs]
    return jax.eval_shape(lambda *given: module.init_with_output(*given, train=False)[0], KEYS[0], *inputs)


@pytest.mark.parametrize("height, width", [(16, 16), (15, 18), (4, 1)])
def test_any_size(height, width):
    frame = shapes(video.NextFrame(3, (4, 6, 8)), (2, 3, height, width, 3), (2, 5))
    assert frame.shape == (2, height, width, 3)
    painted = shapes(video.FlowGenerator(3, (4, 6)), (2, height, width, 3), (2, 2, height, width, 1), (2, 5))
    assert [leaf.shape for leaf in painted] == [(2, height, width, channels) for channels in (3, 2, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("added", [False, True])
def test_the_next_frame_depends_on_past_and_noise_a1_6(added):
    net = from_linen(video.NextFrame(3, (4, 6), added=added))
    past, noise = jax.random.normal(KEYS[1], (3, 2, 8, 8, 3)), jax.random.normal(KEYS[2], (3, 4))
    params, stats = net.init(KEYS[0], past, noise)
    make = lambda past, noise: net.apply(params, stats, past, noise, train=True)[0]
    frame = make(past, noise)
    assert frame.shape == (3, 8, 8, 3) and 0 < np.abs(frame - past[:, -1]).max() <= 2
    assert np.any(make(past, -noise) != frame)
    assert np.any(make(past[:, ::-1], noise) != frame)  # the order of frames
    alone = from_linen(video.NextFrame(3, (4, 6), added=added))
    assert alone.init(KEYS[0], past, noise[:, :0])  # a regressor has no noise


@pytest.mark.slow
def test_what_comes_from_outside_is_painted_anew():
    generator = video.FlowGenerator(1, (4, 4))
    before, sources, noise = jnp.ones((1, 6, 6, 1)), jnp.zeros((1, 2, 6, 6, 1)), jnp.zeros((1, 1))
    params = generator.init(KEYS[0], before, sources, noise, train=False)
    heads = params["params"]
    heads["Conv_1"] = {"kernel": 0 * heads["Conv_1"]["kernel"], "bias": jnp.array([0.0, 2.0])}  # all comes from the right
    heads["Conv_2"] = {"kernel": 0 * heads["Conv_2"]["kernel"], "bias": jnp.array([-50.0])}  # and is kept
    painted = generator.apply(params, before, sources, noise, train=False)
    np.testing.assert_array_equal(painted.fresh[0, :, :, 0] == 1, np.broadcast_to(np.arange(6) >= 4, (6, 6)))
    np.testing.assert_allclose(painted.frame[:, :, :4], 1, atol=1e-6)
    assert np.abs(painted.frame[:, :, 4:]).max() < 0.1


def test_a_critic_of_the_whole():
    assert shapes(video.Discriminator((4, 8)), (2, 3, 9, 8, 3), (2, 9, 8, 1)).shape == (2,)
    assert "8x3 pixels cannot be halved 2 times" in complaint(shapes, video.Discriminator((4, 8)), (2, 8, 3, 1))


# ---- games


def test_flicker_of_a_clip_that_only_moves_is_zero():
    made = clips.held_out(clips.moving_digits(16, 3), 4)
    assert games.flicker(made["real"], made["flow"], video.warp) == 0
    noise = 0.1 * jax.random.normal(KEYS[0], made["real"].shape)
    expected = 0.1 * 2 / np.sqrt(np.pi) * made["flow"][..., 2].mean()  # E|a - b| of two normal numbers, where visible
    np.testing.assert_allclose(games.flicker(made["real"] + noise, made["flow"], video.warp), expected, rtol=0.05)
    unseen = made["flow"] * np.array([1, 1, 0], np.float32)
    assert games.flicker(made["real"] + noise, unseen, video.warp) == 0


def test_a_clip_is_painted_from_the_frame_before():
    """By a generator that adds the difference of the two sources, and the noise, to what it painted before."""

    def apply(params, stats, before, sources, noise, train, key=None):
        frame = before + sources[:, 1] - sources[:, 0] + noise[:, None, None]
        return video.Painted(frame, frame, frame), {"calls": stats["calls"] + 1}

    source = jnp.array(waves((2, 4, 3, 3, 1)), jnp.float32)
    noise = jnp.array([[1.0], [2.0]])
    gen = Network(lambda key, *x: ({}, {}), apply)
    painted, stats = games.translate_clip(gen, Net({}, {"calls": 0}), source, noise, 1, train=True)
    expected = source - source[:, :1] + noise[:, None, None, None] * jnp.arange(1.0, 5)[None, :, None, None, None]
    np.testing.assert_allclose(painted.frame, expected, atol=1e-5)
    assert stats["calls"] == 4


FRAMES, SIZE, BATCH = 3, 16, 4


def vid2vid(axis_name):
    norm = functools.partial(BatchNorm, axis_name)
    gen = from_linen(video.FlowGenerator(3, (4,), norm))
    discs = {name: from_linen(translate.PixelDiscriminator(4, norm)) for name in ("image", "clip")}
    latent = parallel.draw(latents.normal(2), axis_name)
    losses = games.vid2vid(gen, discs, objectives.least_squares(), latent, video.warp)
    source, clip = jnp.zeros((1, FRAMES, SIZE, SIZE, 1)), jnp.zeros((1, FRAMES, SIZE, SIZE, 3))
    start = translation.init_several(discs, {"image": (source[:, 0], clip[:, 0]), "clip": (source, clip)})
    return losses, start, lambda key: gen.init(key, clip[:, 0], source[:, :2], jnp.zeros((1, 2)))


def next_frame(axis_name):
    latent = parallel.draw(latents.normal(2), axis_name)
    gen, disc = from_linen(video.NextFrame(3, (4,))), from_linen(video.Discriminator((4,)))
    losses = translation.pix2pix(gen, disc, objectives.non_saturating(), latent, weight=0.0, given="past")
    past, frame = jnp.zeros((1, FRAMES - 1, SIZE, SIZE, 3)), jnp.zeros((1, SIZE, SIZE, 3))
    return losses, lambda key: disc.init(key, past, frame), lambda key: gen.init(key, past, jnp.zeros((1, 2)))


GAMES = {"vid2vid": vid2vid, "next_frame": next_frame}


def batch_at(name, step):
    batch = clips.batches(clips.moving_digits(SIZE, FRAMES), BATCH)(step)
    return batch if name == "vid2vid" else clips.continued(batch)


@functools.cache
def train(name, mode, devices, rounds=2):
    plan = parallel.make_plan(mode, devices, batch_size=BATCH)
    (disc_loss, gen_loss), disc_start, gen_start = GAMES[name](plan.axis_name)
    players = {
        "disc": Player(disc_start, disc_loss, optax.sgd(0.02)),
        "gen": Player(gen_start, gen_loss, optax.sgd(0.02)),
    }
    play = play_round(players, (("disc", 1), ("gen", 1)), plan.axis_name)
    made = make_game(players, play, infer=lambda nets, x: x)
    state, key, step = plan.replicate(jax.jit(made.init)(KEYS[0])), plan.replicate(KEYS[1]), plan.compile(made.step)
    start = jax.device_get(state)
    for i in range(rounds):
        state, metrics = step(state, plan.spread(batch_at(name, i)), key)
    return jax.device_get((start, state, metrics))


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
def test_every_game_trains(name):
    start, state, metrics = train(name, "jit", 1)
    described = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert described(start) == described(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, metrics)))
    for player in start.players:
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max() > 0, *(s.players[player].params for s in (start, state)))
        assert np.mean(jax.tree.leaves(moved)) > 0.6, player  # biases before a normalisation have no effect


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
def test_every_game_is_the_same_on_several_devices(name):
    """`shard_map` also refuses a state in which replicas might differ."""
    for a, b in zip(jax.tree.leaves(train(name, "jit", 1)), jax.tree.leaves(train(name, "shard_map", 4)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_clips_without_a_flow_hold_it_by_the_frames_alone():
    (_, gen_loss), disc_start, gen_start = vid2vid(None)
    nets = {"disc": Net(*disc_start(KEYS[0])), "gen": Net(*gen_start(KEYS[0]))}
    batch = jax.tree.map(lambda x: x[0], batch_at("vid2vid", 0))
    without = {name: x for name, x in batch.items() if name != "flow"}
    _, known = gen_loss(nets, Turn(batch, KEYS[1], 0))
    _, unknown = gen_loss(nets, Turn(without, KEYS[1], 0))
    assert "flicker" in known.metrics and "flicker" not in unknown.metrics
    assert known.metrics["flow"] > unknown.metrics["flow"] > 0
