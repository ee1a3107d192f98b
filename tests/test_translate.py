"""Translation of images: pix2pix and CycleGAN (requirements A9.6, A9.8; counts and patches B8; erratum E17)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from specimens import complaint
from truth import waves

from jaxgan import latents, objectives, parallel, penalties
from jaxgan.game import make_game, play_round
from jaxgan.games import pool, translation
from jaxgan.nets import translate
from jaxgan.nets.layers import BatchNorm
from jaxgan.networks import from_linen
from jaxgan.types import Net, Network, Player, Turn

KEYS = jax.random.split(jax.random.key(0), 4)
UNET_128 = (64, 128, 256, 512, 512, 512, 512)
INSTANCE = {"normalise": translate.InstanceNorm, "use_bias": True}


def shapes(module, *inputs):
    return jax.eval_shape(lambda *given: module.init_with_output(*given, train=False), KEYS[0], *inputs)


def zeros(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def photo(size, channels=3):
    return zeros(1, size, size, channels)


# ---- networks


@pytest.mark.parametrize(
    "module, inputs, expected",
    [
        (translate.UNet(3), (photo(256), zeros(1, 43_008)), 54_413_955),
        (translate.UNet(3, UNET_128), (photo(128), zeros(1, 43_008)), 41_828_995),
        (translate.PatchDiscriminator(), (photo(256), photo(256)), 2_768_705),
        (translate.PatchDiscriminator(**INSTANCE), (photo(256),), 2_764_737),
        (translate.ResNetGenerator(3), (photo(256),), 11_378_179),
        (translate.ResNetGenerator(3, blocks=6), (photo(128),), 7_837_699),
        (translate.PixelDiscriminator(), (photo(256), photo(256)), 9_024),
    ],
)
def test_parameter_counts_b8(module, inputs, expected):
    _, variables = shapes(module, *inputs)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == expected


@pytest.mark.parametrize("n_layers, expected", [(0, 1), (1, 16), (2, 34), (3, 70), (5, 286)])
def test_a_score_sees_a_patch_of_this_size_b8(n_layers, expected):
    """By gradients: the pixels that a score in the middle of the map depends on."""
    size = expected + 2 ** max(n_layers, 3)
    module = translate.PatchDiscriminator(n_layers, width=1) if n_layers else translate.PixelDiscriminator(width=1)
    image = jax.random.normal(KEYS[1], (1, size, size, 1))
    variables = module.init(KEYS[0], image, train=False)

    @jax.grad
    def slope(image):
        scores = module.apply(variables, image, train=False)
        return scores[0, scores.shape[1] // 2, scores.shape[2] // 2]

    seen = np.argwhere(np.asarray(slope(image))[0, ..., 0] != 0)
    assert tuple(np.ptp(seen, axis=0) + 1) == (expected, expected)


def test_256_pixels_have_30_patches_a_side_b8():
    scores, _ = shapes(translate.PatchDiscriminator(), photo(256), photo(256))
    assert scores.shape == (1, 30, 30)


def test_a_patch_critic_says_when_images_are_too_small():
    critic = translate.PatchDiscriminator(2, 4)
    assert shapes(critic, photo(12))[0].shape == (1, 1, 1)
    assert "are too small for a patch critic of 2 layers, which needs 12x12" in complaint(shapes, critic, photo(11))


def small_unet(**options):
    return translate.UNet(2, (4, 6, 8), **options)


@pytest.mark.parametrize("height, width", [(32, 32), (33, 17), (5, 40), (8, 1)])
def test_any_size(height, width):
    source, unet = zeros(2, height, width, 3), small_unet()
    image, _ = shapes(unet, source, zeros(2, unet.noise_size(height, width)))
    assert image.shape == (2, height, width, 2)
    image, _ = shapes(translate.ResNetGenerator(2, 4, 1), source)
    assert image.shape == (2, height, width, 2)


@pytest.mark.slow
def test_a_padded_image_is_translated_as_one_that_ends_in_its_border_pixels():
    unet = small_unet(dropped=0)
    source = jax.random.normal(KEYS[1], (2, 13, 10, 3))
    whole = jnp.pad(source, ((0, 0), (0, 3), (0, 6), (0, 0)), mode="edge")
    image, variables = unet.init_with_output(KEYS[0], source, jnp.zeros((2, 0)), train=False)
    np.testing.assert_array_equal(image, unet.apply(variables, whole, jnp.zeros((2, 0)), train=False)[:, :13, :10])


@pytest.mark.parametrize("train", [False, True])
def test_noise_is_dropout_in_training_and_in_sampling(train):
    unet = small_unet()
    source = jnp.repeat(jax.random.normal(KEYS[1], (1, 16, 16, 3)), 2, axis=0)
    noise = jax.random.normal(KEYS[2], (2, unet.noise_size(16, 16)))
    net = from_linen(unet)
    params, stats = net.init(KEYS[0], source, noise)
    make = lambda noise: net.apply(params, stats, source, noise, train=train)[0]
    one, other = make(noise)
    assert np.any(one != other)  # of one source, by the noise alone
    np.testing.assert_array_equal(make(noise), make(noise))
    np.testing.assert_array_equal(make(jnp.sign(noise)), make(noise))  # a mask: dropped or not


def test_noise_without_dropout_is_empty_and_the_right_amount_is_asked_for():
    assert small_unet(dropped=0).noise_size(16, 16) == 0
    assert small_unet().noise_size(16, 16) == 6 * 4 * 4 + 4 * 8 * 8  # two doubled maps of the way back
    told = complaint(shapes, small_unet(), photo(16), zeros(1, 7))
    assert told == "images of 16x16 take 352 numbers of noise each, not 7; draw as many"
    assert small_unet(dropped=1).noise_size(16, 16) == 6 * 4 * 4


def test_half_of_the_numbers_are_dropped():
    """With ones in place of a U-Net's weights and one layer with dropout, the mean over masks is that without."""
    unet = translate.UNet(1, (64, 64), normalise=translate.InstanceNorm)
    source, count = jax.random.normal(KEYS[1], (1, 4, 4, 1)), unet.noise_size(4, 4)
    variables = unet.init(KEYS[0], source, jnp.zeros((1, count)), train=False)
    apply = lambda net, noise: np.arctanh(net.apply(variables, jnp.repeat(source, len(noise), axis=0), noise, train=False))
    images = apply(unet, jax.random.normal(KEYS[2], (4000, count)))
    without = apply(translate.UNet(1, (64, 64), dropped=0, normalise=translate.InstanceNorm), jnp.zeros((1, 0)))
    error = images.std(axis=0) / np.sqrt(len(images))
    assert np.all(np.abs(images.mean(axis=0) - without[0]) < 4 * error) and np.all(error > 0)


