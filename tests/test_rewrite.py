"""Convolutions and pools of networks that were not written for this library take a fast path, and give the same numbers."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import attacks, from_linen, parallel
from jaxgan.nets.rewrite import accelerate
from jaxgan.networks import compute_in

KEYS = jax.random.split(jax.random.key(0), 3)
PADDINGS = ["SAME", "VALID", 1, ((0, 2), (1, 1)), ((2, 2), (2, 2))]
CASES = list(itertools.product([(3, 3), (4, 4), (1, 1), (2, 3)], [1, 2, 3], PADDINGS, [(8, 8), (7, 9)]))


class Net(nn.Module):
    """What a user might write: Flax's own layers, with a jitted and a re-sampling one among them."""

    groups: int = 1

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.BatchNorm(not train)(nn.Conv(8, (3, 3), 2)(x)))
        x = nn.relu(nn.ConvTranspose(8, (4, 4), (2, 2))(x))
        x = nn.leaky_relu(nn.Conv(8, (3, 3), feature_group_count=self.groups)(x))
        return nn.Dense(3)(nn.Dropout(0.1, deterministic=not train)(x).mean((1, 2)))


def left(f, *args):
    """Counts the plain convolutions in a function and in all that it holds."""
    return str(jax.make_jaxpr(f)(*args)).count(" conv_general_dilated[")


def assert_same(f, *args):
    """Compares values and gradients."""
    value = lambda f: lambda *args: sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(f(*args)))
    for g in (f, jax.grad(value(f), tuple(range(len(args))))):
        plain, fast = g(*args), (accelerate(f) if g is f else jax.grad(value(accelerate(f)), tuple(range(len(args)))))(*args)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(fast), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * np.abs(a).max() + 1e-7)


@pytest.mark.parametrize("layer", [nn.Conv, nn.ConvTranspose])
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), CASES[::3])
def test_layers_of_flax(layer, kernel, stride, padding, size):
    padding = ((1, 1), (1, 1)) if padding == 1 else padding
    module, x = layer(5, kernel, (stride, stride), padding), jax.random.normal(KEYS[0], (2, *size, 6))
    f, variables = module.apply, module.init(KEYS[1], x)
    assert left(f, variables, x) == 1 and left(accelerate(f), variables, x) == 0
    assert_same(jax.jit(f), variables, x)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
@pytest.mark.parametrize(
    ("window", "strides", "padding", "taken"),
    [
        ((2, 2), (2, 2), "VALID", True),
        ((3, 1), (3, 1), "VALID", True),
        ((2, 2), (1, 1), "VALID", False),
        ((3, 3), (2, 2), "SAME", False),
    ],
)
def test_max_pools_and_whose_derivative_they_have(window, strides, padding, taken, size):
    x = jnp.round(2 * jax.random.normal(KEYS[0], (3, *size, 5)))  # so that many windows have several largest numbers
    pool = lambda x: nn.max_pool(x, window, strides, padding)
    assert ("reduce_window_max" not in str(jax.make_jaxpr(accelerate(pool))(x))) == taken
    slope = lambda pool: jax.grad(lambda x: jnp.sum(jnp.exp(pool(x))))
    for images in (x, jnp.where(x == 2, -jnp.inf, x)):
        np.testing.assert_array_equal(slope(accelerate(pool))(images), slope(pool)(images))
    for images in (x, jnp.where(x == 2, -jnp.inf, x), jnp.where(x == 2, jnp.nan, x)):
        np.testing.assert_array_equal(accelerate(pool)(images), pool(images))


def test_max_pools_in_forward_mode_and_to_the_second_order():
    x, t = (jax.random.normal(key, (2, 4, 4, 3)) for key in KEYS[:2])
    curve = lambda pool: lambda x: jnp.sum(jnp.tanh(pool(x)) ** 2)
    pool = lambda x: nn.max_pool(x, (2, 2), (2, 2))
    for order in (lambda f: jax.jvp(f, (x,), (t,))[1], lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2))(x)):
        np.testing.assert_allclose(order(curve(accelerate(pool))), order(curve(pool)), rtol=1e-6)


def plain(x, w, **how):
    how = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **how}
    return lax.conv_general_dilated(x, w, **how)


