"""Defences against closed forms, and the min-max game they share with GANs (requirements A11.5, A11.6; B7; E25, E26)."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec
from specimens import complaint
from truth import waves

from experiments import robust as shared
from jaxgan import attacks, data, games, objectives, parallel
from jaxgan.attacks import UNBOUNDED
from jaxgan.game import make_game, play_round
from jaxgan.games import robust
from jaxgan.nets import mlp
from jaxgan.networks import from_linen
from jaxgan.types import Net, Network, Player, Turn

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 1])
CLEAN, ADV = (jnp.array(x, jnp.float32) for x in (waves((4, 3)), 1.5 * waves((4, 3), 1.6)))  # logits of B7
IDENTITY = Network(lambda key, x: ({}, {}), lambda params, stats, x, train, key=None: (x, stats))  # examples are their logits
LINEAR = Network(lambda key, x: (jnp.zeros((2, 2)), {}), lambda w, stats, x, train, key=None: (x @ w, stats))
BALL = attacks.linf(0.5, UNBOUNDED)


def to_adv(loss, x, key):
    """An attack that knows the answer."""
    return ADV


def turn(x=CLEAN, label=LABEL):
    return Turn({"real": x, "label": label}, KEY, jnp.int32(0))


def value(loss, classifier=IDENTITY, **given):
    found, outcome = loss({"classifier": Net(*classifier.init(KEY, CLEAN))}, turn(**given))
    return float(found), outcome.metrics


# Losses


def test_losses_of_b7_a11_5_a11_6_e25_e26():
    """The mixture weighs two errors, the min-max game has the attacked one alone, TRADES adds KL(clean || attacked)."""
    plain, metrics = value(robust.classification(IDENTITY))
    np.testing.assert_allclose(plain, 0.9180525733, rtol=1e-6)
    np.testing.assert_allclose(metrics["accuracy"], np.mean(np.argmax(CLEAN, axis=1) == LABEL))
    worst, metrics = value(robust.min_max(IDENTITY, to_adv))
    np.testing.assert_allclose(worst, 1.6743922632, rtol=1e-6)
    np.testing.assert_allclose(metrics["adv_accuracy"], np.mean(np.argmax(ADV, axis=1) == LABEL))
    np.testing.assert_allclose(value(robust.mixed_training(IDENTITY, to_adv))[0], 1.2962224182, rtol=1e-6)
    np.testing.assert_allclose(value(robust.mixed_training(IDENTITY, to_adv, 0.25))[0], 0.25 * plain + 0.75 * worst, rtol=1e-6)
    for beta, expected in ((0, 0.9180525733), (1, 1.2079552572), (6, 2.6574686766)):
        np.testing.assert_allclose(value(robust.trades(IDENTITY, to_adv, beta))[0], expected, rtol=1e-6)


def test_the_mixture_and_the_min_max_game_have_different_answers_e25():
    """A strong feature that errs at times, and a sure one that is weak: the attack can turn the latter, so the min-max game gives
    it up, and the mixture goes on using it.
    """
    y = jnp.array([0, 1] * 8)
    sign = jnp.where(y == 1, 1.0, -1.0)
    x = jnp.stack([sign.at[:2].multiply(-1), 0.4 * sign], axis=1)  # eps = 0.5 turns the second

    def fit(loss):
        players = {"classifier": Player(lambda key: LINEAR.init(key, x), loss, optax.sgd(0.1))}
        game = make_game(players, play_round(players, (("classifier", 1),)), robust.classify(LINEAR))
        batch = {"real": x[None], "label": y[None]}
        state, _ = jax.lax.scan(lambda state, _: game.step(state, batch, KEY), game.init(KEY), length=300)
        weights = state.players["classifier"].params
        return np.asarray(weights[:, 1] - weights[:, 0])

    mixed, worst = fit(robust.mixed_training(LINEAR, attacks.fgsm(BALL))), fit(robust.min_max(LINEAR, attacks.fgsm(BALL)))
    assert mixed[0] > 0.3 and worst[0] > 0.3
    assert abs(worst[1]) < 0.3 < mixed[1], (mixed, worst)


def test_no_gradient_goes_through_the_attack():
    """Neither through the point found nor into the classifier it was found against; steps by signs would let none through."""
    ball = attacks.l2(0.5, UNBOUNDED)
    x, y = CLEAN[:, :2], jnp.array([0, 1, 0, 1])
    weights = jnp.array(waves((2, 2), 0.7), jnp.float32)
    attack = attacks.pgd(ball, 3, random_start=False)
    x_adv = attack(lambda z: attacks.cross_entropy(z @ weights, y), x, KEY)

    def loss_at(make):
        return lambda w: make({"classifier": Net(w, {})}, turn(x, y))[0]

    held = lambda w: jnp.mean(attacks.cross_entropy(x_adv @ w, y))
    np.testing.assert_allclose(jax.grad(loss_at(robust.min_max(LINEAR, attack)))(weights), jax.grad(held)(weights), rtol=1e-5)
    both = lambda w: jnp.mean(attacks.cross_entropy(x @ w, y)) + 6 * jnp.mean(attacks.kl(x @ w, z @ w))
    near = attacks.pgd(robust.near(ball, 1e-3), 3)
    z = near(lambda z: attacks.kl(x @ weights, z @ weights), x, jax.random.split(jax.random.split(turn().key, 3)[0], 4))
    np.testing.assert_allclose(jax.grad(loss_at(robust.trades(LINEAR, near)))(weights), jax.grad(both)(weights), rtol=1e-4)


def test_trades_starts_close_by_and_raises_the_divergence_e26():
    """At x itself the divergence has no slope, so an attack from there would stay; labels play no part in it."""
    x = CLEAN[:, :2]
    seen = []

    def spy(loss, x, key):
        seen.append((robust.near(BALL, 1e-3).random_point(key[0], x[0]) - x[0], loss(x), loss(x + 0.3)))
        return attacks.pgd(robust.near(BALL, 1e-3), 10)(loss, x, key)

    weights = Net(jnp.array(waves((2, 2), 0.7), jnp.float32), {})
    for label in (jnp.array([0, 1, 0, 1]), jnp.array([1, 1, 1, 1])):
        _, outcome = robust.trades(LINEAR, spy)({"classifier": weights}, turn(x, label))
        assert outcome.metrics["kl"] > 0.01
    (offset, at_x, off_x), (_, _, again) = seen
    assert 0 < jnp.max(jnp.abs(offset)) < 6e-3
    np.testing.assert_allclose(at_x, 0, atol=1e-7)
    np.testing.assert_array_equal(off_x, again)


def test_attacks_inside_a_loss_meet_the_classifier_as_it_is_used():
    """In eval mode, with the stats that are carried; the loss itself trains them."""
    modes = []

    def apply(w, stats, x, train, key=None):
        modes.append((train, key is None))
        return x @ w, {"count": stats["count"] + train}

    counting = Network(lambda key, x: (jnp.eye(2), {"count": 0}), apply)
    for make, trained in ((robust.min_max, 1), (robust.mixed_training, 2), (robust.trades, 2)):
        modes.clear()
        loss = make(counting, attacks.fgsm(robust.near(BALL, 1e-3)))
        _, outcome = loss({"classifier": Net(*counting.init(KEY, None))}, turn(CLEAN[:, :2], jnp.array([0, 1, 0, 1])))
        assert outcome.stats["count"] == trained == sum(train for train, _ in modes)
        assert set(modes) == {(True, False), (False, True)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: robust.mixed_training(IDENTITY, to_adv, 1.0), "alpha in (0, 1), not 1.0; its ends are `min_max`"),
        (lambda: robust.trades(IDENTITY, to_adv, -1.0), "not beta=-1.0"),
        (lambda: robust.min_max(IDENTITY, to_adv)({"classifier": Net({}, {})}, Turn({"real": CLEAN}, KEY, 0)), "have none; take"),
    ],
)
def test_refusals(call, message):
    assert message in complaint(call)


def starting(axis_name):
    return {
        "min-max": robust.min_max(LINEAR, attacks.pgd(BALL, 2, 0.3), axis_name),
        "mixed": robust.mixed_training(LINEAR, attacks.pgd(BALL, 2, 0.3), axis_name=axis_name),
        "TRADES": robust.trades(LINEAR, attacks.pgd(robust.near(BALL, 0.1), 2, 0.3), axis_name=axis_name),
    }


@pytest.mark.parametrize("name", ["min-max", "mixed", "TRADES"])
def test_one_and_four_devices_train_alike(name):
    """Random starts are drawn by example: without `parallel.draw` every device would begin with the same ones."""
    x, y = jnp.array(waves((2, 1, 8, 2)), jnp.float32), jnp.array([[[0, 1, 1, 0, 1, 0, 0, 1]]] * 2)
    runs = []
    for devices in (1, 4):
        plan = parallel.make_plan("jit" if devices == 1 else "shard_map", devices, 8)
        players = {"classifier": Player(lambda key: LINEAR.init(key, x), starting(plan.axis_name)[name], optax.sgd(1.0))}
        game = make_game(players, play_round(players, (("classifier", 1),), plan.axis_name), robust.classify(LINEAR))
        play, state = plan.compile(game.step), plan.replicate(game.init(KEY))
        for real, label in zip(x, y):
            state, _ = play(state, plan.spread({"real": real, "label": label}), plan.replicate(KEY))
        runs.append(jax.device_get(state.players["classifier"].params))
    assert np.abs(runs[0]).max() > 0.03
    np.testing.assert_allclose(*runs, atol=1e-6)


# Probes


def test_robustness_counts_errors_as_they_are_and_under_attack():
    """Of a linear model whose margins are known: an example falls when eps passes its margin."""
    x, y = jnp.array([[0.2, 0.0], [-0.4, 0.0], [0.6, 0.0], [0.3, 0.0]]), jnp.array([1, 0, 1, 0])
    infer = lambda state, z: z @ jnp.array([[-1.0, 1.0], [0.0, 0.0]])
    tried = {f"eps{eps}": attacks.fgsm(attacks.linf(eps, UNBOUNDED)) for eps in (0.1, 0.3, 0.5)}
    found = robust.robustness(infer, tried, x, y)(None, KEY)
    assert found == {"error": 0.25, "eps0.1_error": 0.25, "eps0.3_error": 0.5, "eps0.5_error": 0.75}


# The same engine as a GAN's


def test_attacking_a_critic_and_training_against_it_is_a_gans_round():
    """Issue 8, acceptance 6. A generator whose parameters are its examples, moved by signs within a ball, is PGD on the critic's
    score; a critic's turn against them is its turn of adversarial training against that attack.
    """
    disc, start, real = from_linen(mlp.Discriminator((8,))), CLEAN[:, :2], ADV[:, :2]
    steps, length, allowed = 5, 0.2, attacks.linf(0.3, UNBOUNDED)
    table = Network(lambda key, z: (start, {}), lambda points, stats, z, train, key=None: (points, stats))
    towards = optax.stateless(
        lambda slopes, points: jax.vmap(allowed.project)(points - length * 0.3 * jnp.sign(slopes), start) - points
    )
    losses = games.adversarial(table, disc, objectives.wasserstein(), lambda key, count: jnp.zeros((count, 1)))
    players = {
        "disc": Player(lambda key: disc.init(key, start), losses[0], optax.sgd(0.1)),
        "gen": Player(lambda key: table.init(key, None), losses[1], towards),
    }
    game = make_game(players, play_round(players, (("gen", steps), ("disc", 1))), games.generate(table))
    before = game.init(KEY)
    after, _ = game.step(before, {"real": jnp.stack([real] * steps)}, KEY)

    net = Net(before.players["disc"].params, before.players["disc"].stats)
    attack = attacks.pgd(allowed, steps, length, random_start=False)
    x_adv = attack(lambda z: disc.apply(*net, z, train=False)[0], start, KEY)
    np.testing.assert_allclose(after.players["gen"].params, x_adv, atol=1e-6)
    assert not np.allclose(x_adv, start)

    def trained(params):
        score = lambda x: jnp.mean(disc.apply(params, net.stats, x, train=True)[0])
        return score(x_adv) - score(real)

    expected = jax.tree.map(lambda p, g: p - 0.1 * g, net.weights, jax.grad(trained)(net.weights))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.players["disc"].params, expected)


# AdvGAN


def test_advgan_losses_by_hand():
    """Xiao et al., 2018: the margin that is left, the critic's verdict, and the distance beyond what is free."""
    x, y = CLEAN[:, :2], jnp.array([0, 1, 0, 1])
    moves = Network(lambda key, x: ({}, {}), lambda params, stats, x, train, key=None: (jnp.tanh(3 * x), stats))
    gen = robust.perturbing(moves, 0.1, (-0.9, 0.9))
    score = Network(lambda key, x: ({}, {}), lambda params, stats, x, train, key=None: (jnp.sum(x, axis=1), stats))
    nets = {name: Net({}, {}) for name in ("gen", "disc", "classifier")}
    disc_loss, gen_loss = robust.advgan(gen, score, IDENTITY, objectives.least_squares(), 0.5, 2.0, 0.05)
    fake = np.clip(x + 0.1 * np.tanh(3 * x), -0.9, 0.9)
    own, other = (np.take_along_axis(fake, np.asarray(label)[:, None], 1)[:, 0] for label in (y, 1 - y))
    distance = np.linalg.norm(fake - x, axis=1)
    expected = np.maximum(own - other, 0).mean() + 0.5 * np.mean((fake.sum(1) - 1) ** 2) / 2
    expected += 2 * np.maximum(distance - 0.05, 0).mean()
    curves = objectives.least_squares()
    scale = float(curves.gen(jnp.float32(0.0)))  # of the library's least squares, at a distance of one
    expected += 0.5 * np.mean((fake.sum(1) - 1) ** 2) * (scale - 0.5)
    found, outcome = gen_loss(nets, turn(x, y))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["distance"], distance.mean(), rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["fooled"], np.mean(own <= other))
    judged, _ = disc_loss(nets, turn(x, y))
    np.testing.assert_allclose(judged, jnp.mean(curves.real(jnp.sum(x, 1))) + jnp.mean(curves.fake(fake.sum(1))), rtol=1e-5)


