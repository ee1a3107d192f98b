"""Attention, networks that take labels, and a transformer critic (requirements A9.4, A9.5, A10.1, A10.2; counts B8)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from truth import waves

from jaxgan import parallel, transforms
from jaxgan.nets import attention, biggan, conditional, layers, resnet, vit
from jaxgan.networks import compute_in, from_linen
from jaxgan.types import UserError

KEYS = jax.random.split(jax.random.key(0), 3)
LABELS = jnp.array([0, 1, 2, 0, 1, 2])
Z, X = jnp.zeros((6, 9)), jnp.zeros((6, 8, 8, 1))
WIDE = (16, 16, 8, 4, 2, 1)  # multipliers of the generators for 128x128 pixels
GENERATORS = {
    "SNGAN 32": (resnet.Generator((32, 32, 3), num_classes=10), 128, 4_304_387),
    "BigGAN 32": (resnet.Generator((32, 32, 3), 64, multipliers=(4,) * 4, num_classes=10), 128, 4_304_387),
    "BigGAN 128": (biggan.Generator((128, 128, 3), num_classes=1000), 120, 70_433_988),
    "BigGAN 128, width 64": (biggan.Generator((128, 128, 3), 64, num_classes=1000), 120, 31_978_628),
    "BigGAN 256": (
        biggan.Generator((256, 256, 3), ups=(True,) * 6, multipliers=(16, 16, 8, 8, 4, 2, 1), num_classes=1000),
        140,
        82_235_844,
    ),
    "SNGAN 128": (resnet.Generator((128, 128, 3), 64, (True,) * 5, num_classes=1000, multipliers=WIDE), 128, 41_996_931),
    "SAGAN": (
        resnet.Generator((128, 128, 3), 64, (True,) * 5, num_classes=1000, multipliers=WIDE, attention=64),
        128,
        42_017_412,
    ),
    "SAGAN, authors' code": (
        resnet.Generator((128, 128, 3), 64, (True,) * 5, num_classes=1000, multipliers=WIDE, attention=32),
        128,
        42_078_852,
    ),
}
CRITICS = {
    "SNGAN 32": (resnet.Discriminator(num_classes=10), 32, 1_055_104),
    "BigGAN 32": (
        biggan.Discriminator(64, (True, True, False, False), num_classes=10, multipliers=(4,) * 4, attention=0),
        32,
        4_207_361,
    ),
    "BigGAN 128": (biggan.Discriminator(num_classes=1000), 128, 87_982_370),
    "BigGAN 128, width 64; SAGAN": (biggan.Discriminator(64, num_classes=1000), 128, 39_448_258),
    "BigGAN 256": (
        biggan.Discriminator(downs=(True,) * 6 + (False,), num_classes=1000, multipliers=(1, 2, 4, 8, 8, 16, 16)),
        256,
        99_225_890,
    ),
    "SAGAN, authors' code": (biggan.Discriminator(64, num_classes=1000, attention=32), 128, 39_463_618),
    "SNGAN 128": (biggan.Discriminator(64, num_classes=1000, attention=0, wide=False), 128, 30_005_013),
}


def small(kind, shape=(8, 8, 1)):
    """Small networks for three classes: `(gen, disc)`."""
    if kind == "biggan":
        gen = biggan.Generator(shape, 4, (True, False), multipliers=(2, 2, 1), attention=8, num_classes=3, shared=5)
        return gen, biggan.Discriminator(4, (True, False), multipliers=(1, 2), attention=shape[0] // 2, num_classes=3)
    return resnet.Generator(shape, 4, (True,), num_classes=3), resnet.Discriminator(4, (True, False), num_classes=3)


def count(module, *inputs):
    shapes = jax.eval_shape(lambda key: module.init(key, *inputs, train=False), KEYS[0])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def shapes(module, *inputs):
    out = jax.eval_shape(lambda key: module.init_with_output(key, *inputs, train=False)[0], KEYS[0])
    return jax.tree.map(lambda leaf: leaf.shape, out)


@jax.jit
def perturbed(params):
    """Takes parameters away from their start, where gains are one and attention is switched off."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(KEYS[2], len(leaves))
    return jax.tree.unflatten(tree, [w + 0.3 * jax.random.normal(k, w.shape) for k, w in zip(keys, leaves, strict=True)])


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_parameter_counts_b8(name):
    module, size, expected = GENERATORS[name]
    assert count(module, jnp.zeros((1, size)), jnp.zeros(1, int)) == expected


