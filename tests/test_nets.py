"""Networks (requirements A1.5, A5.5, A6.1; counts B8)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from truth import waves

from jaxgan import transforms
from jaxgan.nets import dcgan, layers, mlp, resnet, standard
from jaxgan.networks import compute_in, from_linen, pack, with_reference
from jaxgan.types import Network, UserError

KEYS = jax.random.split(jax.random.key(0), 3)


def count(module, *inputs):
    shapes = jax.eval_shape(lambda key: module.init(key, *inputs, train=False), KEYS[0])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def dense(layer, x):
    return x @ layer["kernel"] + layer["bias"][None]


@pytest.mark.parametrize(
    "module, example, expected",
    [
        (resnet.Generator((32, 32, 3)), (1, 128), 4_276_739),
        (resnet.Discriminator(), (1, 32, 32, 3), 1_053_824),
        (standard.Generator((32, 32, 3)), (1, 128), 3_813_379),
        (standard.Discriminator(), (1, 32, 32, 3), 2_935_873),
        (dcgan.Generator((32, 32, 3)), (1, 100), 1_068_928),
        (dcgan.Discriminator(), (1, 32, 32, 3), 663_296),
        (dcgan.Generator((64, 64, 3), (512, 256, 128, 64)), (1, 100), 3_576_704),
        (dcgan.Discriminator((64, 128, 256, 512)), (1, 64, 64, 3), 2_765_568),
        (dcgan.Generator((64, 64, 3), (1024, 512, 256, 128)), (1, 100), 12_658_432),
        (dcgan.Generator((64, 64, 3), (1024, 512, 256, 128), kernel_size=5), (1, 100), 18_855_040),  # the paper's
        (dcgan.Discriminator((128, 256, 512, 1024), kernel_size=5), (1, 64, 64, 3), 17_232_768),
        (mlp.Generator((2,), (400,) * 4, normalise=layers.BatchNorm), (1, 2), 484_802),  # PacGAN's
    ],
)
def test_parameter_counts_b8(module, example, expected):
    assert count(module, jnp.zeros(example)) == expected


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (17, 30, 3), (64, 48, 4)])
@pytest.mark.parametrize("net", [resnet, standard])
def test_any_image_size(net, shape):
    gen = net.Generator(shape, 4) if net is resnet else net.Generator(shape)
    disc = net.Discriminator(4) if net is resnet else net.Discriminator()
    images, _ = jax.eval_shape(lambda k: gen.init_with_output(k, jnp.zeros((2, 6)), train=False), KEYS[0])
    scores, _ = jax.eval_shape(lambda k: disc.init_with_output(k, jnp.zeros((2, *shape)), train=False), KEYS[0])
    assert images.shape == (2, *shape) and scores.shape == (2,)


@pytest.mark.parametrize("module", [resnet.Generator((8, 8, 1), 4, (True,)), mlp.Generator((8, 8, 1), (4,))])
def test_images_lie_in_range(module):
    images, _ = module.init_with_output(KEYS[0], 100 * jax.random.normal(KEYS[1], (3, 5)), train=False)
    assert np.abs(images).max() <= 1


def test_mlp_takes_points_and_images():
    shape_of = lambda module, x: jax.eval_shape(lambda k: module.init_with_output(k, x, train=False)[0], KEYS[0]).shape
    assert shape_of(mlp.Generator((2,)), jnp.zeros((3, 5))) == (3, 2)
    assert shape_of(mlp.Discriminator(), jnp.zeros((3, 2))) == shape_of(mlp.Discriminator(), jnp.zeros((3, 8, 8, 1))) == (3,)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_strided_convolutions_halve_and_double_with_any_kernel(size):
    """They are each other's adjoints, `<down x, y> = <x, up y>`, the kernel being flipped and its channels exchanged."""
    x, y = jax.random.normal(KEYS[1], (2, 8, 6, 3)), jax.random.normal(KEYS[2], (2, 4, 3, 5))
    kernel = jax.random.normal(KEYS[0], (size, size, 3, 5))
    down = layers.DownConv(5, size, use_bias=False).apply({"params": {"kernel": kernel}}, x)
    up = layers.UpConv(3, size, use_bias=False).apply({"params": {"kernel": kernel[::-1, ::-1].swapaxes(2, 3)}}, y)
    assert down.shape == y.shape and up.shape == x.shape
    np.testing.assert_allclose(jnp.vdot(down, y), jnp.vdot(x, up), rtol=1e-4)