# Variants

TINY = {"batch_size": 8, "steps": 2, "eval_samples": 8, "devices": 1}
SETTINGS = {
    "classifier": ("classifier", {}),
    **{defence: ("adv_training", {"defence": defence}) for defence in ("augmented", "mixed", "madry", "fast")},
    "trades": ("trades", {}),
    "advgan": ("advgan", {"steps": 4, "classifier_steps": 2, "log_every": 1, "gen_width": 4, "gen_blocks": 1, "latent_size": 2}),
}


def made(name, axis_name=None, dataset=None, **changed):
    variant, flags = SETTINGS[name]
    module = importlib.import_module(f"experiments.variants.{variant}")
    cfg = dataclasses.replace(module.PRESETS["quick"], **{**TINY, **flags, **changed})
    cfg.validate()
    return module.experiment(cfg, dataset or data.load("digits"), axis_name)


@pytest.mark.parametrize("name", SETTINGS)
def test_variants_trace_at_full_size_under_shard_map(name):
    """As every variant does in test_variants; what a classifier infers are logits, and AdvGAN's samples are images."""
    plan = parallel.make_plan("shard_map", 4, 8)
    experiment = made(name, plan.axis_name, data.blank((8, 8, 1), 10))
    state = jax.eval_shape(experiment.phases[0].game.init, KEY)
    whole, split = PartitionSpec(), PartitionSpec(None, parallel.AXIS)
    for phase in experiment.phases:
        spread = jax.shard_map(phase.game.step, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=(whole, whole))
        after, metrics = jax.eval_shape(spread, state, phase.batch_at(0), KEY)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
        assert all(each.shape == () for each in metrics.values())
    shape = jax.eval_shape(experiment.phases[-1].game.infer, state, experiment.inputs(KEY, 5)).shape
    assert shape == ((5, 8, 8, 1) if name == "advgan" else (5, 10))