@pytest.mark.parametrize("name", CRITICS)
def test_critic_parameter_counts_b8(name):
    module, size, expected = CRITICS[name]
    assert count(module, jnp.zeros((1, size, size, 3)), jnp.zeros(1, int)) == expected


def test_attention_vector_a10_1():
    x = jnp.array(waves((4, 3)), jnp.float32)
    query, key, value = (jnp.array(waves((3, n), rate), jnp.float32) for n, rate in ((2, 0.3), (2, 0.8), (3, 1.1)))
    expected = [
        [0.5457789827, -0.6382539078, 0.5013402778],
        [-0.4536837512, -0.1736492596, -1.0883908708],
        [-0.8771797374, 0.7704039798, -0.7737962089],
        [-0.4355630332, 0.8657808354, -0.6119074074],
    ]
    np.testing.assert_allclose(x + 0.5 * attention.attend(x @ query, x @ key, x @ value), expected, atol=1e-5)


@pytest.mark.slow
def test_self_attention_is_the_identity_at_the_start_a10_1():
    x = jax.random.normal(KEYS[1], (2, 6, 4, 16))
    y, variables = jax.jit(attention.SelfAttention().init_with_output)(KEYS[0], x)
    np.testing.assert_array_equal(y, x)
    assert count_leaves(variables["params"]) == 5 * 16 * 16 // 4 + 1
    loss = lambda params: jnp.sum(attention.SelfAttention().apply({"params": params}, x) ** 2)
    grads = jax.jit(jax.grad(loss))(variables["params"])
    assert grads["gamma"] != 0


def count_leaves(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6, 4, 16), (5, 7, 3)])
def test_self_attention_pixel_by_pixel_a10_1(shape):
    """Against loops in float64: queries of every pixel, keys and values the largest of 2x2, weights that add up to one."""
    height, width, channels = shape
    x, layer = jax.random.normal(KEYS[1], (2, *shape)), attention.SelfAttention()
    params = {**jax.jit(layer.init)(KEYS[0], x)["params"], "gamma": jnp.float32(0.7)}
    w = {name: np.asarray(params[name]["kernel"][0, 0], np.float64) for name in ("query", "key", "value", "out")}
    assert w["key"].shape[1] == max(channels // 8, 1) and w["value"].shape[1] == channels // 2
    pixels = np.asarray(x, np.float64)
    expected = pixels.copy()
    for n in range(2):
        blocks = [pixels[n, i : i + 2, j : j + 2] for i in range(0, height - 1, 2) for j in range(0, width - 1, 2)]
        keys, values = (np.stack([(block @ w[name]).max((0, 1)) for block in blocks]) for name in ("key", "value"))
        for i in range(height):
            for j in range(width):
                weights = np.exp(keys @ (pixels[n, i, j] @ w["query"]))
                expected[n, i, j] += 0.7 * (weights / weights.sum()) @ values @ w["out"]
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected, atol=1e-5)


def test_self_attention_needs_pixels():
    with pytest.raises(UserError, match="1x4 pixels is too small"):
        attention.SelfAttention().init(KEYS[0], jnp.zeros((2, 1, 4, 8)))


