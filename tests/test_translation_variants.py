"""pix2pix and CycleGAN as they are run: data by name, what is measured and shown, mistakes (requirements A9.6, A9.8; B8)."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from specimens import complaint

import jaxgan
from experiments import features, run, translation
from experiments.variants import cyclegan, pix2pix
from jaxgan import data, parallel
from jaxgan.data import pairs

KEY = jax.random.key(0)
SMALL = {"image_size": 8, "gen_width": 2, "disc_width": 2, "disc_layers": 0, "batch_size": 4, "eval_samples": 6, "ema_decay": 0.0}
PIX2PIX = dataclasses.replace(pix2pix.PRESETS["quick"], variant="pix2pix", dropped=2, **SMALL)
CYCLEGAN = dataclasses.replace(cyclegan.PRESETS["quick"], variant="cyclegan", blocks=1, pool=4, **SMALL)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def initial(module, cfg, shape):
    """Builds the experiment without its data, and traces its first state."""
    experiment = module.experiment(cfg, data.blank(shape))
    return experiment, jax.eval_shape(experiment.phases[0].game.init, KEY)


# ---- data


@pytest.mark.parametrize("task", pairs.TASKS)
def test_pairs_have_names(task):
    dataset = data.load(task, 8)
    assert (dataset.name, dataset.shape, dataset.num_classes, dataset.other) == (task, (8, 8, 6), 0, None)
    np.testing.assert_array_equal(dataset.held_out.images, pairs.photographs(task, 8)[1].images)


@pytest.mark.parametrize("name, channels", [("digits2colour", 3), ("digits2inverted", 1), ("china2flower", 3)])
def test_domains_have_names(name, channels):
    a = data.load(name, 8)
    b = a.other
    assert a.name == name and b.name == f"B of {name}" and a.shape == b.shape == (8, 8, channels) and b.other is None
    assert a.num_classes == b.num_classes == (0 if name == "china2flower" else 10)
    assert np.abs(np.mean(data.held_out(a)["real"]) - np.mean(data.held_out(b)["real"])) > 0.1


def test_folders_of_pairs_and_of_domains(tmp_path, monkeypatch):
    from PIL import Image

    for side in "AB":
        for i in range(4):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), 10 * i + (side == "B"), np.uint8)).save(tmp_path / side / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    found = data.load("pairs:.")
    assert (found.name, found.shape, len(found.train.images)) == (f"pairs:{tmp_path}", (4, 4, 6), 3)
    found = data.load("unpaired:A,B")
    assert found.name == f"unpaired:{tmp_path}/A,{tmp_path}/B" and set(found.other.train.images.ravel() % 10) == {1}
    (tmp_path / "C").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "C" / "only.png")
    told = complaint(data.load, "unpaired:A,C")
    assert told.startswith("B of unpaired:") and "has too few images (1)" in told


# ---- networks and games


def test_paper_presets_have_the_papers_networks_b8():
    paper = pix2pix.PRESETS["paper"]
    _, state = initial(pix2pix, dataclasses.replace(paper, norm="batch"), (256, 256, 6))
    assert [size(state.players[name].params) for name in ("gen", "disc")] == [54_413_955, 2_768_705]
    _, state = initial(cyclegan, cyclegan.PRESETS["paper"], (256, 256, 3))
    assert [size(state.players[name].params) for name in ("gen", "disc")] == [2 * 11_378_179, 2 * 2_764_737]
    assert state.players["disc"].stats["a"]["pool"].examples.shape == (50, 256, 256, 3)
    for preset in (paper, cyclegan.PRESETS["paper"]):
        assert (preset.batch_size, preset.learning_rate, preset.beta1, preset.beta2, preset.decay) == (1, 2e-4, 0.5, 0.999, 0.5)


@pytest.mark.parametrize(
    "module, cfg, shape, parts",
    [
        (pix2pix, PIX2PIX, (8, 8, 6), 3),
        (pix2pix, dataclasses.replace(PIX2PIX, gan=False), (8, 8, 6), 3),
        (pix2pix, dataclasses.replace(PIX2PIX, critic_turns=2, norm="instance"), (8, 8, 6), 3),
        (cyclegan, CYCLEGAN, (8, 8, 3), 6),
        (cyclegan, dataclasses.replace(CYCLEGAN, identity=0.0, critic_turns=2), (8, 8, 1), 6),
    ],
)
def test_traces_on_several_devices(module, cfg, shape, parts):
    """`shard_map` refuses at trace time a state that differs between devices."""
    plan = parallel.make_plan("shard_map", 4, cfg.batch_size)
    experiment = module.experiment(cfg, data.blank(shape), plan.axis_name)
    (phase,) = experiment.phases
    state, batch = jax.eval_shape(phase.game.init, KEY), jax.eval_shape(lambda: phase.batch_at(0))
    assert set(state.players) == {"gen", "disc"} if getattr(cfg, "gan", True) else {"gen"}
    whole, split = PartitionSpec(), PartitionSpec(None, parallel.AXIS)
    spread = jax.shard_map(phase.game.step, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=(whole, whole))
    after, _ = jax.eval_shape(spread, state, batch, KEY)
    described = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert described(after) == described(state)
    image = jax.ShapeDtypeStruct((5, *batch["source"].shape[2:]), np.float32)
    inputs = {"source": image, "real": image, "key": jax.eval_shape(lambda: jax.random.split(KEY, 5))}
    assert jax.eval_shape(phase.game.infer, state, inputs).shape == (5, *image.shape[1:3], parts * image.shape[3])


def test_sources_come_in_turn_and_each_has_noise_of_its_own():
    dataset = data.load("edges2photo", 8)
    experiment = pix2pix.experiment(PIX2PIX, dataset)
    inputs = experiment.inputs(KEY, 8)
    held = pairs.parted(data.held_out(dataset, 6))
    for name in ("source", "real"):
        np.testing.assert_array_equal(inputs[name], held[name][[0, 1, 2, 3, 4, 5, 0, 1]])
    game = experiment.phases[0].game
    state = jax.jit(game.init)(KEY)
    source, made, real = translation.parts(jax.jit(game.infer)(state, inputs), 3)
    np.testing.assert_array_equal(source, inputs["source"])
    np.testing.assert_array_equal(real, inputs["real"])
    assert np.any(made[0] != made[6])  # of one source, by the noise
    np.testing.assert_array_equal(made, translation.parts(jax.jit(game.infer)(state, experiment.inputs(KEY, 8)), 3)[1])


@pytest.mark.parametrize("module, cfg, shape", [(pix2pix, PIX2PIX, (8, 8, 6)), (cyclegan, CYCLEGAN, (8, 8, 3))])
def test_a_restored_run_finds_its_sources_again_or_says_that_they_are_gone(module, cfg, shape):
    experiment, _ = initial(module, cfg, shape)
    whole = module.experiment(cfg, data.load(cfg.dataset, 8)).inputs(KEY, 9)
    found = experiment.inputs(KEY, 9)
    for name in ("source", "real"):
        np.testing.assert_array_equal(found[name], whole[name])
    gone = "pairs:/no/such/place" if module is pix2pix else "unpaired:/no/such,/place"
    experiment, _ = initial(module, dataclasses.replace(cfg, dataset=gone), shape)
    assert "/no/such" in complaint(experiment.inputs, KEY, 9)


# ---- what is measured and shown


def drawn(joined):
    return lambda key, count: joined[:count]


def test_pix2pix_is_measured_by_its_distance_and_its_sharpness():
    dataset = data.load("blur2sharp", 8)
    experiment = pix2pix.experiment(PIX2PIX, dataset)
    held = pairs.parted(data.held_out(dataset, 6))
    source, real = held["source"], held["real"]
    measure = lambda image: experiment.metrics[0](drawn(np.concatenate([source, image, real], axis=-1)), KEY)
    assert list(measure(real).items()) == [("l1", 0.0), ("gradient_energy", 1.0)]
    found = measure(0.5 * real)
    np.testing.assert_allclose([found["l1"], found["gradient_energy"]], [np.abs(real).mean() / 2, 0.25], rtol=1e-5)
    assert measure(source)["gradient_energy"] < 0.2  # blurred


def test_gradient_energy_by_hand():
    stripes = np.tile(np.array([0.0, 1.0, 0.0]), (1, 2, 1))[..., None]
    assert translation.gradient_energy(stripes) == 1.0
    assert translation.gradient_energy(np.swapaxes(2 * stripes, 1, 2)) == 4.0
    assert translation.gradient_energy(np.full((2, 3, 3, 1), 0.7)) == 0.0


def test_cyclegan_is_measured_by_its_cycles_and_the_labels_it_keeps(monkeypatch):
    """Translations are held-out images of the other domain, of the right classes one way and of others back."""
    dataset = data.load("digits2colour")
    cfg = dataclasses.replace(CYCLEGAN, eval_samples=50, image_size=0)
    a, b = (data.held_out(domain, 50) for domain in (dataset, dataset.other))

    def reads(domain):
        known = {image.tobytes(): label for image, label in zip(*data.held_out(domain).values(), strict=True)}
        return lambda images: (None, np.eye(10)[[known.get(image.tobytes(), 0) for image in images]])

    monkeypatch.setattr(features, "classifier_of", reads)
    measure = lambda *joined: cyclegan.experiment(cfg, dataset).metrics[0](drawn(np.concatenate(joined, axis=-1)), KEY)
    found = measure(a["real"], b["real"], a["real"] + 0.25, b["real"], a["real"], b["real"] - 0.125)
    assert list(found) == ["cycle_l1", "labels_kept"]
    np.testing.assert_allclose(found["cycle_l1"], 0.1875, rtol=1e-5)
    assert found["labels_kept"] == 1  # held-out digits are the same in both domains
    other = np.roll(np.argsort(a["label"], kind="stable"), 7)[np.argsort(np.argsort(a["label"], kind="stable"))]
    same = np.mean(a["label"][other] == a["label"])
    assert same < 0.5
    found = measure(a["real"], b["real"], a["real"], b["real"], a["real"][other], b["real"])
    np.testing.assert_allclose(found["labels_kept"], (1 + same) / 2)


def test_pictures_are_rows_of_a_source_and_what_is_made_of_it():
    experiment, _ = initial(pix2pix, PIX2PIX, (8, 8, 6))
    joined = np.arange(-1, 1, 1 / 32, dtype=np.float32)[:, None, None, None] * np.repeat([1, 0.5, 0], 3) + np.zeros((64, 8, 8, 9))
    picture = experiment.picture(joined)
    cells = picture[40::72, 40::72, 0]  # their middles
    assert cells.shape == (6, 12)  # 24 sources, four a row
    grey = lambda x: np.rint((x + 1) * 127.5)
    np.testing.assert_array_equal(cells[0, :6], grey(np.array([-1, -0.5, 0, -31 / 32, -31 / 64, 0])))


# ---- from the command line


@pytest.mark.slow
def test_a_run_of_cyclegan_continues_bit_for_bit(tmp_path, capsys):
    """Pools included; without labels only the cycle is measured."""
    words = [*(f"--{name}={value}" for name, value in SMALL.items()), "--blocks=1", "--pool=9", "--identity=0", "--decay=0"]
    words += ["--variant=cyclegan", "--dataset=china2flower", "--devices=1", "--log_every=1"]
    for folder, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        assert run.main([*words, f"--steps={steps}", f"--workdir={tmp_path / folder}"]) == 0
    one, other = (jaxgan.runs.restore(tmp_path / folder)[2] for folder in ("whole", "parts"))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert one.players["disc"].stats["b"]["pool"].filled == 9
    assert "cycle_l1" in (said := capsys.readouterr().out) and "labels_kept" not in said


@pytest.mark.parametrize(
    "module, changes, says",
    [
        (pix2pix, {"weight": -1.0}, "--weight=-1.0 must not be negative"),
        (pix2pix, {"dropped": -1}, "--dropped=-1 must not be negative"),
        (pix2pix, {"disc_layers": 6}, "--disc_layers=6 must be 0 to 5"),
        (pix2pix, {"latent_size": 3}, "--latent_size is for images made of latents; leave it out with --variant=pix2pix"),
        (cyclegan, {"metrics": "prdc"}, "--metrics is for images made of latents"),
        (cyclegan, {"blocks": 0}, "--blocks=0 must be at least 1"),
        (cyclegan, {"cycle": -1.0}, "--cycle=-1.0 must not be negative"),
        (cyclegan, {"pool": 3}, "--pool=3 must be at least --batch_size=4"),
    ],
)
def test_mistakes_on_the_command_line(module, changes, says):
    cfg = {pix2pix: PIX2PIX, cyclegan: CYCLEGAN}[module]
    cfg.validate()
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(cfg, **changes).validate()


def test_the_wrong_kind_of_data_is_refused():
    def told(module, cfg, name):
        return complaint(module.experiment, dataclasses.replace(cfg, dataset=name), data.load(name))

    pairs_wanted = "--variant=pix2pix learns from pairs of images, which {} has not; take edges2photo, for one, or pairs:DIR"
    for name in ("digits", "digits2colour"):
        assert told(pix2pix, PIX2PIX, name) == pairs_wanted.format(name)
    for name in ("ring", "edges2photo"):
        assert told(cyclegan, CYCLEGAN, name).startswith(
            f"--variant=cyclegan learns from two domains of images, which {name} has"
        )
