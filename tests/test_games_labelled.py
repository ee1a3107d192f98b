"""Games that are played by labels, and what they are judged by (requirements A9.1-A9.4, erratum E16)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from truth import waves

from jaxgan import data, games, latents, objectives, parallel, penalties
from jaxgan.game import make_game, play_round
from jaxgan.metrics.labelled import class_quality, label_agreement
from jaxgan.nets import dcgan, mlp
from jaxgan.networks import concat_labels, embed_labels, from_linen
from jaxgan.types import Net, Network, Player, Turn, UserError

KEY = jax.random.key(0)
BATCH, CLASSES, SIZE = 6, 3, 2
OBJECTIVE = objectives.non_saturating()
REAL = jnp.array(waves((BATCH, SIZE)), jnp.float32)
LABEL = jnp.array([0, 2, 1, 1, 0, 2])
FIXED = lambda key, count: jnp.array(waves((count, SIZE), 1.7), jnp.float32)

# Networks whose every number can be written down: z + c[y], w[y] . x, and (w . x, x V).
SHIFT, SLOPE = (jnp.array(waves((CLASSES, SIZE), rate), jnp.float32) for rate in (0.3, 0.9))
GUESS = jnp.array(waves((SIZE, CLASSES), 2.3), jnp.float32)
SHIFTING = Network(lambda key, z, y: (SHIFT, {}), lambda c, stats, z, y, train, key=None: (z + c[y], stats))
JUDGING = Network(lambda key, x, y: (SLOPE, {}), lambda w, stats, x, y, train, key=None: (jnp.sum(x * w[y], axis=-1), stats))
GUESSING = Network(lambda key, x: (GUESS, {}), lambda v, stats, x, train, key=None: ((x @ v[:, 0], x @ v), stats))
softplus = lambda t: np.log1p(np.exp(t))


def turn(**fields):
    return Turn({"real": REAL, "label": LABEL, **fields}, KEY, jnp.int32(0))


def nets(disc=SLOPE):
    return {"gen": Net(SHIFT, {}), "disc": Net(disc, {})}


def scores(x, label):
    return np.sum(np.asarray(x, np.float64) * np.asarray(SLOPE, np.float64)[label], axis=-1)


def fakes(count=BATCH, label=LABEL):
    return np.asarray(FIXED(KEY, count), np.float64) + np.asarray(SHIFT, np.float64)[label]


# The plain pair under a condition


@pytest.mark.parametrize("joint", [False, True])
def test_conditional_losses_by_hand_a9_1(joint):
    """Fakes carry the labels of the batch, and the penalty is on the critic as it scores these (R1 of a linear critic)."""
    pair = games.adversarial(
        SHIFTING, JUDGING, OBJECTIVE, FIXED, gen_batches=2, penalty=penalties.r1(3.0), joint=joint, given=("label",)
    )
    loss, outcome = pair[0](nets(), turn())
    on_real, on_fake = scores(REAL, LABEL), scores(fakes(), LABEL)
    flat = 3 / 2 * np.mean(np.sum(np.asarray(SLOPE)[LABEL] ** 2, axis=1))
    np.testing.assert_allclose(loss, softplus(-on_real).mean() + softplus(on_fake).mean() + flat, rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["penalty"], flat, rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["fake"], on_fake.mean(), rtol=1e-5)
    twice = np.repeat(LABEL, 2)
    np.testing.assert_allclose(pair[1](nets(), turn())[0], softplus(-scores(fakes(2 * BATCH, twice), twice)).mean(), rtol=1e-5)


def test_without_labels_nothing_changes():
    """The condition costs the plain game nothing: same keys, same numbers."""
    gen, disc = from_linen(mlp.Generator((SIZE,), (8,))), from_linen(mlp.Discriminator((8,)))
    deaf = lambda network: Network(network.init, lambda p, s, x, y, train, key=None: network.apply(p, s, x, train=train, key=key))
    own = {"gen": Net(*gen.init(KEY, REAL)), "disc": Net(*disc.init(KEY, REAL))}
    plain = games.adversarial(gen, disc, OBJECTIVE, latents.normal(2))
    told = games.adversarial(deaf(gen), deaf(disc), OBJECTIVE, latents.normal(2), given=("label",))
    for a, b in zip(plain, told, strict=True):
        assert a(own, turn())[0] == b(own, turn())[0]


PAIRS = {
    "conditional": lambda: games.adversarial(SHIFTING, JUDGING, OBJECTIVE, FIXED, given=("label",)),
    "matching-aware": lambda: games.matching_aware(SHIFTING, JUDGING, OBJECTIVE, FIXED, CLASSES),
    "ACGAN": lambda: games.acgan(SHIFTING, GUESSING, OBJECTIVE, FIXED),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("player", [0, 1])
def test_data_without_labels_are_refused_when_the_game_is_traced(name, player):
    loss = PAIRS[name]()[player]
    with pytest.raises(UserError, match="'label', and these data have none; take data with a label"):
        jax.eval_shape(lambda: loss(nets(), Turn({"real": REAL}, KEY, jnp.int32(0)))[0])


# Three kinds of pairs


@pytest.mark.parametrize("wrong", [0.5, 0.25, 0.0])
def test_matching_aware_losses_by_hand_a9_2(wrong):
    """Each kind, its sign and its weight; the third from the labels that the critic was really shown."""
    seen = []
    spy = JUDGING._replace(apply=lambda w, s, x, y, **rest: (seen.append((x, y)), JUDGING.apply(w, s, x, y, **rest))[1])
    pair = games.matching_aware(SHIFTING, spy, OBJECTIVE, FIXED, CLASSES, **({} if wrong == 0.5 else {"wrong": wrong}))
    loss, outcome = pair[0](nets(), turn())
    expected = softplus(-scores(REAL, LABEL)).mean() + (1 - wrong) * softplus(scores(fakes(), LABEL)).mean()
    assert len(seen) == (3 if wrong else 2) and ("wrong" in outcome.metrics) == (wrong > 0)
    if wrong:
        x, other = seen[2]
        np.testing.assert_array_equal(x, REAL)
        assert np.all(other != LABEL) and np.all((other >= 0) & (other < CLASSES))
        expected += wrong * softplus(scores(REAL, other)).mean()
        np.testing.assert_allclose(outcome.metrics["wrong"], scores(REAL, other).mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(pair[1](nets(), turn())[0], softplus(-scores(fakes(), LABEL)).mean(), rtol=1e-5)
    if not wrong:
        assert loss == PAIRS["conditional"]()[0](nets(), turn())[0]


def test_wrong_labels_are_uniform_on_the_other_classes():
    seen = []
    spy = JUDGING._replace(apply=lambda w, s, x, y, **rest: (seen.append(y), JUDGING.apply(w, s, x, y, **rest))[1])
    label = jnp.arange(3000) % CLASSES
    disc_loss, _ = games.matching_aware(SHIFTING, spy, OBJECTIVE, latents.normal(2), CLASSES)
    disc_loss(nets(), turn(real=jax.random.normal(KEY, (3000, 2)), label=label))
    counts = np.zeros((CLASSES, CLASSES))
    np.add.at(counts, (label, seen[2]), 1)
    np.testing.assert_allclose(counts / 1000, 0.5 * (1 - np.eye(CLASSES)), atol=0.05)  # 3 standard errors


def test_matching_aware_mistakes_are_named():
    for classes, wrong in ((1, 0.5), (3, 1.0), (3, -0.1)):
        with pytest.raises(UserError, match="wrong labels need 2 classes and a weight"):
            games.matching_aware(SHIFTING, JUDGING, OBJECTIVE, FIXED, classes, wrong)


# A critic that guesses the class


def log_chance(x, label):
    logits = np.asarray(x, np.float64) @ np.asarray(GUESS, np.float64)
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(len(x)), label]


def test_acgan_losses_by_hand_a9_3():
    """L_S + L_C for the critic and L_C - L_S for the generator, to be raised; both kinds are classified."""
    pair = games.acgan(SHIFTING, GUESSING, OBJECTIVE, FIXED, weight=0.7, gen_weight=0.3)
    score = lambda x: np.asarray(x, np.float64) @ np.asarray(GUESS, np.float64)[:, 0]
    class_real, class_fake = -log_chance(REAL, LABEL).mean(), -log_chance(fakes(), LABEL).mean()
    (loss, outcome), (gen_loss, of_gen) = (player(nets(GUESS), turn()) for player in pair)
    source = softplus(-score(REAL)).mean() + softplus(score(fakes())).mean()
    np.testing.assert_allclose(loss, source + 0.7 * (class_real + class_fake), rtol=1e-5)
    np.testing.assert_allclose(gen_loss, softplus(-score(fakes())).mean() + 0.3 * class_fake, rtol=1e-5)
    for name, value in {"class_real": class_real, "class_fake": class_fake, "real": score(REAL).mean()}.items():
        np.testing.assert_allclose(outcome.metrics[name], value, rtol=1e-5)
    np.testing.assert_allclose(of_gen.metrics["class"], class_fake, rtol=1e-5)


def test_acgan_takes_unlabelled_examples_and_names_mistakes():
    pair = games.acgan(SHIFTING, GUESSING, OBJECTIVE, FIXED)
    hidden = jnp.array([0, -1, 1, -1, -1, -1])
    _, outcome = pair[0](nets(GUESS), turn(label=hidden))
    expected = -log_chance(REAL[jnp.array([0, 2])], np.array([0, 1])).sum() / BATCH
    np.testing.assert_allclose(outcome.metrics["class_real"], expected, rtol=1e-5)
    scores_alone = GUESSING._replace(apply=lambda v, s, x, train, key=None: (x @ v[:, 0], s))
    with pytest.raises(UserError, match="scores and logits"):
        games.acgan(SHIFTING, scores_alone, OBJECTIVE, FIXED)[0](nets(GUESS), turn())


# Networks that are told labels


def test_labels_beside_latents_and_images_a9_1():
    same = Network(lambda key, x: (x.shape, {}), lambda params, stats, x, train, key=None: (x, stats))
    told = concat_labels(same, CLASSES)
    label = jnp.array([2, 0, -1])
    z, images = jnp.ones((3, 4)), jnp.full((3, 2, 5, 1), 0.5)
    rows = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(told.apply({}, {}, z, label, train=True)[0], np.concatenate([np.ones((3, 4)), rows], axis=1))
    planes, _ = told.apply({}, {}, images, label, train=True)
    assert planes.shape == (3, 2, 5, 4)
    np.testing.assert_array_equal(planes[..., 1:], np.broadcast_to(rows[:, None, None], (3, 2, 5, 3)))
    np.testing.assert_array_equal(planes[..., :1], images)
    assert told.init(KEY, z, label)[0] == (3, 7)
    for wrong in (jnp.zeros(3), jnp.zeros((3, 3), int)):
        with pytest.raises(UserError, match="give integers"):
            told.apply({}, {}, z, wrong, train=True)


def test_embedded_labels_are_rows_that_learn_a9_1():
    total = Network(lambda key, x: (jnp.float32(1), {}), lambda w, stats, x, train, key=None: (w * jnp.sum(x, axis=-1), stats))
    told, label = embed_labels(total, CLASSES, 2), jnp.array([2, 0, -1])
    params, stats = told.init(KEY, jnp.ones((3, 4)), label)
    table = params["classes"]["embedding"]
    assert table.shape == (CLASSES, 2)
    output, _ = told.apply(params, stats, jnp.ones((3, 4)), label, train=True)
    np.testing.assert_allclose(output, [4 + table[2].sum(), 4 + table[0].sum(), 4], rtol=1e-6)
    slope = jax.grad(lambda p: told.apply(p, stats, jnp.ones((3, 4)), label, train=True)[0].sum())(params)
    np.testing.assert_array_equal(slope["classes"]["embedding"], [[1, 1], [0, 0], [1, 1]])


def test_an_unconditional_pair_of_image_networks_becomes_conditional():
    shape, tell = (8, 8, 1), lambda module: concat_labels(from_linen(module), CLASSES)
    gen, disc = tell(dcgan.Generator(shape, (8,))), tell(dcgan.Discriminator((8,)))
    z, label = latents.with_labels(latents.normal(4), CLASSES)(KEY, 5)
    own = {"gen": Net(*gen.init(KEY, z, label))}
    images = games.generate(gen)(own, (z, label))
    assert images.shape == (5, *shape)
    other = games.generate(gen)(own, (z, (label + 1) % CLASSES))
    assert np.all(np.abs(images - other).max(axis=(1, 2, 3)) > 1e-4)
    params, stats = disc.init(KEY, images, label)
    assert disc.apply(params, stats, images, label, train=False)[0].shape == (5,)


# The same on several devices


def conditional(axis_name, latent):
    gen = embed_labels(from_linen(mlp.Generator((2,), (8,))), 8, 3)
    disc = concat_labels(from_linen(mlp.Discriminator((8,))), 8)
    penalty = penalties.gradient_penalty(0.1, share=parallel.draw(penalties.uniform, axis_name))
    return gen, disc, games.adversarial(gen, disc, OBJECTIVE, latent, gen_batches=2, penalty=penalty, given=("label",))


def matching_aware(axis_name, latent):
    gen, disc, _ = conditional(axis_name, latent)
    return gen, disc, games.matching_aware(gen, disc, OBJECTIVE, latent, 8, axis_name=axis_name)


def acgan(axis_name, latent):
    gen, _, _ = conditional(axis_name, latent)
    logits = from_linen(mlp.Discriminator((8,), outputs=9))
    split = lambda p, s, x, train, key=None: ((lambda out: (out[:, 0], out[:, 1:]))(logits.apply(p, s, x, train=train)[0]), s)
    disc = Network(lambda key, x, *label: logits.init(key, x), split)
    return gen, disc, games.acgan(gen, disc, OBJECTIVE, latent)


GAMES = {f.__name__: f for f in (conditional, matching_aware, acgan)}


@functools.cache
def train(name, mode, devices, rounds=4):
    """With SGD, which hides no factor as Adam would."""
    plan = parallel.make_plan(mode, devices, batch_size=8)
    gen, disc, losses = GAMES[name](plan.axis_name, parallel.draw(latents.normal(2), plan.axis_name))
    x, label = jnp.zeros((1, 2)), jnp.zeros(1, int)
    players = {
        player: Player(lambda key, n=network: n.init(key, x, label), loss, optax.sgd(0.1))
        for player, network, loss in zip(("disc", "gen"), (disc, gen), losses, strict=True)
    }
    made = make_game(players, play_round(players, (("disc", 1), ("gen", 1)), plan.axis_name), games.generate(gen))
    start = jax.device_get(jax.jit(made.init)(KEY))
    state, key, step, batch_at = plan.replicate(start), plan.replicate(KEY), plan.compile(made.step), data.batches(RING, 8)
    for i in range(rounds):
        state, metrics = step(state, plan.spread(batch_at(i)), key)
    points = made.infer(state, latents.with_labels(latents.normal(2), 8)(KEY, 3))
    assert points.shape == (3, 2)
    return jax.device_get((start, state, metrics))


RING = data.load("ring")


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("mode, devices", [("shard_map", 4), ("pmap", 2)])
def test_labelled_games_are_the_same_on_several_devices(name, mode, devices):
    for a, b in zip(jax.tree.leaves(train(name, "jit", 1)), jax.tree.leaves(train(name, mode, devices)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", GAMES)
def test_labelled_games_move_every_parameter(name):
    start, state, metrics = train(name, "jit", 1)
    assert all(np.isfinite(value) for value in metrics.values())
    for player in ("disc", "gen"):
        leaves = (jax.tree.leaves(s.players[player].params) for s in (start, state))
        assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(*leaves, strict=True)), player


# What they are judged by


def classes_of_points(spread, count, labels):
    """Two features far apart by class, and a cloud of the given spread around them."""
    rng = np.random.default_rng(count)
    return 20.0 * np.eye(CLASSES)[labels] + spread * rng.normal(size=(count, CLASSES))


def test_class_quality_sees_wrong_labels_and_lost_diversity_a9_3():
    real_labels, asked = np.arange(300) % CLASSES, np.arange(240) % CLASSES
    real, good, narrow = (classes_of_points(s, n, y) for s, n, y in ((1, 300, real_labels), (1, 240, asked), (0.1, 240, asked)))
    named = np.where((asked == 0) & (np.arange(240) < 30), 1, asked)  # ten of those asked for as 0
    sound, lost = (class_quality(real, real_labels, fake, asked, named) for fake in (good, narrow))
    assert list(sound) == [0, 1, 2]
    for label in range(CLASSES):
        assert sound[label].agreement == lost[label].agreement == (1 if label else 70 / 80)
        assert sound[label].recall > 0.9 > 0.2 > lost[label].recall
        np.testing.assert_allclose([sound[label].diversity, lost[label].diversity], [1, 0.1], rtol=0.15)


def test_class_quality_refuses_mistakes():
    labels = np.arange(30) % CLASSES
    points = classes_of_points(1, 30, labels)
    few = np.where(np.arange(30) < 15, labels, 0)
    assert list(class_quality(points, labels, points, few, labels)) == [0]  # five samples of the others tell nothing
    with pytest.raises(UserError, match="15 real examples and 15 samples hold no class with more than 5 of each"):
        class_quality(points[:15], labels[:15], points[:15], labels[:15], labels[:15])
    with pytest.raises(UserError, match="named labels must be 30 integers"):
        class_quality(points, labels, points, labels, labels[1:])


def test_label_agreement_asks_for_classes_in_turn():
    """A generator that mixes up two classes of three, and repeats itself in the third."""
    labels = np.arange(60) % CLASSES
    images = np.random.default_rng(0).uniform(-0.1, 0.1, (60, 2, 2, 3)) + 0.8 * np.eye(CLASSES)[labels][:, None, None]
    look = lambda images: (images.reshape(len(images), -1).astype(np.float64), images.mean(axis=(1, 2)))
    metric = label_agreement(look, images, labels, 60)
    asked = lambda order: lambda key, count: images[np.resize(order, count)]
    perfect = metric(asked(np.arange(60)), KEY)
    assert perfect["agreement"] == perfect["agreement_worst"] == perfect["class_recall"] == perfect["class_diversity"] == 1
    mixed = metric(asked(np.where(labels == 1, np.arange(60) + 1, np.where(labels == 2, 2, np.arange(60)))), KEY)
    np.testing.assert_allclose([mixed["agreement"], mixed["agreement_worst"]], [2 / 3, 0])
    assert mixed["class_diversity_worst"] == mixed["class_recall_worst"] == 0