@pytest.mark.parametrize("form", ["label", "vector"])
def test_conditional_batch_norm_vector_a9_5(form):
    """Both forms: a row for each class, and a linear map of a vector, here of the class's one-hot row."""
    x = jnp.array(waves((6, 2)), jnp.float32)
    gain, shift = (jnp.array(0.1 * waves((3, 2), rate), jnp.float32) for rate in (1, 2))
    expected = [
        [1.2159438549, -0.5131705310],
        [0.3885320909, 0.1575473237],
        [-0.3281609304, -0.9177045227],
        [-1.4695173207, 2.0243089910],
        [-1.1084673197, -0.1898137951],
        [1.2119517098, -0.1791918519],
    ]
    if form == "label":
        layer, condition, params = conditional.ConditionalBatchNorm(num_classes=3), LABELS, {"scale": gain, "bias": shift}
    else:
        layer, condition = conditional.ConditionalBatchNorm(), jnp.eye(3)[LABELS]
        params = {"scale": {"kernel": gain}, "bias": {"kernel": shift}}
    start = layer.init(KEYS[0], x, condition, train=False)
    assert jax.tree.map(jnp.shape, start["params"]) == jax.tree.map(jnp.shape, params)
    y, carried = layer.apply({**start, "params": params}, x, condition, train=True, mutable="batch_stats")
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(carried["batch_stats"]["mean"], 0.1 * x.mean(0), atol=1e-6)
    np.testing.assert_allclose(carried["batch_stats"]["var"], 0.9 + 0.1 * x.var(0), atol=1e-6)


def test_conditional_batch_norm_is_batch_norm_at_the_start_a9_5():
    x = 2 + 3 * jax.random.normal(KEYS[1], (6, 4, 5, 7))
    plain, told = layers.BatchNorm(), conditional.ConditionalBatchNorm(num_classes=3)
    for train in (True, False):
        a = plain.apply(plain.init(KEYS[0], x, train=False), x, train=train, mutable="batch_stats")
        b = told.apply(told.init(KEYS[0], x, LABELS, train=False), x, LABELS, train=train, mutable="batch_stats")
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), a, b)


@pytest.mark.parametrize("num_classes", [3, 0])
def test_conditional_batch_norm_on_four_devices_is_that_on_one_a9_5(num_classes):
    """Values, carried statistics and gradients, though no device sees all classes."""
    x = jax.random.normal(KEYS[1], (8, 3, 3, 2)) * jnp.arange(1.0, 9).reshape(-1, 1, 1, 1)
    condition = jnp.array([0, 0, 1, 1, 2, 2, 2, 2]) if num_classes else jax.random.normal(KEYS[2], (8, 5))

    def run(axis_name):
        layer = conditional.ConditionalBatchNorm(axis_name, num_classes, nn.initializers.normal(0.5))
        variables = layer.init(KEYS[0], x, condition, train=False)

        def loss(params, x, condition):
            y, carried = layer.apply({**variables, "params": params}, x, condition, train=True, mutable="batch_stats")
            return jnp.mean(y**3), (y, carried)

        def step(params, x, condition):
            grads, (y, carried) = jax.grad(loss, has_aux=True)(parallel.vary(params, axis_name), x, condition)
            return y, carried, parallel.average(grads, axis_name)

        return step, variables["params"]

    step, params = run(None)
    plan = parallel.make_plan("shard_map", 4)
    spread, _ = run(plan.axis_name)
    whole, split = PartitionSpec(), PartitionSpec(parallel.AXIS)
    spread = jax.shard_map(spread, mesh=plan.mesh, in_specs=(whole, split, split), out_specs=(split, whole, whole))
    one, four = jax.jit(step)(params, x, condition), jax.jit(spread)(params, x, condition)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), one, four)


def test_projection_vector_a9_4():
    x, table = jnp.array(waves((3, 4)), jnp.float32), jnp.array(waves((5, 4), 0.6), jnp.float32)
    psi = jnp.array(waves(4, 1.4), jnp.float32)[:, None]
    head, label = conditional.ProjectionHead(5, use_bias=False), jnp.array([0, 3, 4])
    params = {"Dense_0": {"kernel": psi}, "Embedding_0": {"embedding": table}}
    assert jax.tree.map(jnp.shape, head.init(KEYS[0], x, label)["params"]) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(head.apply({"params": params}, x, label), [1.1309425666, 1.1876250289, 0.1816764244], atol=1e-5)