def test_instance_norm_is_each_examples_own():
    x = 3 + 2 * jax.random.normal(KEYS[1], (3, 5, 4, 2))
    norm = translate.InstanceNorm()
    y, variables = norm.init_with_output(KEYS[0], x, train=True)
    assert not variables
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((1, 2)), 1, atol=1e-4)
    np.testing.assert_array_equal(y[:1], norm.apply({}, x[:1], train=False))


def test_borders_are_mirrored():
    x = jnp.arange(4.0).reshape(1, 1, 4, 1)
    layer = translate.ReflectConv(1, 3)
    params = {"kernel": jnp.zeros((3, 3, 1, 1)).at[1, 0].set(1), "bias": jnp.zeros(1)}  # looks one pixel to the left
    np.testing.assert_array_equal(layer.apply({"params": params}, x)[0, 0, :, 0], [1, 0, 1, 2])


def test_joins_images_and_clips_in_order_of_time():
    image, clip = jnp.zeros((2, 4, 5, 1)), jnp.arange(1.0, 4)[None, :, None, None, None] * jnp.ones((2, 3, 4, 5, 2))
    joined = translate.join(image, clip)
    assert joined.shape == (2, 4, 5, 7)
    np.testing.assert_array_equal(joined[1, 2, 3], [0, 1, 1, 2, 2, 3, 3])


# ---- games


def linear(slope, shift=0.0):
    """A network of no parameters that ignores whatever follows its first input."""
    apply = lambda params, stats, x, *rest, train, key=None: (slope * x + shift, stats)
    return Network(lambda key, *x: ({}, {}), apply)


SUM = Network(lambda key, *x: ({}, {}), lambda params, stats, *x, train, key=None: (sum(each.sum(-1) for each in x), stats))
PLAIN = objectives.wasserstein()  # curves that are the score itself, up to the sign
NOTHING = Net({}, {})


