"""Convolutions: every form equals plain `lax`, and so do all its derivatives (issue 3, acceptance 4)."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec
from jax.test_util import check_grads

from jaxgan import parallel
from jaxgan.nets import channels, conv

KEYS = jax.random.split(jax.random.key(0), 3)
LAYOUT = ("NHWC", "HWIO", "NHWC")
SHAPES = [(8, 8), (7, 9), (5, 6), (4, 1), (1, 1)]


def plain(x, w, padding, stride=1):
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=LAYOUT)


def plain_transpose(x, w, stride, padding, extra):
    low, high = (k - 1 - padding for k in w.shape[:2]), (k - 1 - padding + extra for k in w.shape[:2])
    around = list(zip(low, high, strict=True))
    return lax.conv_general_dilated(x, w, (1, 1), around, lhs_dilation=(stride, stride), dimension_numbers=LAYOUT)


def plain_pool(x):
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def repeat(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def draw(size, kernel, batch=2, dtype=jnp.float32, channels=(5, 6)):
    """An image and a kernel; at most four channels, in or out, take the forms for few."""
    return jax.random.normal(KEYS[0], (batch, *size, channels[0]), dtype), jax.random.normal(KEYS[1], (*kernel, *channels), dtype)


def assert_same(fast, reference, x, w, tolerance=1e-5):
    """Compares values, both gradients, and the gradients of a gradient penalty, each against its largest number."""
    weigh = jnp.sin(1.0 + jnp.arange(jax.eval_shape(reference, x, w).size, dtype=jnp.float32))

    @functools.partial(jax.jit, static_argnums=0)
    def all_of(f):
        value = lambda x, w: weigh @ f(x, w).reshape(-1)
        slope = lambda x, w: jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(0.1 * f(x, w))))(x) ** 2)
        return f(x, w), jax.grad(value, (0, 1))(x, w), jax.grad(slope, (0, 1))(x, w)

    for a, b in zip(jax.tree.leaves(all_of(fast)), jax.tree.leaves(all_of(reference)), strict=True):
        assert a.shape == b.shape and np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def cases():
    """Kernels, strides, paddings and sizes for which there is an output, each size and kernel with several of the others."""
    every = itertools.product([(1, 1), (2, 3), (3, 3), (4, 4), (5, 2)], [1, 2, 3], [0, 1, 2], SHAPES)
    fits = [case for case in every if all(n + 2 * case[2] >= k and case[2] < k for n, k in zip(case[3], case[0], strict=True))]
    return fits[::2]


@pytest.fixture(params=["products", "phases"])
def form(request, monkeypatch):
    """Which of the two forms for CPUs image gradients take; by themselves they choose by size."""
    monkeypatch.setattr(conv, "_SMALL", 2**22 if request.param == "products" else 0)


def test_there_are_enough_cases():
    assert len(cases()) >= 40


@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), cases())
def test_conv(kernel, stride, padding, size, monkeypatch):
    monkeypatch.setattr(conv, "_SMALL", 0)
    x, w = draw(size, kernel, batch=1 if size == (7, 9) else 2)
    assert_same(lambda x, w: conv.conv(x, w, stride, padding), lambda x, w: plain(x, w, [(padding, padding)] * 2, stride), x, w)


@pytest.mark.parametrize(
    "form, channels", [("products", (3, 5)), ("phases", (5, 3)), ("products", (1, 1)), ("phases", (1, 1))], indirect=["form"]
)
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), cases()[::4])
def test_conv_from_and_to_few_channels(form, channels, kernel, stride, padding, size):
    x, w = draw(size, kernel, channels=channels)
    assert_same(lambda x, w: conv.conv(x, w, stride, padding), lambda x, w: plain(x, w, [(padding, padding)] * 2, stride), x, w)


@pytest.fixture
def slow_cpu(monkeypatch):
    """A CPU on which convolutions are made of tiles, however few their channels."""
    monkeypatch.setattr(parallel, "cpu_features", lambda: "fma avx2")
    monkeypatch.setattr(conv, "_MANY", 1)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 13)])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 1)])
def test_tiles(slow_cpu, stride, padding, size):
    x, w = draw(size, (2 * stride, 2 * stride))
    lowered = jax.jit(lambda x, w: conv.conv(x, w, stride, padding)).lower(x, w).as_text()
    assert "stablehlo.convolution" not in lowered and lowered.count("dot_general") == 9
    assert_same(lambda x, w: conv.conv(x, w, stride, padding), lambda x, w: plain(x, w, [(padding, padding)] * 2, stride), x, w)


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_tiles_of_a_transposed_convolution(slow_cpu, size):
    x, w = draw(size, (4, 4))
    assert_same(conv.conv_up, lambda x, w: plain_transpose(x, w, 2, 1, 0), x, w)


@pytest.mark.parametrize(
    ("features", "dtype", "channels", "kernel", "batch", "taken"),
    [
        ("fma avx2", jnp.float32, (64, 128), 4, 8, True),
        ("fma avx2 avx512f", jnp.float32, (64, 128), 4, 8, False),
        ("", jnp.float32, (64, 128), 4, 8, False),
        ("fma avx2", jnp.bfloat16, (64, 128), 4, 8, False),
        ("fma avx2", jnp.float32, (32, 128), 4, 8, False),
        ("fma avx2", jnp.float32, (64, 128), 3, 8, False),
        ("fma avx2", jnp.float32, (64, 128), 4, 512, False),
    ],
)
def test_tiles_are_taken_where_they_were_measured_to_be_faster(features, dtype, channels, kernel, batch, taken, monkeypatch):
    monkeypatch.setattr(parallel, "cpu_features", lambda: features)
    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, dtype)
    down = jax.jit(lambda x, w: conv.conv(x, w, 2, 1)).lower(shape(batch, 16, 16, channels[0]), shape(kernel, kernel, *channels))
    assert ("stablehlo.convolution" not in down.as_text()) == taken


def transposable():
    """Those of the cases that leave a transposed convolution an output."""
    left = lambda n, k, stride, padding: n * stride + k - 1 - 2 * padding
    return [c for c in cases()[::4] if all(left(n, k, *c[1:3]) > 0 for n, k in zip(c[3], c[0], strict=True))]


@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), transposable())
def test_conv_transpose(form, kernel, stride, padding, size):
    x, w = draw(size, kernel)
    extra = stride - 1
    fast = lambda x, w: conv.conv_transpose(x, w, stride, padding, extra)
    assert_same(fast, lambda x, w: plain_transpose(x, w, stride, padding, extra), x, w)


FORMS = {
    "conv_down": (4, conv.conv_down, lambda x, w: plain(x, w, [(1, 1), (1, 1)], 2)),
    "conv_up": (4, conv.conv_up, lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=LAYOUT)),
    "upsample_conv": (3, conv.upsample_conv, lambda x, w: plain(repeat(x), w, "SAME")),
    "conv_pool": (3, conv.conv_pool, lambda x, w: plain_pool(plain(x, w, "SAME"))),
    "upsample": (1, lambda x, w: conv.upsample(x) * w.mean(), lambda x, w: repeat(x) * w.mean()),
    "pool": (1, lambda x, w: conv.pool(x) * w.mean(), lambda x, w: plain_pool(x) * w.mean()),
}


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 5), (3, 2)])
@pytest.mark.parametrize("name", FORMS)
def test_resampling(name, size):
    k, fast, reference = FORMS[name]
    assert_same(fast, reference, *draw(size, (k, k)))


@pytest.mark.parametrize("stride", [1, 2])
def test_numerical_derivatives_of_both_modes(form, stride):

    x, w = draw((5, 6), (3, 3))
    check_grads(lambda x, w: conv.conv(x, w, stride, 1), (x, w), order=2, modes=("fwd", "rev"), eps=0.02)


def test_forward_over_reverse_and_reverse_over_forward():
    x, w = draw((6, 7), (4, 4))
    fast = lambda w: jnp.sum(jnp.tanh(0.1 * conv.conv(x, w, 2, 1)) ** 2)  # far from saturation, where tanh itself is not exact
    reference = lambda w: jnp.sum(jnp.tanh(0.1 * plain(x, w, [(1, 1), (1, 1)], 2)) ** 2)
    forward_last = lambda f: jax.jit(lambda w: jax.jvp(jax.grad(f), (w,), (w,))[1])(w)
    reverse_last = lambda f: jax.jit(jax.grad(lambda w: jax.jvp(f, (w,), (lax.stop_gradient(w),))[1]))(w)
    expected = forward_last(reference)
    for got in (forward_last(fast), reverse_last(fast)):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (4, 4), (6, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_images_smaller_than_the_kernel(form, size, stride):
    """They get their zeros beforehand, and of stride 1 so do their gradients: XLA is slow to add them as it convolves."""
    x, w = draw(size, (5, 5))
    ours = lambda x, w: conv.conv(x, w, stride, 2)
    assert_same(ours, lambda x, w: plain(x, w, [(2, 2)] * 2, stride), x, w)
    pads = re.findall(r"pad = (\[\[.*?\]\])", jax.jit(jax.value_and_grad(lambda x: jnp.sum(ours(x, w)))).lower(x).as_text())
    assert pads and (stride == 2 or set(pads) == {"[[0, 0], [0, 0]]"})


@pytest.mark.parametrize(
    "channels, stride, size, product", [(64, 1, 2**19, True), (64, 1, 2**20, False), (64, 2, 2**22, True), (3, 1, 2**22, True)]
)
def test_gradients_by_small_images_are_products(channels, stride, size, product):
    """Where they were measured to be faster: convolutions of stride 1 earlier, for which one does it."""
    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.float32)
    gradient = jax.jit(lambda dy, w: conv.conv_transpose(dy, w, stride, 1))
    lowered = gradient.lower(shape(size // (8 * 8 * 16 * channels), 8, 8, 8), shape(4, 4, 8, channels)).as_text()
    assert ("stablehlo.convolution" not in lowered) == product


@pytest.mark.parametrize("dtype, channels, product", [("float32", 64, True), ("bfloat16", 64, False), ("bfloat16", 3, True)])
def test_parts_rounded_to_bfloat16_are_not_added_up_where_they_are_many(dtype, channels, product):
    """One product for all taps is slower there with AVX-512 BF16, and less exact, but for few channels."""
    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, dtype)
    up = jax.jit(conv.conv_up).lower(shape(2**22 // (8 * 8 * 16 * channels), 8, 8, 8), shape(4, 4, 8, channels)).as_text()
    assert ("stablehlo.convolution" not in up) == product


@pytest.mark.parametrize("channels", [(5, 6), (3, 5), (5, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("cached", [2**22, 300])  # at 300, kernel gradients take a row or two at a time
def test_bfloat16_stays_bfloat16_and_near(cached, stride, channels, monkeypatch):
    monkeypatch.setattr(conv, "_CACHED", cached)
    x, w = draw((9, 8), (3, 3), channels=channels)
    gradient = lambda x, w: jax.grad(lambda x, w: jnp.sum(conv.conv(x, w, stride, 1).astype(jnp.float32) ** 2), (0, 1))(x, w)
    for near, exact in zip(gradient(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)), gradient(x, w), strict=True):
        assert near.dtype == jnp.bfloat16
        np.testing.assert_allclose(near.astype(jnp.float32), exact, rtol=0, atol=0.02 * np.abs(exact).max())


@pytest.mark.parametrize("stride", [1, 2])
def test_vmap_over_images_kernels_and_both(stride):
    x, w = jax.random.normal(KEYS[0], (3, 2, 6, 5, 3)), jax.random.normal(KEYS[1], (3, 3, 3, 3, 4))
    gradients = lambda x, w: jax.grad(lambda x, w: jnp.sum(jnp.sin(conv.conv(x, w, stride, 1))), (0, 1))(x, w)
    for axes in ((0, 0), (0, None), (None, 0)):
        given = [a if axis == 0 else a[0] for a, axis in zip((x, w), axes, strict=True)]
        got = jax.vmap(gradients, axes)(*given)
        for i in range(3):
            own = [a[i] if axis == 0 else a for a, axis in zip(given, axes, strict=True)]
            for a, b in zip(got, gradients(*own), strict=True):
                np.testing.assert_allclose(a[i], b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_inside_scan_and_checkpoint_as_outside():
    x, w = draw((6, 6), (4, 4))
    descend = lambda w, _: (w - 0.01 * jax.grad(lambda w: jnp.sum(jnp.tanh(jax.checkpoint(conv.conv_down)(x, w))))(w), None)
    scanned, _ = jax.jit(lambda w: lax.scan(descend, w, length=3))(w)
    for _ in range(3):
        w, _ = descend(w, None)
    np.testing.assert_allclose(scanned, w, rtol=0, atol=1e-6)


@pytest.mark.parametrize("check", [True, False])
def test_shard_map_over_images(check):
    plan = parallel.make_plan("shard_map", 4)
    x, w = draw((6, 7), (3, 3), batch=8)
    gradients = jax.grad(lambda x, w: jnp.sum(jnp.sin(conv.conv_pool(x, w))), (0, 1))

    def own(x, w):
        by_x, by_w = gradients(x, parallel.vary(w, parallel.AXIS) if check else w)
        return by_x, lax.psum(by_w, parallel.AXIS)

    split = PartitionSpec(parallel.AXIS)
    spread = jax.shard_map(
        own, mesh=plan.mesh, in_specs=(split, PartitionSpec()), out_specs=(split, PartitionSpec()), check_vma=check
    )
    for a, b in zip(jax.jit(spread)(x, w), gradients(x, w), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (1, 1, 1, 3), (2, 3, 4, 5)])
def test_channel_sums_and_their_derivatives(shape):
    x, v = jax.random.normal(KEYS[0], shape), jax.random.normal(KEYS[1], shape[-1:])
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(channels.channel_sum(x), x.sum(axes), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(channels.channel_mean(x), x.mean(axes), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(channels.add_bias(x, v), np.add(x, v), rtol=1e-6)
    np.testing.assert_allclose(channels.scale_and_shift(x, v, 2 * v), np.multiply(x, v) + 2 * np.asarray(v), rtol=1e-6, atol=1e-6)
    loss = lambda x, v: jnp.sum(jnp.sin(channels.channel_sum(channels.scale_and_shift(x, v, channels.channel_mean(x)))))
    check_grads(loss, (x, v), order=2, modes=("fwd", "rev"), atol=0.05, rtol=0.05)
    np.testing.assert_allclose(jax.vmap(channels.channel_sum)(jnp.stack([x, 2 * x]))[1], 2 * x.sum(axes), rtol=1e-5, atol=1e-5)


def test_channel_sums_of_bfloat16_are_added_up_in_float32():
    x = jnp.ones((4096, 2), jnp.bfloat16)
    assert channels.channel_sum(x).dtype == jnp.float32
    np.testing.assert_array_equal(channels.channel_sum(x), 4096.0)  # bfloat16 would stop counting at 256
    assert channels.add_bias(x, jnp.ones(2)).dtype == jnp.bfloat16