DCGAN = {"gen": (dcgan.Generator((16, 16, 3), (64, 32)), (4, 100)), "disc": (dcgan.Discriminator((32, 64)), (4, 16, 16, 3))}


@pytest.mark.parametrize("name", DCGAN)
def test_dcgan_guidelines_a6_1(name):
    """One matrix at an end, strided convolutions and BatchNorm, and nothing else; all as wide as published at the start."""
    module, example = DCGAN[name]
    params, _ = from_linen(module).init(KEYS[0], jnp.zeros(example))
    leaves = transforms.named_leaves(params)[0]
    assert [leaf.ndim for leaf in leaves.values()].count(2) == 1
    assert {path.split("_")[0] for path in leaves} == {"Dense", "BatchNorm", "UpConv" if name == "gen" else "DownConv"}
    assert not any(path.startswith(("Dense", "UpConv", "DownConv")) and path.endswith("bias") for path in leaves)
    for path, leaf in leaves.items():
        mean, std = {"kernel": (0, 0.02), "scale": (1, 0.02), "bias": (0, 0)}[path.rsplit("/", 1)[-1]]
        error = 4 * std / np.sqrt(leaf.size)
        np.testing.assert_allclose((np.mean(leaf), np.std(leaf)), (mean, std), atol=error, rtol=0, err_msg=path)


def test_dcgan_images_lie_in_range_a6_1():
    network, z = from_linen(DCGAN["gen"][0]), jax.random.normal(KEYS[1], (4, 100))
    params, stats = network.init(KEYS[0], z)
    images, _ = network.apply(jax.tree.map(lambda w: 10 * w, params), stats, z, train=True)
    assert 0.99 < np.abs(images).max() <= 1


@pytest.mark.parametrize("slope, dead", [(0.2, 0.0), (0.0, 0.5)])
def test_a_leaky_relu_lets_every_gradient_through_a6_1(slope, dead):
    """At the start, the share of the last layer's weights that one image gives no gradient: half with a ReLU, none if leaky."""
    network, x = from_linen(dcgan.Discriminator((32, 64), slope=slope)), jax.random.normal(KEYS[1], (16, 16, 16, 3))
    params, stats = network.init(KEYS[0], x)
    scores = lambda params: network.apply(params, stats, x, train=True)[0]
    slopes = jax.jacobian(scores)(params)["Dense_0"]["kernel"]
    np.testing.assert_allclose(np.mean(slopes == 0), dead, atol=0.05 * (dead > 0))


def test_names_of_parameters_stay():
    """Trained runs are restored by them."""
    paths = lambda module, x: set(transforms.named_leaves(from_linen(module).init(KEYS[0], x)[0])[0])
    both = lambda layer: {f"{layer}/kernel", f"{layer}/bias"}
    norm = lambda layer: {f"{layer}/scale", f"{layer}/bias"}
    block = both("GeneratorBlock_0/UpsampleConv_0") | both("GeneratorBlock_0/Conv_0") | both("GeneratorBlock_0/Conv_1")
    block |= norm("GeneratorBlock_0/BatchNorm_0") | norm("GeneratorBlock_0/BatchNorm_1")
    last = both("Dense_0") | norm("BatchNorm_0") | both("Conv_0")
    assert paths(resnet.Generator((8, 8, 1), 4, (True,)), jnp.zeros((1, 5))) == block | last
    block = {path for i in range(2) for path in both(f"DiscriminatorBlock_0/Conv_{i}")} | both("DiscriminatorBlock_0/ConvPool_0")
    assert paths(resnet.Discriminator(4, (True,)), jnp.zeros((1, 8, 8, 1))) == block | {"Dense_0/kernel"}
    convs = {"DownConv_0/kernel", "DownConv_1/kernel"}
    assert paths(dcgan.Discriminator((4, 8)), jnp.zeros((1, 8, 8, 1))) == convs | norm("BatchNorm_0") | {"Dense_0/kernel"}