@pytest.mark.slow
def test_what_the_loop_is_given_of_a_classifier():
    """Logits of held-out images in their order, a probe whose first score decides, and a picture of guesses."""
    experiment = made("madry", width=4)
    game = experiment.phases[0].game
    state = game.init(KEY)
    scores = {}
    assert not experiment.metrics
    for probe in experiment.probes:
        scores |= probe(state, KEY)
    assert list(scores) == ["pgd_error", "error", "fgsm_error"]
    assert scores["error"] <= scores["fgsm_error"] and scores["error"] <= scores["pgd_error"]
    held, label = data.held_out(data.load("digits"), 8)["real"], data.held_out(data.load("digits"), 8)["label"]
    inputs = experiment.inputs(KEY, 19)
    np.testing.assert_array_equal(inputs, held[np.arange(19) % 8])
    logits = np.asarray(game.infer(state, held))
    np.testing.assert_allclose(scores["error"], np.mean(logits.argmax(1) != label))
    assert experiment.picture(logits).shape[2] == 3


def test_eps_is_of_images_in_0_1():
    """The one place that converts: a pixel moves by twice as much in [-1, 1]; 0.1 of [0, 1] is 25.5 of 255 levels either way."""
    x, z = jnp.zeros((1, 2, 1)), jnp.ones((1, 2, 1))
    np.testing.assert_allclose(shared.ball("linf", 0.1).project(z, x), 0.2, rtol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(shared.ball("l2", 0.1).project(z, x).ravel()), 0.2, rtol=1e-5)
    assert shared.ball("linf", 0.1).box == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("variant", "changed", "message"),
    [
        ("classifier", {"eps": 25.5}, r"--eps=25.5 must be in \(0, 1\]: it is for images in \[0, 1\]"),
        ("classifier", {"eps": 0.0}, "must be in"),
        ("classifier", {"eps": 0.0, "norm": "l2"}, "must be above 0"),
        ("classifier", {"metrics": "frechet"}, "which a classifier has none of"),
        ("classifier", {"width": 0}, "--width=0 must be at least 1"),
        ("adv_training", {"alpha": 1.0}, r"--alpha=1.0 must lie in \(0, 1\)"),
        ("adv_training", {"attack_steps": 0}, "--attack_steps=0 must be at least 1"),
        ("trades", {"beta": -1.0}, "--beta=-1.0 must not be negative"),
        ("advgan", {"bound": -1.0}, "--bound=-1.0 must not be negative"),
        ("advgan", {"classifier_steps": 1_500}, "must be below --steps=1500"),
        ("advgan", {"log_every": 70}, "must be a multiple of --log_every=70"),
    ],
)
def test_mistakes_on_the_command_line(variant, changed, message):
    module = importlib.import_module(f"experiments.variants.{variant}")
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(module.PRESETS["quick"], **changed).validate()


def test_data_without_labels_are_refused():
    assert "which digits has not" in complaint(lambda: made("classifier", dataset=data.blank((8, 8, 1))))