def test_cycle_loss_of_the_vectors_e17():
    """`|x - F(G(x))|` for G = 2 x + 0.1, F = x / 2 is 0.05, and `|y - G(F(y))|` is 0.1; both count, ten times."""
    batch = {"source": jnp.array(waves((2, 8)), jnp.float32), "real": jnp.array(waves((2, 8), 3.0), jnp.float32)}
    gens, discs = {"a2b": linear(2, 0.1), "b2a": linear(0.5)}, {"a": linear(0), "b": linear(0)}
    nothing = {
        name: Net(*({each: {} for each in networks} for _ in range(2))) for name, networks in (("gen", gens), ("disc", discs))
    }
    _, loss = translation.cyclegan(gens, discs, PLAIN, identity=0)
    value, outcome = loss(nothing, Turn(batch, KEYS[0], 0))
    np.testing.assert_allclose(outcome.metrics["cycle"], 0.05 + 0.1, rtol=1e-5)
    np.testing.assert_allclose(value, 10 * 0.15, rtol=1e-5)

    _, loss = translation.cyclegan(gens, discs, PLAIN, cycle=4, identity=0.5)
    value, outcome = loss(nothing, Turn(batch, KEYS[0], 0))
    same = np.abs(batch["real"] + 0.1).mean() + np.abs(batch["source"] / 2).mean()  # G(y) - y and F(x) - x
    np.testing.assert_allclose(outcome.metrics["identity"], same, rtol=1e-5)
    np.testing.assert_allclose(value, 4 * (0.15 + 0.5 * same), rtol=1e-5)


def test_pix2pix_losses_by_hand_e17():
    """The critic sees source and image; the generator pays 100 times the L1 distance."""
    source, real = (jnp.array(waves((3, 4, 4, 1), rate), jnp.float32) for rate in (1.0, 2.0))
    disc_loss, gen_loss = translation.pix2pix(linear(2), SUM, PLAIN, latents.normal(0))
    turn = Turn({"source": source, "real": real}, KEYS[0], 0)
    nets = {"disc": NOTHING, "gen": NOTHING}
    np.testing.assert_allclose(disc_loss(nets, turn)[0], np.mean(2 * source - real), rtol=1e-5)
    l1 = np.abs(2 * source - real).mean()
    np.testing.assert_allclose(gen_loss(nets, turn)[0], 100 * l1 - np.mean(3 * source), rtol=1e-5)
    penalised, _ = translation.pix2pix(linear(2), SUM, PLAIN, latents.normal(0), penalty=penalties.r1(0.5))
    value, outcome = penalised(nets, turn)
    np.testing.assert_allclose(outcome.metrics["penalty"], 0.5 / 2 * 16, rtol=1e-5)  # of an image of 16 pixels, each with slope 1
    np.testing.assert_allclose(value, np.mean(2 * source - real) + 4, rtol=1e-5)
    for error, expected in ((jnp.abs, l1), (jnp.square, np.square(2 * source - real).mean())):
        loss = translation.regression(linear(2), latents.normal(0), error)
        np.testing.assert_allclose(loss(nets, turn)[0], expected, rtol=1e-5)


SIZE, BATCH = 8, 4


class Tint(nn.Module):
    """A generator that compiles in no time."""

    channels: int

    @nn.compact
    def __call__(self, image, train):
        return jnp.tanh(translate.Conv(self.channels)(image))


def pix2pix(axis_name):
    norm = functools.partial(BatchNorm, axis_name)
    unet = translate.UNet(2, (4, 4), normalise=norm)
    gen, disc = from_linen(unet), from_linen(translate.PixelDiscriminator(4, norm))
    latent = latents.normal(unet.noise_size(SIZE, SIZE))
    losses = translation.pix2pix(gen, disc, objectives.non_saturating(), parallel.draw(latent, axis_name))
    source, image = jnp.zeros((1, SIZE, SIZE, 3)), jnp.zeros((1, SIZE, SIZE, 2))
    return losses, lambda key: disc.init(key, source, image), lambda key: gen.init(key, source, latent(key, 1))


def regression(axis_name):
    (_, _), _, start = pix2pix(axis_name)
    unet = translate.UNet(2, (4, 4), normalise=functools.partial(BatchNorm, axis_name))
    latent = latents.normal(unet.noise_size(SIZE, SIZE))
    return (None, translation.regression(from_linen(unet), parallel.draw(latent, axis_name))), None, start