@pytest.mark.slow
@pytest.mark.parametrize("net", ["gen", "disc"])
def test_rematerialised_blocks_change_nothing_but_memory(net):
    """Parameters keep their names, and values, statistics and gradients their numbers."""
    x = jax.random.normal(KEYS[1], (3, 5) if net == "gen" else (3, 8, 8, 1))
    kinds = {
        "gen": lambda r: resnet.Generator((8, 8, 1), 4, (True,), remat=r),
        "disc": lambda r: resnet.Discriminator(4, (True,), r),
    }
    plain, remat = (from_linen(kinds[net](r)) for r in (False, True))
    params, stats = plain.init(KEYS[0], x)
    assert jax.tree.structure(remat.init(KEYS[0], x)) == jax.tree.structure((params, stats))

    def loss(network, params):
        y, new = network.apply(params, stats, x, train=True)
        return jnp.sum(y**2), new

    results = [jax.jit(jax.value_and_grad(functools.partial(loss, network), has_aux=True))(params) for network in (remat, plain)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *results)
    assert "remat" in str(jax.make_jaxpr(functools.partial(loss, remat))(params))


def test_compute_in_bfloat16_keeps_parameters_statistics_and_outputs_in_float32():
    exact = from_linen(resnet.Generator((8, 8, 1), 4, (True,)))
    gen, z = compute_in(exact, "bfloat16"), jax.random.normal(KEYS[1], (3, 5))
    params, stats = gen.init(KEYS[0], z)

    @jax.jit
    def all_of(params):
        images, new = gen.apply(params, stats, z, train=True)
        return images, new, jax.grad(lambda p: jnp.sum(gen.apply(p, stats, z, train=True)[0]))(params)

    assert {leaf.dtype for leaf in jax.tree.leaves((params, all_of(params)))} == {jnp.dtype(jnp.float32)}
    assert "bf16" in str(jax.make_jaxpr(all_of)(params))
    assert 0 < np.abs(all_of(params)[0] - exact.apply(params, stats, z, train=True)[0]).max() < 0.05
    assert compute_in(gen, "float32") is gen


def test_packs_are_neighbours_joined_along_the_last_axis():
    seen = []
    judge = from_linen(mlp.Discriminator((4,)))
    spy = judge._replace(
        apply=lambda params, stats, x, train, key: (seen.append(x), judge.apply(params, stats, x, train=train))[1]
    )
    packed = pack(spy, 2)
    for shape in ((2,), (3, 3, 2)):
        x = jax.random.normal(KEYS[1], (6, *shape))
        params, stats = packed.init(KEYS[0], x[:1])
        scores, _ = packed.apply(params, stats, x, train=True)
        assert scores.shape == (3,) and seen[-1].shape == (3, *shape[:-1], 4)
        np.testing.assert_array_equal(seen[-1][1], jnp.concatenate([x[2], x[3]], axis=-1))
    np.testing.assert_array_equal(pack(judge, 1).apply(params, stats, seen[-1], train=True)[0], scores)


