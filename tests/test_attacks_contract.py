"""What every attack keeps to: each example by itself, in parts and on devices, until it has succeeded; and what none takes."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec
from specimens import complaint
from truth import relu_mlp

from jaxgan import attacks, games, objectives, parallel
from jaxgan.attacks import (
    UNBOUNDED,
    Aim,
    apgd,
    cross_entropy,
    fgsm,
    l1,
    l2,
    linf,
    misclassified,
    nes,
    pgd,
    restarts,
    square,
    targeted,
    untargeted,
)
from jaxgan.nets import mlp
from jaxgan.networks import from_linen
from jaxgan.types import Net, Turn

UNIT = (0.0, 1.0)
KEY = jax.random.key(0)


def run(attack, loss, x):
    """Attacks in one program; eager operations would each be compiled."""
    return jax.jit(lambda x: attack(loss, x, KEY))(x)


def problem():
    classify, x, labels = relu_mlp()
    x = x.astype(jnp.float32)
    return classify, x, labels, untargeted(classify, labels)


EPS = 0.05
ATTACKS = {
    "fgsm": fgsm(linf(EPS, UNIT)),
    "pgd": pgd(linf(EPS, UNIT), 10),
    "momentum": pgd(l2(EPS, UNIT), 10, momentum=0.9),
    "restarts": restarts(pgd(linf(EPS, UNIT), 10), 3),
    "apgd": apgd(linf(EPS, UNIT), 20),
    "l1": pgd(l1(4 * EPS, UNIT), 10),
    "nes": nes(l2(4 * EPS, UNIT), 5, 5, spread=0.03),  # a sign of an estimate may turn on a rounding
    "square": square(linf(EPS, UNIT), 50),
}


@pytest.fixture
def in_parts(monkeypatch):
    """Batches of these tests are worked on in parts of eight."""
    monkeypatch.setattr(attacks.protocol, "LEAST", 4)


@pytest.mark.parametrize("name", ATTACKS)
def test_contract(name, in_parts):
    """Raises the loss, sees each example and its key alone, leaves successes as they are; jitted."""
    classify, x, labels, aim = problem()

    @partial(jax.jit, static_argnums=3)
    def attack(x, labels, keys, stop):
        aim = untargeted(classify, labels)
        return ATTACKS[name](aim if stop else aim.loss, x, keys)

    keys = jax.random.split(KEY, 64)
    z = attack(x, labels, keys, False)
    assert z.dtype == x.dtype and z.shape == x.shape and jnp.mean(aim.loss(z)) > jnp.mean(aim.loss(x)) + 1e-3
    np.testing.assert_allclose(attack(x[::-1], labels[::-1], keys[::-1], False)[::-1], z, atol=1e-5)
    fooled = np.asarray(aim.success(z))
    np.testing.assert_array_equal(attack(z, labels, keys, True)[fooled], z[fooled])
    stopped = attack(x, labels, keys, True)
    assert np.mean(aim.success(stopped)) >= fooled.mean() > 0.1
    np.testing.assert_allclose(attack(x[::-1], labels[::-1], keys[::-1], True)[::-1], stopped, atol=1e-5)


@pytest.mark.parametrize("name", ["pgd", "restarts", "apgd", "nes", "square"])
@pytest.mark.parametrize("count", [64, 61, 3])
def test_what_is_found_does_not_depend_on_parts(name, count, in_parts, monkeypatch):
    """Those still at it move up as others are done, and all go back to their places."""
    classify, x, labels, _ = problem()
    x, labels, keys = x[:count], labels[:count], jax.random.split(KEY, count)
    found = []
    for least in (4, 64):
        monkeypatch.setattr(attacks.protocol, "LEAST", least)
        found.append(jax.jit(lambda x, labels, keys: ATTACKS[name](untargeted(classify, labels), x, keys))(x, labels, keys))
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize("name", ["pgd", "apgd", "square"])
def test_an_example_costs_nothing_once_it_has_succeeded(name, in_parts):
    """The model is asked about parts of eight, as many as there are examples left."""
    classify, x, labels, aim = problem()
    asked = []

    def judge(z, labels):
        jax.debug.callback(lambda done: asked.append(len(done)), done := misclassified(classify(z), labels))
        return cross_entropy(classify(z), labels), done

    def counted(aim):
        asked.clear()
        z = run(ATTACKS[name], aim, x)
        jax.effects_barrier()
        return z, sum(asked)

    z, spent = counted(Aim(judge, (labels,)))
    whole, all_of_it = counted(Aim(lambda z: judge(z, labels), divisible=False))
    np.testing.assert_allclose(z, whole, atol=1e-6)
    assert np.mean(aim.success(z)) > 0.2 and spent < 0.9 * all_of_it
    _, nothing = counted(Aim(judge, (labels,)).sparing(jnp.ones_like(labels, bool)))
    assert nothing <= 3 * len(x)


@pytest.mark.parametrize(("count", "size"), [(64, 64), (65, 65), (130, 65), (200, 67), (1000, 125)])
def test_parts_are_even(count, size):
    """65 examples are not two parts of 64, the second nearly all copies."""
    asked = set()
    aim = Aim(lambda z: (asked.add(len(z)) or z[:, 0], z[:, 0] > 1))
    jax.eval_shape(lambda x: pgd(linf(0.1, UNBOUNDED), 2)(aim, x, KEY), jnp.zeros((count, 2)))
    assert asked == {1, size, count}  # one alone, to see whether it can be; the whole for its success at the start


@pytest.mark.parametrize("make", [pgd, apgd, nes, square, lambda allowed, steps: restarts(pgd(allowed, steps), 2)])
def test_a_loss_may_be_finer_than_the_examples(make):
    x = jnp.full((4, 3), 0.5, jnp.bfloat16)
    assert run(make(linf(EPS, UNIT), 3), lambda z: jnp.sum(z.astype(jnp.float32), axis=1), x).dtype == jnp.bfloat16


def test_an_attack_of_ones_own_may_call_an_aim():
    """`restarts` hands every attack an Aim, which is a loss, too."""
    uphill = lambda loss, x, key: x + 0.1 * jnp.sign(jax.grad(lambda z: jnp.sum(loss(z)))(x))
    np.testing.assert_allclose(restarts(uphill, 2)(lambda z: z[:, 0], jnp.zeros((2, 2)), KEY), [[0.1, 0], [0.1, 0]])


def test_a_targeted_attack_stops_at_its_target():
    classify, x, labels, _ = problem()
    aim = targeted(classify, (labels + 1) % 3)
    z = run(pgd(linf(0.2, UNIT), 20), aim, x)
    hit = np.asarray(jnp.argmax(classify(z), axis=1) == (labels + 1) % 3)
    assert hit.mean() > 0.7
    np.testing.assert_array_equal(hit, aim.success(z))
    np.testing.assert_array_equal(run(pgd(linf(0.2, UNIT), 20), aim, z)[hit], z[hit])
    np.testing.assert_allclose(aim.loss(z), -cross_entropy(classify(z), (labels + 1) % 3))


@pytest.mark.parametrize("name", ["pgd", "apgd"])
def test_attacks_can_be_vmapped(name, in_parts):
    """Side by side over halves of a batch, as over models or radii."""
    classify, x, labels, _ = problem()
    attack = lambda x, labels, keys: ATTACKS[name](untargeted(classify, labels), x, keys)
    keys = jax.random.split(KEY, 64)
    halves = jax.jit(jax.vmap(attack))(x.reshape(2, 32, 10), labels.reshape(2, 32), keys.reshape(2, 32))
    np.testing.assert_allclose(halves.reshape(64, 10), jax.jit(attack)(x, labels, keys), atol=1e-5)


def test_an_examples_key_does_not_depend_on_how_many_come_with_it():
    few, many = (jax.random.key_data(attacks.protocol.for_each(KEY, count)) for count in (3, 64))
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(many, axis=0)) == 64


def test_early_freeze_keeps_the_first_success():
    """With one key and one step size more steps go on where fewer stopped: what had succeeded stays bit for bit."""
    _, x, _, aim = problem()
    few, many = (run(pgd(linf(0.1, UNIT), steps, 0.05), aim, x) for steps in (5, 40))
    done = np.asarray(aim.success(few))
    assert 0.1 < done.mean() < 0.9
    np.testing.assert_array_equal(few[done], many[done])
    assert np.mean(aim.success(many)) > done.mean()


def test_a_loss_is_traced_a_fixed_number_of_times_however_many_steps():
    """PGD compiles once: neither steps nor restarts are unrolled."""
    _, x, labels, (judge, *_) = problem()

    def traces(steps, count):
        calls = []
        attack = restarts(pgd(linf(0.1, UNIT), steps), count)
        jax.eval_shape(lambda x: attack(Aim(lambda *each: calls.append(0) or judge(*each), (labels,)), x, KEY), x)
        return len(calls)

    assert traces(2, 2) == traces(50, 9)


def test_restarts_keep_the_worst_of_each_example():
    _, x, labels, aim = problem()
    attack, (loss, success) = pgd(linf(0.1, UNIT), 2), (aim.loss, aim.success)

    def tempting(z, labels):  # a loss that speaks against what is sought
        value, done = aim.judge(z, labels)
        return value - 100.0 * done, done

    once, often = (run(restarts(attack, count), Aim(tempting, (labels,)), x) for count in (1, 6))
    assert jnp.mean(success(often)) > jnp.mean(success(once))
    neither = np.asarray(~success(often))
    assert (loss(often)[neither] > loss(once)[neither] - 1e-6).all() and jnp.mean((loss(often) - loss(once))[neither]) > 1e-4


def test_eps_may_be_traced_to_draw_a_curve():
    _, x, _, aim = problem()
    curve = jax.jit(jax.vmap(lambda eps: jnp.mean(aim.loss(pgd(linf(eps, UNIT), 10, random_start=False)(aim.loss, x, KEY)))))
    expected = [0.752339453722221, 0.874458615380263, 1.0887219990546844, 1.5346495490056467]  # of B7, PGD10
    np.testing.assert_allclose(curve(jnp.array([0.02, 0.05, 0.1, 0.2])), expected, rtol=1e-4)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.tanh(nn.Dense(8)(x)))


def linen():
    params = Linen().init(KEY, jnp.zeros((1, 10)))
    return partial(Linen().apply, params)


def of_nnx():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(10, 8, rngs=rngs), nnx.tanh, nnx.Linear(8, 3, rngs=rngs))


@pytest.mark.parametrize("make", [linen, of_nnx, lambda: relu_mlp()[0]], ids=["linen", "nnx", "function"])
def test_any_classifier_can_be_attacked(make):
    classify, x = make(), problem()[1]
    labels = jnp.argmax(classify(x), axis=1)
    z = run(pgd(linf(0.3, UNIT), 10), lambda z: cross_entropy(classify(z), labels), x)
    assert jnp.mean(misclassified(classify(z), labels)) > 0.3


def test_a_critic_can_be_attacked_as_a_generators_loss_does():
    """A critic's score is a loss like any other: small changes that raise it make generated points look real to it."""
    disc, gen = from_linen(mlp.Discriminator((8,))), from_linen(mlp.Generator((2,)))
    nets = {"disc": Net(*disc.init(KEY, jnp.zeros((1, 2)))), "gen": Net(*gen.init(KEY, jnp.zeros((1, 3))))}
    fake, _ = gen.apply(*nets["gen"], jax.random.normal(KEY, (16, 3)), train=False)
    score = lambda z: disc.apply(*nets["disc"], z, train=False)[0]
    z = run(pgd(l2(0.5, UNBOUNDED), 10), score, fake)
    assert (score(z) > score(fake)).all()
    latent = lambda key, count: jax.random.normal(KEY, (16, 3))
    _, gen_loss = games.adversarial(gen, disc, objectives.non_saturating(), latent)
    turn = Turn({"real": fake}, KEY, jnp.int32(0))
    np.testing.assert_allclose(gen_loss(nets, turn)[0], jnp.mean(jax.nn.softplus(-score(fake))), rtol=1e-5)
    assert jnp.mean(jax.nn.softplus(-score(z))) < gen_loss(nets, turn)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["restarts", "apgd", "square"])
