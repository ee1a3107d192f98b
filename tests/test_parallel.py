"""One step on many devices: 1, 2 and 4 devices and all three modes give the same numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from jaxgan import game, games, latents, objectives, parallel, transforms
from jaxgan.nets.layers import BatchNorm
from jaxgan.networks import from_linen
from jaxgan.types import Player, UserError

KEY = jax.random.key(0)


class Normalised(nn.Module):
    """Two dense layers with BatchNorm between: a small generator, or a critic, whose statistics all devices must share."""

    features: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x, train):
        x = BatchNorm(self.axis_name)(nn.Dense(8)(x), train)
        return nn.Dense(self.features)(nn.leaky_relu(x))


def make(axis_name):
    """A GAN with BatchNorm in both players, spectral norm, two critic turns and SGD, which hides no factor as Adam would."""
    gen, disc = from_linen(Normalised(5, axis_name)), from_linen(Normalised(1, axis_name))
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.non_saturating(), parallel.draw(latents.normal(3), axis_name))
    players = {
        "disc": Player(lambda k: disc.init(k, jnp.zeros((1, 5))), disc_loss, optax.sgd(0.05), transforms.spectral_norm()),
        "gen": Player(lambda k: gen.init(k, jnp.zeros((1, 3))), gen_loss, optax.sgd(0.05), ema_decay=0.5),
    }
    return game.make_game(players, game.play_round(players, (("disc", 2), ("gen", 1)), axis_name), games.generate(gen))


def train(mode, devices, rounds=5):
    plan = parallel.make_plan(mode, devices, batch_size=8)
    made = make(plan.axis_name)
    state, key = plan.replicate(jax.jit(made.init)(KEY)), plan.replicate(KEY)
    step = plan.compile(made.step)
    for i in range(rounds):
        batch = {"real": jax.random.normal(jax.random.fold_in(KEY, i), (2, 8, 5))}
        state, metrics = step(state, plan.spread(batch), key)
    return jax.device_get((state, metrics))


@pytest.fixture(scope="module")
def single():
    return train("jit", 1)


@pytest.mark.parametrize("mode", ["pmap", "shard_map", "jit"])
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_modes_and_device_counts_agree(single, mode, devices):
    """Parameters, BatchNorm statistics, u, averages and metrics; latents would differ if they followed the device count."""
    for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(train(mode, devices)), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def test_training_moves(single):
    """Guards the test above: five rounds change parameters by far more than its tolerance."""
    start = jax.jit(make(None).init)(KEY)
    for name, player in single[0].players.items():
        moved = [np.abs(a - b).max() for a, b in zip(jax.tree.leaves(player.params), jax.tree.leaves(start.players[name].params))]
        assert max(moved) > 1e-2


def test_draw_gives_each_device_its_own_slice_of_the_same_whole():
    plan = parallel.make_plan("shard_map", 4)
    sampler = lambda key, count: {"z": jax.random.normal(key, (count, 3)), "label": jax.random.randint(key, (count,), 0, 9)}
    own = parallel.draw(sampler, plan.axis_name)
    spread = jax.shard_map(
        lambda key: own(key, 2), mesh=plan.mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec(parallel.AXIS)
    )
    for a, b in zip(jax.tree.leaves(spread(KEY)), jax.tree.leaves(sampler(KEY, 8)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert parallel.draw(sampler, None) is sampler


def test_shard_map_gradients_are_not_summed_over_devices():
    """Without `vary` they come out four times too large, silently; average would then be the identity."""
    plan = parallel.make_plan("shard_map", 4)

    def gradient(w, x):
        return parallel.average(jax.grad(lambda w: jnp.mean(w * x))(parallel.vary(w, parallel.AXIS)), parallel.AXIS)

    specs = (PartitionSpec(), PartitionSpec(parallel.AXIS))
    got = jax.shard_map(gradient, mesh=plan.mesh, in_specs=specs, out_specs=PartitionSpec())(jnp.float32(2), jnp.arange(8.0))
    np.testing.assert_allclose(got, 3.5)


@pytest.mark.parametrize(("features", "taken"), [("avx512f", False), ("avx512_bf16", True), ("avx512_bf16 amx_bf16", True)])
def test_onednn_is_taken_for_bfloat16_where_the_cpu_multiplies_it(features, taken, monkeypatch, caplog):
    asked, real = [], jax.jit

    def jit(f, compiler_options=None, **rest):
        asked.extend(compiler_options or ())
        return real(f, **rest)

    monkeypatch.setattr(jax, "jit", jit)
    monkeypatch.setattr(parallel, "cpu_features", lambda: features)
    for precision in ("float32", "bfloat16"):
        parallel.compiler_options.cache_clear()
        asked.clear()
        caplog.clear()
        parallel.compiler_options(precision)
        assert ("xla_cpu_experimental_onednn_custom_call" in asked) == (taken and precision == "bfloat16")
        assert ("float32 is faster" in caplog.text) == (not taken and precision == "bfloat16")
    parallel.compiler_options.cache_clear()


def test_an_option_that_xla_does_not_know_is_left_out_and_told(monkeypatch, caplog):
    parallel.compiler_options.cache_clear()
    real = jax.jit

    def old_xla(f, compiler_options=None, **rest):
        return real(f, compiler_options={"no_such_option": True} if compiler_options else None, **rest)

    monkeypatch.setattr(jax, "jit", old_xla)
    with caplog.at_level("INFO", logger="jaxgan.parallel"):
        assert parallel.compiler_options("float32") == {}
    assert "does not know xla_cpu_experimental_ynn_fusion_type" in caplog.text
    parallel.compiler_options.cache_clear()


def test_several_devices_mean_pmap_and_one_means_jit():
    assert parallel.make_plan().mode == "pmap" and parallel.make_plan(devices=1).mode == "jit"
    assert parallel.make_plan(devices=1).axis_name is None


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"devices": 9}, "--devices=9.*4"),
        ({"devices": 4, "batch_size": 6}, "--batch_size=6.*4 devices"),
        ({"mode": "tpu"}, "unknown parallel mode 'tpu'"),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(UserError, match=words):
        parallel.make_plan(**arguments)