def test_packs_must_divide_the_batch():
    packed = pack(from_linen(mlp.Discriminator((4,))), 3)
    params, stats = packed.init(KEYS[0], jnp.zeros((1, 2)))
    with pytest.raises(UserError, match="4 examples on a device cannot be put into packs of 3"):
        packed.apply(params, stats, jnp.zeros((4, 2)), train=True)
    with pytest.raises(UserError, match="take 1 or more"):
        pack(packed, 0)


def test_minibatch_discrimination_vector_a6_3():
    layer, x = layers.MinibatchDiscrimination(3, 2), jnp.array(waves((3, 4)), jnp.float32)
    params = {"Dense_0": {"kernel": jnp.array(waves((4, 6)), jnp.float32)}}
    expected = [
        [0.1140808280, 0.1771133837, 0.4160907728],
        [0.0967388583, 0.0186647450, 0.4116509885],
        [0.0209794428, 0.1636262894, 0.4337348740],
    ]
    told = layer.apply({"params": params}, x)
    np.testing.assert_array_equal(told[:, :4], x)
    np.testing.assert_allclose(told[:, 4:], expected, atol=1e-5)
    assert jax.tree.map(jnp.shape, layer.init(KEYS[0], x)["params"]) == jax.tree.map(jnp.shape, params)


def test_minibatch_stddev_vector_a10_3():
    x = jnp.array(waves((2, 3, 4, 4)), jnp.float32).transpose(0, 2, 3, 1)
    told = layers.MinibatchStddev(2).apply({}, x)
    np.testing.assert_array_equal(told[..., :3], x)
    np.testing.assert_allclose(told[..., 3], 0.4117186277, atol=1e-5)


def test_minibatch_stddev_measures_groups_of_neighbours():
    x = jax.random.normal(KEYS[1], (8, 3))
    told = layers.MinibatchStddev().apply({}, x)[:, 3]
    np.testing.assert_allclose(told, np.repeat([np.std(x[:4], axis=0).mean(), np.std(x[4:], axis=0).mean()], 4), rtol=1e-5)
    np.testing.assert_allclose(layers.MinibatchStddev().apply({}, x[:2])[:, 3], np.std(x[:2], axis=0).mean(), rtol=1e-5)
    gradient = jax.grad(lambda x: layers.MinibatchStddev().apply({}, x).sum())(jnp.ones((4, 3)))
    assert np.isfinite(gradient).all()  # a collapsed generator has no spread
    with pytest.raises(UserError, match="6 examples on a device has no groups of 4"):
        layers.MinibatchStddev().apply({}, x[:6])


@pytest.mark.parametrize("shape", [(3,), (4, 5, 3)])
def test_virtual_batch_norm_a6_3(shape):
    """The reference by its own statistics; each other example by a batch of the reference and itself."""
    x = 2 + 3 * jax.random.normal(KEYS[1], (7, *shape))
    layer = layers.VirtualBatchNorm(5)
    params = {"scale": jnp.array([1.0, 2.0, 3.0]), "bias": jnp.array([0.0, 1.0, -1.0])}
    assert jax.tree.map(jnp.shape, layer.init(KEYS[0], x, train=True)["params"]) == jax.tree.map(jnp.shape, params)
    y = layer.apply({"params": params}, x, train=True)
    rows = np.asarray(x, np.float64).reshape(7, -1, 3)
    for i in range(7):
        by = rows[:5] if i < 5 else np.concatenate([rows[:5], rows[i : i + 1]])
        expected = (rows[i] - by.mean((0, 1))) / np.sqrt(by.var((0, 1)) + 1e-5) * np.asarray(params["scale"]) + np.asarray(
            params["bias"]
        )
        np.testing.assert_allclose(y[i].reshape(-1, 3), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="with_reference"):
        layer.apply({"params": params}, x[:5], train=True)


