"""Networks (requirements A1.5, A5.5, A6.1; counts B8)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nets import dcgan, mlp, resnet, standard
from jaxgan.networks import compute_in, from_linen

KEYS = jax.random.split(jax.random.key(0), 3)


def count(module, *inputs):
    shapes = jax.eval_shape(lambda key: module.init(key, *inputs, train=False), KEYS[0])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


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
