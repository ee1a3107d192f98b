"""Every variant, traced at its full size without compiling: state keeps its shape and replicas agree."""

import dataclasses
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from experiments import variants, wiring
from jaxgan import data, parallel
from jaxgan.types import UserError

NAMES = sorted(path.stem for path in pathlib.Path(variants.__path__[0]).glob("[a-z]*.py"))
EXAMPLES = {
    "ring": ((2,), 8),
    "digits": ((8, 8, 1), 10),
    "tfds:cifar10": ((32, 32, 3), 10),
    "tfds:mnist": ((28, 28, 1), 10),
    "tfds:lsun/bedroom": ((64, 64, 3), 0),
    "tfds:oxford_flowers102": ((64, 64, 3), 102),
    "tfds:imagenet2012": ((128, 128, 3), 1000),
}
TRANSLATORS = {"cyclegan", "next_frame", "pix2pix", "vid2vid"}  # traced by test_translation_variants.py, test_variants_video.py
CLASSIFIERS = {"adv_training", "classifier", "trades"}  # they have no samples
IMAGES_ONLY = CLASSIFIERS | {
    "advgan",
    "acgan",
    "biggan",
    "cgan",
    "dcgan",
    "matching_gan",
    "projection_gan",
    "sagan",
    "semi_supervised",
}


def settings():
    """Every variant's presets, and its quick one on points and on images."""
    for name in sorted(set(NAMES) - TRANSLATORS):
        module = importlib.import_module(f"experiments.variants.{name}")
        quick = module.PRESETS["quick"]
        other = dataclasses.replace(quick, dataset="digits" if quick.dataset == "ring" else "ring")
        for cfg in (*module.PRESETS.values(), *[other] * (name not in IMAGES_ONLY)):
            yield pytest.param(module, cfg, id=f"{name}-{cfg.dataset.replace(':', '-')}")
        for augment in ("diff", "adaptive") * (name == "sngan"):
            yield pytest.param(module, dataclasses.replace(quick, augment=augment), id=f"{name}-{augment}")


@pytest.mark.parametrize(("module", "cfg"), list(settings()))
def test_traces_at_full_size_under_shard_map(module, cfg):
    """`shard_map` refuses at trace time a state that differs between devices: a forgotten average of anything carried."""
    shape = EXAMPLES[cfg.dataset]
    cfg.validate()
    plan = parallel.make_plan("shard_map", 4, cfg.batch_size)
    experiment = module.experiment(cfg, data.blank(*shape), plan.axis_name)
    state = jax.eval_shape(experiment.phases[0].game.init, jax.random.key(0))
    whole, split = PartitionSpec(), PartitionSpec(None, parallel.AXIS)
    for phase in experiment.phases:
        batch = jax.eval_shape(lambda step, phase=phase: phase.batch_at(0), 0)
        spread = jax.shard_map(phase.game.step, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=(whole, whole))
        after, metrics = jax.eval_shape(spread, state, batch, jax.random.key(0))
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
        assert all(value.shape == () for value in metrics.values())
    if module.__name__.rpartition(".")[2] in CLASSIFIERS:
        return
    inputs = jax.eval_shape(lambda key: experiment.inputs(key, 5), jax.random.key(0))
    assert jax.eval_shape(phase.game.infer, state, inputs).shape == (5, *shape[0])


def test_sngan_paper_parameter_counts():
    """B8: the CIFAR-10 residual networks."""
    module = importlib.import_module("experiments.variants.sngan")
    gen, disc = wiring.networks(module.PRESETS["paper"], (32, 32, 3), None)
    size = lambda init, x: sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0), x)[0]))
    assert size(gen.init, jnp.zeros((1, 128))) == 4_276_739
    assert size(disc.init, jnp.zeros((1, 32, 32, 3))) == 1_053_824


def test_points_cannot_be_augmented():
    module = importlib.import_module("experiments.variants.sngan")
    cfg = dataclasses.replace(module.PRESETS["quick"], dataset="ring", augment="diff")
    with pytest.raises(UserError, match="--augment=diff changes images, and ring holds points"):
        module.experiment(cfg, data.load("ring"))


def test_mixtures_are_judged_by_their_modes():
    """On points the loop counts modes, and draws them into every picture."""
    module, ring = importlib.import_module("experiments.variants.sngan"), data.load("ring")
    experiment = module.experiment(module.Config(dataset="ring"), ring)
    perfect = lambda key, count: data.held_out(ring, count)["real"]
    scores = experiment.metrics[0](perfect, jax.random.key(0))
    assert next(iter(scores)) == "mode_kl" and scores["modes"] == 8 and scores["high_quality"] > 0.97
    assert experiment.picture(perfect(None, 10)).shape == (480, 480, 3)


@pytest.mark.slow
def test_a_conditional_variant_is_the_same_on_four_devices(monkeypatch):
    """Conditional BatchNorm, projection and spectral norm under pmap; by SGD, as Adam would hide a factor."""
    monkeypatch.setattr(optax, "adam", lambda rate, b1, b2, eps: optax.sgd(0.05))
    module, digits = importlib.import_module("experiments.variants.projection_gan"), data.load("digits")
    cfg = dataclasses.replace(module.PRESETS["quick"], gen_width=8, disc_width=8, batch_size=16, latent_size=4)

    def train(mode, devices):
        plan = parallel.make_plan(mode, devices, cfg.batch_size)
        (phase,) = module.experiment(cfg, digits, plan.axis_name).phases
        first = jax.device_get(jax.jit(phase.game.init)(jax.random.key(0)))
        state, key, step = plan.replicate(first), plan.replicate(jax.random.key(1)), plan.compile(phase.game.step)
        for i in range(3):
            state, _ = step(state, plan.spread(phase.batch_at(i)), key)
        return first, jax.device_get(state)

    (first, alone), (_, spread) = train("jit", 1), train("pmap", 4)
    leaves = lambda state: jax.tree.leaves(state.players)
    assert max(np.abs(a - b).max() for a, b in zip(leaves(first), leaves(alone), strict=True)) > 1e-2  # it moves
    for a, b in zip(leaves(alone), leaves(spread), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