def test_with_reference_makes_each_example_independent_of_its_batch():
    z = jax.random.normal(KEYS[1], (9, 2))
    plain = from_linen(mlp.Generator((2,), (8,), normalise=lambda: layers.VirtualBatchNorm(5)))
    gen = with_reference(plain, z[:5])
    params, stats = gen.init(KEYS[0], z[:1])
    together, _ = gen.apply(params, stats, z[5:], train=True)
    np.testing.assert_array_equal(together, plain.apply(params, stats, z, train=True)[0][5:])
    for i in range(4):
        alone, _ = gen.apply(params, stats, z[5 + i : 6 + i], train=False)
        np.testing.assert_allclose(alone, together[i : i + 1], rtol=1e-5, atol=1e-6)


def test_with_reference_leaves_the_precision_and_takes_several_inputs():
    seen = []
    spy = Network(lambda key, *x: ({}, {}), lambda params, stats, *x, train, key: (seen.append(x), (x[0], stats))[1])
    network = compute_in(with_reference(spy, jnp.ones((3, 2)), jnp.arange(3)), "bfloat16")
    y, _ = network.apply({}, {}, jnp.zeros((4, 2)), jnp.full(4, 9), train=True)
    assert y.shape == (4, 2) and not y.any()
    assert seen[0][0].dtype == jnp.bfloat16 and seen[0][1].tolist() == [0, 1, 2, 9, 9, 9, 9]


def test_dropout_is_decided_by_the_latents_a6_2():
    plain, module = mlp.Generator((2,), (8, 6)), mlp.Generator((2,), (8, 6), dropout=0.3)
    gen, size = from_linen(module), 3 + module.mask_size
    assert module.mask_size == 14 and plain.mask_size == 0
    z = jax.random.normal(KEYS[1], (5, size))
    params, stats = gen.init(KEYS[0], z)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, from_linen(plain).init(KEYS[0], z[:, :3])[0])
    drawn = [gen.apply(params, stats, z, train=train)[0] for train in (True, False)]
    np.testing.assert_array_equal(*drawn)
    h = z[:, :3]
    for i, mask in enumerate(jnp.split(z[:, 3:], [8], axis=1)):
        h = jax.nn.relu(dense(params[f"Dense_{i}"], h))
        h = h * (mask > -0.5244005127) / 0.7  # the normal quantile of 0.3
    np.testing.assert_allclose(drawn[0], dense(params["Dense_2"], h), rtol=1e-5, atol=1e-6)
    other = gen.apply(params, stats, z.at[:, 3:].set(jax.random.normal(KEYS[2], (5, 14))), train=False)[0]
    assert np.abs(other - drawn[0]).max() > 0.1
    with pytest.raises(UserError, match="leave none beside 14"):
        gen.init(KEYS[0], z[:, :14])
    with pytest.raises(UserError, match=r"1\.0 is no chance"):
        from_linen(mlp.Generator((2,), (4,), dropout=1.0)).init(KEYS[0], z)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drop_is_dropout(rate):
    x = jnp.ones((200, 500))
    y = layers.drop(x, jax.random.normal(KEYS[1], x.shape), rate)
    np.testing.assert_allclose(jnp.mean(y == 0), rate, atol=0.005)  # 3 standard errors
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


def test_discriminator_gives_scores_logits_or_features_by_the_same_parameters():
    x, minibatch = jax.random.normal(KEYS[1], (4, 2)), layers.MinibatchStddev()
    scores, logits, features = (from_linen(mlp.Discriminator((8, 6), minibatch, outputs)) for outputs in (1, 5, 0))
    params, stats = scores.init(KEYS[0], x)
    hidden, _ = features.apply(params, stats, x, train=True)
    assert hidden.shape == (4, 7)
    np.testing.assert_allclose(
        scores.apply(params, stats, x, train=True)[0], dense(params["Dense_2"], hidden)[:, 0], rtol=1e-5, atol=1e-6
    )
    assert logits.apply(*logits.init(KEYS[0], x), x, train=True)[0].shape == (4, 5)
    np.testing.assert_array_equal(hidden[:, 6], hidden[0, 6])