def test_auxiliary_head_scores_and_guesses():
    x, head = jax.random.normal(KEYS[1], (6, 4)), conditional.AuxiliaryHead(3)
    (scores, logits), variables = head.init_with_output(KEYS[0], x)
    params = variables["params"]
    np.testing.assert_allclose(scores, x @ params["score"]["kernel"][:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, x @ params["logits"]["kernel"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, 1000])
def test_a_label_that_is_no_class_is_an_example_of_none(label):
    """Neither NaN nor another class's row: zeros, gain 1 and shift 0, and no projection; by gradients, too."""
    x, label = jax.random.normal(KEYS[1], (4, 6)), jnp.full(4, label)
    embedding = conditional.Embedding(3, 2)
    params = embedding.init(KEYS[0], label)
    assert not embedding.apply(params, label).any()
    assert not jax.grad(lambda p: embedding.apply(p, label).sum())(params)["params"]["embedding"].any()
    head = conditional.ProjectionHead(3)
    params = head.init(KEYS[0], x, label)["params"]
    np.testing.assert_allclose(head.apply({"params": params}, x, label), (x @ params["Dense_0"]["kernel"])[:, 0], rtol=1e-6)
    norm = conditional.ConditionalBatchNorm(num_classes=3, kernel_init=nn.initializers.ones)
    y, _ = norm.apply(norm.init(KEYS[0], x, label, train=False), x, label, train=True, mutable="batch_stats")
    np.testing.assert_allclose(y, (x - x.mean(0, keepdims=True)) / jnp.sqrt(x.var(0, keepdims=True) + 1e-5), atol=1e-5)


@pytest.mark.parametrize("label, message", [(jnp.zeros(4), r"float32 \[4\]"), (jnp.zeros((4, 3), int), r"int32 \[4, 3\]")])
def test_labels_are_integers(label, message):
    with pytest.raises(UserError, match=f"labels are {message}; give integers"):
        conditional.Embedding(3, 2).init(KEYS[0], label)


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 1), (28, 28, 1), (17, 30, 3)])
@pytest.mark.parametrize("kind", ["resnet", "biggan"])
def test_any_image_size(kind, shape):
    gen, disc = small(kind, shape)
    if kind == "biggan":
        gen = gen.clone(attention=2 * -(-shape[0] // 2))
    assert shapes(gen, jnp.zeros((6, 9)), LABELS) == (6, *shape)
    assert shapes(disc, jnp.zeros((6, *shape)), LABELS) == (6,)
    assert shapes(vit.Discriminator(4, 8, 1, 2), jnp.zeros((6, *shape))) == (6,)
    auxiliary = resnet.Discriminator(4, (True, False), num_classes=3, auxiliary=True, attention=shape[0] // 2)
    assert shapes(auxiliary, jnp.zeros((6, *shape))) == ((6,), (6, 3))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet", "biggan"])
def test_outputs_depend_on_labels(kind):
    gen, disc = (from_linen(module) for module in small(kind))
    z, other = jax.random.normal(KEYS[1], (6, 9)), (LABELS + 1) % 3
    for network, x in ((gen, z), (disc, jax.random.normal(KEYS[1], (6, 8, 8, 1)))):
        params, stats = jax.jit(network.init)(KEYS[0], x, LABELS)
        outputs = jax.jit(functools.partial(network.apply, perturbed(params), stats, train=False))
        one, two = outputs(x, LABELS)[0], outputs(x, other)[0]
        assert np.abs(one - two).reshape(6, -1).max(1).min() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet", "biggan"])
def test_rematerialised_conditional_blocks_change_nothing_but_memory(kind):
    module, x = small(kind)[0], jax.random.normal(KEYS[1], (6, 9))
    plain, remat = from_linen(module), from_linen(module.clone(remat=True))
    params, stats = jax.jit(plain.init)(KEYS[0], x, LABELS)
    assert jax.tree.structure(jax.eval_shape(remat.init, KEYS[0], x, LABELS)) == jax.tree.structure((params, stats))

    def loss(network, params):
        y, new = network.apply(params, stats, x, LABELS, train=True)
        return jnp.sum(y**2), new

    results = [
        jax.jit(jax.value_and_grad(functools.partial(loss, network), has_aux=True))(perturbed(params))
        for network in (remat, plain)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *results)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet", "biggan", "vit"])
def test_conditional_networks_compute_in_bfloat16(kind):
    gen, disc = small(kind)
    cases = [(gen, jax.random.normal(KEYS[1], (6, 9)), LABELS), (disc, jax.random.normal(KEYS[1], (6, 8, 8, 1)), LABELS)]
    for module, *inputs in cases if kind != "vit" else [(vit.Discriminator(4, 8, 1, 2), cases[1][1])]:
        exact = from_linen(module)
        network, (params, stats) = compute_in(exact, "bfloat16"), jax.jit(exact.init)(KEYS[0], *inputs)

        @jax.jit
        def both(params, network=network, stats=stats, inputs=inputs):
            loss = lambda p: (jnp.sum((out := network.apply(p, stats, *inputs, train=True))[0] ** 2), out)
            grads, (y, new) = jax.grad(loss, has_aux=True)(params)
            return y, new, grads

        y, new, grads = both(perturbed(params))
        assert {leaf.dtype for leaf in jax.tree.leaves((y, new, grads))} == {jnp.dtype(jnp.float32)}
        wanted = jax.jit(functools.partial(exact.apply, train=True))(perturbed(params), stats, *inputs)[0]
        assert 0 < np.abs(y - wanted).max() < 0.05 * np.abs(wanted).max()


def test_each_block_of_biggan_is_told_its_own_chunk_a10_2():
    """Blocks that listen to nothing make images of the first chunk alone; each one that listens adds its own and the class."""
    gen = from_linen(small("biggan")[0])
    z = jax.random.normal(KEYS[1], (6, 9))
    params, stats = jax.jit(gen.init)(KEYS[0], z, LABELS)
    params = perturbed(params)
    slopes = jax.jit(lambda params: jnp.abs(jax.grad(lambda z: gen.apply(params, stats, z, LABELS, train=False)[0].sum())(z)))
    felt = lambda params: [bool(part.any()) for part in jnp.split(slopes(params), 3, axis=1)]
    deafen = lambda block: jax.tree_util.tree_map_with_path(
        lambda path, w: 0 * w if "ConditionalBatchNorm" in jax.tree_util.keystr(path) else w, block
    )
    deaf = {name: deafen(part) if name.startswith("GeneratorBlock") else part for name, part in params.items()}
    assert felt(params) == [True, True, True] and felt(deaf) == [True, False, False]
    for i in range(2):
        name = f"GeneratorBlock_{i}"
        assert felt({**deaf, name: params[name]}) == [True, i == 0, i == 1]
    with pytest.raises(UserError, match="8 components cannot be split into 3 chunks"):
        gen.init(KEYS[0], z[:, :8], LABELS)


def test_biggan_without_classes_is_told_chunks_alone():
    gen, disc = (module.clone(num_classes=0) for module in small("biggan"))
    assert shapes(gen, Z) == (6, 8, 8, 1) and shapes(disc, X) == (6,)
    listening = jax.eval_shape(from_linen(gen).init, KEYS[0], Z)[0]["GeneratorBlock_0"]["ConditionalBatchNorm_0"]
    assert listening["scale"]["kernel"].shape == (3, 8)


def test_spectral_norm_takes_what_published_code_does_a10_2():
    """All of a critic's matrices, its class embedding among them; of a generator's, neither the embedding nor rows of classes."""

    def spared(module, x):
        leaves = transforms.named_leaves(jax.eval_shape(from_linen(module).init, KEYS[0], x, LABELS)[0])[0]
        return {name for name, leaf in leaves.items() if leaf.ndim > 1 and not transforms.is_kernel(name, leaf)}

    rows = {f"GeneratorBlock_0/ConditionalBatchNorm_{i}/{name}" for i in range(2) for name in ("scale", "bias")}
    assert spared(small("resnet")[0], Z) == rows and spared(small("biggan")[0], Z) == {"shared_classes"}
    assert spared(small("resnet")[1], X) == spared(small("biggan")[1], X) == set()


def test_biggan_starts_orthogonal_a10_2():
    gen, disc = (from_linen(module) for module in small("biggan"))
    for network, x in ((gen, Z), (disc, X)):
        for name, kernel in transforms.select(jax.jit(network.init)(KEYS[0], x, LABELS)[0], transforms.is_kernel).items():
            w = kernel.reshape(-1, kernel.shape[-1])
            gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
            np.testing.assert_allclose(gram, jnp.eye(len(gram)), atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "module, inputs, message",
    [
        (resnet.Generator((8, 8, 1), 4), (Z, LABELS), "takes no labels"),
        (resnet.Generator((8, 8, 1), 4, num_classes=3), (Z,), "num_classes=3 also takes labels"),
        (resnet.Discriminator(4), (X, LABELS), "takes no labels"),
        (resnet.Discriminator(4, num_classes=3), (X,), "num_classes=3 also takes labels"),
        (resnet.Discriminator(4, num_classes=3, auxiliary=True), (X, LABELS), "takes no labels"),
        (resnet.Discriminator(4, auxiliary=True), (X,), "say how many"),
        (resnet.Generator((8, 8, 1), 4, (True,), multipliers=(1,)), (Z,), "1 multipliers do not fit 2 maps"),
        (resnet.Discriminator(4, (True,), multipliers=(1, 2)), (X,), "2 multipliers do not fit 1 maps"),
        (resnet.Generator((8, 8, 1), 4, (True, True), attention=6), (Z,), "attention=6 fits no map; they are 4, 8 pixels high"),
        (resnet.Discriminator(4, (True, False), attention=8), (X,), "attention=8 fits no map; they are 4, 4 pixels high"),
        (vit.Discriminator(4, 6, 1, 4), (X,), "6 channels cannot be split among 4 heads"),
    ],
)
def test_mistakes_are_told(module, inputs, message):
    with pytest.raises(UserError, match=message):
        shapes(module, *inputs)


def test_multi_head_attention_is_that_of_flax():
    x, own = jax.random.normal(KEYS[1], (2, 5, 12)), vit.MultiHeadAttention(3)
    params = perturbed(jax.jit(own.init)(KEYS[0], x)["params"])
    theirs = {
        name: {"kernel": params[name]["kernel"].reshape(12, 3, 4), "bias": params[name]["bias"].reshape(3, 4)}
        for name in ("query", "key", "value")
    }
    theirs["out"] = {"kernel": params["out"]["kernel"].reshape(3, 4, 12), "bias": params["out"]["bias"]}
    expected = nn.MultiHeadDotProductAttention(3).apply({"params": theirs}, x)
    np.testing.assert_allclose(own.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-5)


def test_a_vit_knows_patches_apart_by_position_alone():
    x = jax.random.normal(KEYS[1], (3, 8, 12, 2))
    network = from_linen(vit.Discriminator(4, 8, 2, 2))
    params, stats = jax.jit(network.init)(KEYS[0], x)
    assert params["position"].shape == (6, 8) and params["patches"]["kernel"].shape == (32, 8)
    moved = jnp.concatenate([x[:, :, 4:8], x[:, :, :4], x[:, :, 8:]], axis=2)
    score = lambda params, x: network.apply(params, stats, x, train=True)[0]
    blind = {**params, "position": 0 * params["position"]}
    np.testing.assert_allclose(score(blind, x), score(blind, moved), rtol=1e-4, atol=1e-5)
    assert np.abs(score(params, x) - score(params, moved)).min() > 1e-4


def test_a_vit_fills_up_patches_with_zeros():
    x, network = jax.random.normal(KEYS[1], (3, 7, 5, 1)), from_linen(vit.Discriminator(4, 8, 1, 2))
    params, stats = jax.jit(network.init)(KEYS[0], x)
    filled = jnp.pad(x, ((0, 0), (0, 1), (0, 3), (0, 0)))
    np.testing.assert_array_equal(*(network.apply(params, stats, y, train=True)[0] for y in (x, filled)))