def cyclegan(axis_name, size=BATCH, **weights):
    """Domains of 3 and of 2 channels."""
    a, b = jnp.zeros((1, SIZE, SIZE, 3)), jnp.zeros((1, SIZE, SIZE, 2))
    gens = {way: from_linen(Tint(channels)) for way, channels in (("a2b", 2), ("b2a", 3))}
    disc = pool.with_pool(from_linen(translate.PixelDiscriminator(4, **INSTANCE)), size)
    losses = translation.cyclegan(gens, {"a": disc, "b": disc}, objectives.least_squares(), **weights, axis_name=axis_name)
    discs = translation.init_several({"a": disc, "b": disc}, {"a": (a,), "b": (b,)})
    return losses, discs, translation.init_several(gens, {"a2b": (a,), "b2a": (b,)})


GAMES = {"pix2pix": pix2pix, "regression": regression, "cyclegan": functools.partial(cyclegan, identity=0)}


def build(name, axis_name=None):
    """A game with SGD, which hides no factor as Adam would."""
    (disc_loss, gen_loss), *starts = GAMES[name](axis_name)
    players = {"gen": Player(starts[1], gen_loss, optax.sgd(0.02))}
    if disc_loss:
        players["disc"] = Player(starts[0], disc_loss, optax.sgd(0.02))
    play = play_round(players, tuple((player, 1) for player in sorted(players)), axis_name)
    return make_game(players, play, infer=lambda nets, x: x)


def batch_at(step):
    keys = jax.random.split(jax.random.fold_in(KEYS[3], step))
    images = (jax.random.uniform(k, (1, BATCH, SIZE, SIZE, c), minval=-1) for k, c in zip(keys, (3, 2), strict=True))
    return dict(zip(("source", "real"), images, strict=True))


@functools.cache
def train(name, mode, devices, rounds=2):
    plan = parallel.make_plan(mode, devices, batch_size=BATCH)
    made = build(name, plan.axis_name)
    state, key, step = plan.replicate(jax.jit(made.init)(KEYS[0])), plan.replicate(KEYS[1]), plan.compile(made.step)
    start = jax.device_get(state)
    for i in range(rounds):
        state, metrics = step(state, plan.spread(batch_at(i)), key)
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


@pytest.mark.parametrize("name, mode, devices", [*((name, "shard_map", 4) for name in GAMES), ("cyclegan", "pmap", 2)])
def test_every_game_is_the_same_on_several_devices(name, mode, devices):
    """Parameters, pools and metrics; `shard_map` also refuses a state in which replicas might differ."""
    for a, b in zip(jax.tree.leaves(train(name, "jit", 1)), jax.tree.leaves(train(name, mode, devices)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def test_pools_belong_to_the_critics_stats_and_fill_with_what_was_made():
    start, state, _ = train("cyclegan", "jit", 1)
    for domain, channels in (("a", 3), ("b", 2)):
        before, after = (s.players["disc"].stats[domain]["pool"] for s in (start, state))
        assert after.examples.shape == (BATCH, SIZE, SIZE, channels)
        assert (before.filled, after.filled) == (0, BATCH) and not before.examples.any()
        assert np.all(np.abs(after.examples).max((1, 2, 3)) > 0)


def test_a_resumed_game_is_the_same_bit_for_bit():
    made = build("cyclegan")
    step, state = jax.jit(made.step), jax.jit(made.init)(KEYS[0])
    kept = None
    for i in range(3):
        kept = jax.device_get(state) if i == 1 else kept
        state, _ = step(state, batch_at(i), KEYS[1])
    for i in (1, 2):
        kept, _ = step(kept, batch_at(i), KEYS[1])
    jax.tree.map(np.testing.assert_array_equal, kept, jax.device_get(state))


def test_a_pool_smaller_than_the_batch_is_refused():
    (disc_loss, _), discs, gens = cyclegan(None, size=3, identity=0)
    nets = {"disc": Net(*discs(KEYS[0])), "gen": Net(*gens(KEYS[0]))}
    batch = jax.tree.map(lambda x: x[0], batch_at(0))
    assert complaint(disc_loss, nets, Turn(batch, KEYS[0], 0)).startswith("a pool of 3 cannot serve batches of 4")