def test_devices_attack_their_own_examples_with_the_same_outcome(name, in_parts):
    """In `shard_map`, with one key an example from `parallel.draw`."""
    classify, x, labels, _ = problem()
    plan, split = parallel.make_plan("shard_map", 4), PartitionSpec(parallel.AXIS)

    def attack(axis_name, x, labels):
        keys = parallel.draw(jax.random.split, axis_name)(KEY, len(x))
        return ATTACKS[name](untargeted(classify, labels), x, keys)

    spread = jax.shard_map(partial(attack, parallel.AXIS), mesh=plan.mesh, in_specs=(split, split), out_specs=split)
    np.testing.assert_allclose(jax.jit(spread)(x, labels), attack(None, x, labels), atol=1e-5)


GOOD = {"loss": lambda z: jnp.sum(z, axis=1), "x": jnp.full((4, 3), 0.5), "key": KEY}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": jnp.full((4, 3), 1.5)}, "examples from 1.5 to 1.5 leave the box (0, 1)"),
        ({"x": jnp.full((4, 3), jnp.nan)}, "leave the box"),
        ({"x": np.ones((4, 3), np.uint8)}, "floating-point examples [batch, ...], not uint8[4, 3]"),
        ({"x": jnp.ones(4)}, "floating-point examples"),
        ({"loss": jnp.sum}, "the loss must give one value an example, [4], not an array of shape []"),
        ({"loss": Aim(lambda z: (z[:, 0], z > 0))}, "the success must give one value an example"),
        ({"loss": Aim(lambda z: z[:, 0])}, "judges examples by a pair, (loss [batch], success bool [batch])"),
        ({"loss": lambda z: (z[:, 0], z[:, 0] > 0)}, "a loss gives an array [batch]; an Aim judges"),
        ({"loss": Aim(lambda z: (z[:, 0], jnp.argmax(z, axis=1)))}, "the success must be bool, not int32"),
        ({"loss": Aim(lambda z: (z[:, 0] > 0, z[:, 0]))}, "the loss must be floating, not bool"),
        ({"loss": Aim(lambda z, y: (z[:, 0], y > 0), jnp.ones(4))}, "given is a tuple, as (labels,)"),
        ({"x": jnp.ones((0, 3))}, "not float32[0, 3]"),
        ({"key": 0}, "take jax.random.key(seed)"),
        ({"loss": partial(lambda labels, z: cross_entropy(z, labels), np.arange(4))}, "labels from 0 to 3 leave the 3 classes"),
        ({"loss": Aim(lambda z: (z[:, 0] + jnp.ones(4), z[:, 0] > 0))}, "cannot judge one example of the batch by itself"),
        ({"loss": Aim(lambda z: (cross_entropy(z, jnp.zeros(4, int)), z[:, 0] > 0))}, "or say divisible=False"),
        ({"loss": untargeted(lambda z: z, jnp.zeros(3, int))}, "belongs to examples, [4, ...], and has no shape [3]"),
        ({"key": jax.random.split(KEY, 3)}, "or 4 such keys"),
        ({"key": jnp.zeros(2, jnp.uint32)}, "take jax.random.key(seed)"),
        ({"loss": lambda z: cross_entropy(z, jnp.zeros((4, 1), int))}, "integer labels [batch]"),
        ({"loss": lambda z: cross_entropy(z, jnp.zeros(3, int))}, "integer labels [batch]"),
        ({"loss": lambda z: attacks.margin(z, jnp.zeros(4))}, "integer labels [batch]"),
        ({"loss": lambda z: attacks.dlr(z[:, :2], jnp.zeros(4, int))}, "three classes or more, not 2"),
    ],
)
@pytest.mark.parametrize("name", ["fgsm", "restarts", "apgd", "nes", "square"])
def test_refused_calls(changed, message, name):
    assert message in complaint(ATTACKS[name], **{**GOOD, **changed})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(pgd, linf(0.1, UNIT), 0), "steps=0 must be at least 1"),
        (partial(pgd, linf(0.1, UNIT), step=-1.0), "a step must be positive"),
        (partial(pgd, linf(0.1, UNIT), momentum=1.0), "momentum in [0, 1)"),
        (partial(apgd, linf(0.1, UNIT), 0), "steps=0 must be at least 1"),
        (partial(nes, linf(0.1, UNIT), 0), "steps=0 must be at least 1"),
        (partial(nes, linf(0.1, UNIT), samples=0), "samples=0 must be at least 1"),
        (partial(nes, linf(0.1, UNIT), spread=0.0), "must be positive"),
        (partial(square, linf(0.1, UNIT), 0), "steps=0 must be at least 1"),
        (partial(square, linf(0.1, UNIT), share=0.0), "share of an image in (0, 1]"),
        (partial(restarts, ATTACKS["pgd"], 0), "count=0 must be at least 1"),
    ],
)
def test_refused_settings(make, message):
    assert message in complaint(make)