@pytest.mark.parametrize(
    "how",
    [
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
        {"rhs_dilation": (2, 1)},
        {"window_strides": (2, 1)},
        {"window_strides": (2, 2), "lhs_dilation": (2, 2), "padding": ((1, 1), (1, 1))},
        {"precision": "highest"},
        {"preferred_element_type": jnp.float32},
    ],
    ids=lambda how: next(iter(how)),
)
def test_what_is_of_another_kind_is_left_as_it_is(how):
    x, w = jax.random.normal(KEYS[0], (2, 6, 6, 6)), jax.random.normal(KEYS[1], (6, 6, 6, 6))
    if "preferred_element_type" in how:
        x, w = x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)
    f = lambda x, w: plain(x, w, **how)
    assert left(accelerate(f), x, w) == 1
    np.testing.assert_array_equal(accelerate(f)(x, w), f(x, w))


def test_what_there_is_in_jitted_functions_and_beside_other_things():
    @jax.jit
    def inner(x, w):
        return {"y": plain(x, w), "size": jnp.float32(x.size)}

    def f(tree):
        out = inner(tree["x"], tree["w"])
        return nn.gelu(out["y"]) / out["size"], jnp.arange(3)

    tree = {"x": jax.random.normal(KEYS[0], (2, 6, 6, 6)), "w": jax.random.normal(KEYS[1], (3, 3, 6, 6))}
    assert left(f, tree) == 1 and left(accelerate(f), tree) == 0
    for a, b in zip(accelerate(f)(tree), f(tree), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_function_without_convolutions_is_called_as_it_is():
    assert accelerate(lambda x: x + 1)(np.ones(2, np.float32)).tolist() == [2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("train", [False, True])
def test_a_network_of_flax_layers(train):
    """With statistics, dropout and derivatives; grouped convolutions stay."""
    module, x = Net(), jax.random.normal(KEYS[0], (4, 8, 8, 3))
    network = from_linen(module)
    params, stats = network.init(KEYS[1], x)

    def through(params, x):
        return network.apply(params, stats, x, train=train, key={"dropout": KEYS[2]} if train else None)

    def directly(params, x):
        variables = {"params": params, **stats}
        if not train:
            return module.apply(variables, x, train=False), stats
        return module.apply(variables, x, train=True, rngs={"dropout": KEYS[2]}, mutable=["batch_stats"])

    assert left(directly, params, x) == 3 and left(through, params, x) == 0
    value = lambda f: lambda params, x: jnp.sum(f(params, x)[0] ** 2)
    for f, g in ((through, directly), (jax.grad(value(through), (0, 1)), jax.grad(value(directly), (0, 1)))):
        for a, b in zip(jax.tree.leaves(f(params, x)), jax.tree.leaves(g(params, x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max() + 1e-6)
    grouped = from_linen(Net(groups=2))
    params, stats = grouped.init(KEYS[1], x)
    assert left(lambda x: grouped.apply(params, stats, x, train=False)[0], x) == 1
    half = compute_in(network, "bfloat16").apply(*network.init(KEYS[1], x), x, train=False)[0]
    np.testing.assert_allclose(half, network.apply(*network.init(KEYS[1], x), x, train=False)[0], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("check", [True, False])
def test_on_several_devices(check):
    network, x = from_linen(Net()), jax.random.normal(KEYS[0], (8, 8, 8, 3))
    params, stats = network.init(KEYS[1], x[:1])
    gradient = jax.grad(lambda params, x: jnp.mean(network.apply(params, stats, x, train=False)[0] ** 2))

    def own(params, x):
        return parallel.average(gradient(parallel.vary(params, parallel.AXIS) if check else params, x), parallel.AXIS)

    mesh = parallel.make_plan("shard_map", 4).mesh
    specs = (PartitionSpec(), PartitionSpec(parallel.AXIS))
    spread = jax.jit(jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=check))
    for a, b in zip(jax.tree.leaves(spread(params, x)), jax.tree.leaves(gradient(params, x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max() + 1e-6)


@pytest.mark.parametrize("make", [attacks.pgd, attacks.apgd])
def test_attacks_on_a_network_of_flax_layers(make):
    """Steps are taken in a loop, where XLA runs gradients of plain convolutions ten times slower on CPUs."""
    module, x, labels = Net(), jax.random.uniform(KEYS[0], (4, 8, 8, 3)), jnp.arange(4) % 3
    variables, attack = module.init(KEYS[1], x, False), make(attacks.linf(0.1, box=(0, 1)), 3)
    classify = lambda z: module.apply(variables, z, False)
    find = lambda x, key: attack(attacks.untargeted(classify, labels), x, key)
    assert left(find, x, KEYS[2]) <= 3  # whether there is anything to do is asked once, forward
    x_adv = jax.jit(find)(x, KEYS[2])
    assert 0 < np.abs(x_adv - x).max() <= 0.1 * (1 + 1e-6)
