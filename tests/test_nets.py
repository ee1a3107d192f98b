"""Networks and their convolutions (requirements A1.5, A5.5, A6.1; counts B8)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.nets import conv, mlp, resnet, standard

KEYS = jax.random.split(jax.random.key(0), 3)
LAYOUT = ("NHWC", "HWIO", "NHWC")


def plain(x, w, padding, stride=1):
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=LAYOUT)


def plain_pool(x):
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def repeat(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


FORMS = {
    "conv": (3, lambda x, w: conv.conv(x, w, padding=1), lambda x, w: plain(x, w, "SAME")),
    "conv 1x1": (1, conv.conv, lambda x, w: plain(x, w, "VALID")),
    "conv_down": (4, conv.conv_down, lambda x, w: plain(x, w, [(1, 1), (1, 1)], 2)),
    "conv_up": (4, conv.conv_up, lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=LAYOUT)),
    "upsample_conv": (3, conv.upsample_conv, lambda x, w: plain(repeat(x), w, "SAME")),
    "conv_pool": (3, conv.conv_pool, lambda x, w: plain_pool(plain(x, w, "SAME"))),
    "upsample": (1, lambda x, w: conv.upsample(x) * w.mean(), lambda x, w: repeat(x) * w.mean()),
    "pool": (1, lambda x, w: conv.pool(x) * w.mean(), lambda x, w: plain_pool(x) * w.mean()),
}


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 5), (3, 2)])
@pytest.mark.parametrize("form", FORMS)
def test_convolutions_equal_the_plain_form(form, size):
    k, fast, reference = FORMS[form]
    x, w = jax.random.normal(KEYS[0], (2, *size, 3)), jax.random.normal(KEYS[1], (k, k, 3, 5))
    weigh = jnp.sin(jnp.arange(fast(x, w).size, dtype=jnp.float32)).reshape(fast(x, w).shape)

    @functools.partial(jax.jit, static_argnums=0)
    def all_of(f):
        value = lambda x, w: jnp.sum(weigh * f(x, w))
        second = jax.grad(lambda x, w: jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(f(x, w))))(x) ** 2), (0, 1))
        return f(x, w), jax.grad(value, (0, 1))(x, w), second(x, w)

    for a, b in zip(jax.tree.leaves(all_of(fast)), jax.tree.leaves(all_of(reference)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


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
