"""next_frame and vid2vid as they are run: what is measured, shown and translated, and every mistake one line (A1.6, A9.7)."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from PIL import Image
from specimens import complaint, numbered

import jaxgan
from experiments import evaluate, run, sample, translate, translation
from experiments.variants import next_frame, vid2vid
from jaxgan import data, parallel, pictures
from jaxgan.checkpoint import Checkpoints
from jaxgan.data import clips

KEY = jax.random.key(0)
SMALL = {"image_size": 16, "gen_width": 2, "disc_width": 2, "halvings": 1, "latent_size": 3, "batch_size": 4, "eval_samples": 12}
NEXT_FRAME = dataclasses.replace(next_frame.PRESETS["quick"], variant="next_frame", **SMALL)
VID2VID = dataclasses.replace(vid2vid.PRESETS["quick"], variant="vid2vid", disc_layers=1, **SMALL)
FRAMEWISE = dataclasses.replace(VID2VID, frame_by_frame=True)
WORDS = [*(f"--{name}={value}" for name, value in SMALL.items()), "--devices=1", "--log_every=1", "--decay=0"]


def made_with(module, cfg):
    return module.experiment(cfg, data.load(cfg.dataset, cfg.image_size))


# ---- games


@pytest.mark.parametrize(
    "module, cfg",
    [
        (next_frame, NEXT_FRAME),
        (next_frame, dataclasses.replace(NEXT_FRAME, gan=False)),
        (next_frame, dataclasses.replace(NEXT_FRAME, critic_turns=2, added=True, weight=1.0, dataset="moving_digits")),
        (vid2vid, VID2VID),
        (vid2vid, dataclasses.replace(VID2VID, critic_turns=2)),
        (vid2vid, FRAMEWISE),
    ],
)
def test_traces_on_several_devices(module, cfg):
    """`shard_map` refuses at trace time a state that differs between devices."""
    cfg.validate()
    plan = parallel.make_plan("shard_map", 4, cfg.batch_size)
    dataset = data.load(cfg.dataset, cfg.image_size)
    (phase,) = module.experiment(cfg, dataset, plan.axis_name).phases
    state, batch = jax.eval_shape(phase.game.init, KEY), phase.batch_at(0)
    assert set(state.players) == ({"gen", "disc"} if getattr(cfg, "gan", True) else {"gen"})
    whole, split = PartitionSpec(), PartitionSpec(None, parallel.AXIS)
    spread = jax.shard_map(phase.game.step, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=(whole, whole))
    after, _ = jax.eval_shape(spread, state, batch, KEY)
    described = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert described(after) == described(state)
    restored = module.experiment(cfg, data.blank(dataset.shape))  # is built without its data, and finds them again
    assert described(jax.eval_shape(restored.phases[0].game.init, KEY)) == described(state)
    given = restored.inputs(KEY, 5)
    frames, *image = dataset.shape
    expected = (5, *image[:2], 3 * (frames + 1)) if module is next_frame else (5, frames, *image[:2], 9)
    assert jax.eval_shape(restored.phases[0].game.infer, state, given).shape == expected


def test_each_past_has_several_futures_by_the_noise():
    experiment = made_with(next_frame, NEXT_FRAME)
    held = clips.continued(data.held_out(data.load("maze", 16), 12))
    inputs = experiment.inputs(KEY, 80)
    rows = np.repeat(np.arange(14), next_frame.FUTURES)[:80] % 12
    for name in ("past", "real"):
        np.testing.assert_array_equal(inputs[name], held[name][rows])
    game = experiment.phases[0].game
    state = jax.jit(game.init)(KEY)
    joined = jax.jit(game.infer)(state, inputs)
    *past, real, made = translation.parts(joined, 5)
    np.testing.assert_array_equal(np.stack(past, axis=1), inputs["past"])
    np.testing.assert_array_equal(real, inputs["real"])
    assert len(np.unique(made[:6].reshape(6, -1), axis=0)) == 6
    np.testing.assert_array_equal(joined, jax.jit(game.infer)(state, experiment.inputs(KEY, 80)))


@pytest.mark.slow
@pytest.mark.parametrize("cfg", [VID2VID, FRAMEWISE])
def test_noise_is_of_a_clip_or_of_each_frame(cfg):
    """Of one source that stands still, a clip is the same in every frame but the first, or other in each."""
    game = made_with(vid2vid, cfg).phases[0].game
    state = jax.jit(game.init)(KEY)
    source = np.repeat(np.asarray(data.held_out(data.load("moving_digits", 16), 1)["source"])[:, :1], 5, axis=1)
    inputs = {"source": source, "real": np.zeros((1, 5, 16, 16, 3), np.float32), "key": jax.random.split(KEY, 1)}
    given, made, real = translation.parts(jax.jit(game.infer)(state, inputs), 3)
    np.testing.assert_array_equal(given, np.repeat(source, 3, axis=-1))
    np.testing.assert_array_equal(real, 0)
    apart = np.abs(np.diff(made, axis=1)).max(axis=(0, 2, 3, 4))
    assert np.all(apart > 0)
    if not cfg.frame_by_frame:
        assert np.all(apart[1:] < apart[0])  # it settles


def test_frame_by_frame_learns_from_all_frames():
    (phase,), batch = made_with(vid2vid, FRAMEWISE).phases, made_with(vid2vid, VID2VID).phases[0].batch_at(3)
    found = phase.batch_at(3)
    assert set(found) == {"source", "real"}
    for name, x in found.items():
        np.testing.assert_array_equal(x.reshape(batch[name].shape), batch[name])


# ---- what is measured and shown


def drawn(joined):
    return lambda key, count: joined[:count]


def test_the_fork_by_hand_a1_6():
    made = clips.held_out(clips.maze(16), 400)
    parts = clips.continued(made)
    past, frame = parts["past"], parts["real"]
    found = next_frame.fork(past, frame)
    assert list(found) == ["fork", "p_left", "between", "spread"]
    assert found["fork"] < 0.1 and abs(found["p_left"] - 0.5) < 0.1 and found["between"] == 0 and found["spread"] > 0.95
    _, which = np.unique(past.reshape(400, -1), axis=0, return_inverse=True)
    futures = {(i, side): frame[(which == i) & (made["label"] == side)][0] for i in range(which.max() + 1) for side in (0, 1)}
    as_told = lambda side_of: np.stack([futures[i, side_of(i)] for i in which])
    both = (as_told(lambda i: 0) + as_told(lambda i: 1)) / 2
    assert next_frame.fork(past, both) == pytest.approx({"fork": 1, "p_left": 0, "between": 1, "spread": 0}, abs=1e-6)
    left = next_frame.fork(past, as_told(lambda i: 0))
    assert left == {"fork": 0.5, "p_left": 1, "between": 0, "spread": 0}
    by_past = next_frame.fork(past, as_told(lambda i: i % 2))  # right as often as left, and z is not asked
    assert by_past["fork"] == 0.5 and by_past["spread"] == 0 and 0.2 < by_past["p_left"] < 0.8


def test_next_frame_is_measured_by_the_fork_or_by_its_distance():
    def measure(cfg, change):
        inputs = made_with(next_frame, cfg).inputs(KEY, 72)
        joined = np.concatenate([*inputs["past"].swapaxes(0, 1), inputs["real"], change(inputs["real"])], axis=-1)
        return made_with(next_frame, cfg).metrics[0](drawn(joined), KEY)

    found = measure(NEXT_FRAME, lambda real: real)
    assert found["between"] == 0 and "l1" not in found
    digits = dataclasses.replace(NEXT_FRAME, dataset="moving_digits")
    assert measure(digits, lambda real: real) == {"l1": 0, "gradient_energy": 1}
    found = measure(digits, lambda real: real / 2)
    assert found["gradient_energy"] == pytest.approx(0.25, rel=1e-5) and found["l1"] > 0.1


def test_vid2vid_is_measured_by_frames_and_flicker():
    cfg = dataclasses.replace(VID2VID, eval_samples=80)  # 480 frames, enough for 192 features
    experiment = made_with(vid2vid, cfg)
    held = data.held_out(data.load("moving_digits", 16), 80)
    source, real = np.repeat(held["source"], 3, axis=-1), held["real"]
    measure = lambda made: experiment.metrics[0](drawn(np.concatenate([source, made, real], axis=-1)), KEY)
    found = measure(real)
    assert list(found) == ["frechet192", "spread", "flicker"]
    assert found["frechet192"] < 1e-3 and found["spread"] == 1 and found["flicker"] == 0
    found = measure(real.mean(axis=0, keepdims=True) + 0 * real)
    assert found["spread"] < 1e-6 and found["frechet192"] > 1
    brighter = real + np.arange(6, dtype=np.float32)[None, :, None, None, None] / 10
    seen = held["flow"][..., 2].mean()
    assert measure(brighter)["flicker"] == pytest.approx(seen / 10, rel=1e-4)


def test_own_clips_have_no_flow_and_so_no_flicker(tmp_path):
    for i in range(2):
        first, *rest = [Image.fromarray(frame) for frame in numbered(8, 16, 16)]
        first.save(tmp_path / f"{i}.webp", save_all=True, append_images=rest, lossless=True)
    cfg = dataclasses.replace(VID2VID, dataset=f"clips:{tmp_path}")
    experiment = made_with(vid2vid, cfg)
    (phase,) = experiment.phases
    _, reported = jax.eval_shape(phase.game.step, jax.eval_shape(phase.game.init, KEY), phase.batch_at(0), KEY)
    assert "gen/flow" in reported and "gen/flicker" not in reported
    given = experiment.inputs(KEY, 12)
    joined = np.concatenate([np.repeat(given["source"], 3, axis=-1), given["real"], given["real"]], axis=-1)
    with pytest.warns(UserWarning, match="biased"):  # 72 frames
        assert list(experiment.metrics[0](drawn(joined), KEY)) == ["frechet192", "spread"]


def test_pictures():
    experiment = made_with(next_frame, NEXT_FRAME)
    grey = lambda x: np.rint((x + 1) * 127.5)
    numbers = np.arange(64 * 5, dtype=np.float32).reshape(64, 1, 1, 5) / 320
    picture = experiment.picture(np.repeat(numbers, 3, axis=-1) + np.zeros((64, 16, 16, 15), np.float32))
    cells = picture[36::68, 36::68, 0]  # their middles
    assert cells.shape == (10, 10)  # past | real | futures, a row a past
    first = 6 * 5  # of the second past
    np.testing.assert_array_equal(cells[1], grey(np.array([*range(first, first + 4), *range(first + 4, first + 34, 5)]) / 320))
    assert [experiment.picture(np.zeros((n, 16, 16, 15))).shape[0] // 68 for n in (1, 5, 6, 13)] == [1, 1, 1, 2]

    experiment = made_with(vid2vid, VID2VID)
    numbers = np.arange(64 * 6 * 3, dtype=np.float32).reshape(64, 6, 1, 1, 3) / 1152
    picture = experiment.picture(np.repeat(numbers, 3, axis=-1) + np.zeros((64, 6, 16, 16, 9), np.float32))
    cells = picture[36::68, 36::68, 0]
    assert cells.shape == (18, 12)  # two clips a row of three rows
    np.testing.assert_array_equal(cells[:3, :6], grey(numbers[0, :, 0, 0].T))
    np.testing.assert_array_equal(cells[3:6, 6:], grey(numbers[3, :, 0, 0].T))
    assert [experiment.picture(np.zeros((n, 6, 16, 16, 9))).shape[0] // 68 for n in (1, 3, 99)] == [3, 6, 18]


def test_films():
    """A past and then one of its futures; source, clip and target beside each other."""
    grey = lambda x: np.rint((np.asarray(x) + 1) * 127.5)
    numbers = np.repeat(np.arange(64 * 5, dtype=np.float32).reshape(64, 1, 1, 5) / 320, 3, axis=-1)
    film = made_with(next_frame, NEXT_FRAME).film(numbers + np.zeros((64, 16, 16, 15), np.float32))
    cells = np.stack(film)[:, 36::68, 36::68, 0]
    np.testing.assert_array_equal(cells[:, 1, 2], grey([50 / 320, 51 / 320, 52 / 320, 54 / 320]))
    assert cells.shape == (4, 8, 8)
    numbers = np.repeat(np.arange(64 * 6 * 3, dtype=np.float32).reshape(64, 6, 1, 1, 3) / 1152, 3, axis=-1)
    film = made_with(vid2vid, VID2VID).film(numbers + np.zeros((64, 6, 16, 16, 9), np.float32))
    cells = np.stack(film)[:, 36::68, 36::68, 0]
    assert cells.shape == (6, 6, 9)  # 18 clips of three parts
    np.testing.assert_array_equal(cells[4, 0, 3:6], grey(np.arange(30, 33) / 1152))


# ---- from the command line


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of each, untrained."""
    folder = tmp_path_factory.mktemp("runs")
    for module, cfg in ((next_frame, NEXT_FRAME), (vid2vid, VID2VID)):
        shape = data.load(cfg.dataset, cfg.image_size).shape
        (phase,) = module.experiment(cfg, data.blank(shape)).phases
        record = {"variant": cfg.variant, "module": module.__name__, "data": {"shape": shape, "num_classes": 0}}
        (folder / cfg.variant).mkdir()
        with run.open_directory(folder / cfg.variant, {**record, "config": dataclasses.asdict(cfg)}):
            checkpoints = Checkpoints(folder / cfg.variant / "checkpoints")
            checkpoints.save(2, jax.jit(phase.game.init)(KEY))
            checkpoints.close()
    return folder


def refused(capsys, main, words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and len(told.splitlines()) == 1
    return told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["next_frame", "vid2vid"])
def test_a_run_continues_bit_for_bit_and_its_page_has_a_film(name, tmp_path):
    words = [*WORDS, f"--variant={name}"]
    for folder, steps in (("whole", 2), ("parts", 1), ("parts", 2)):
        assert run.main([*words, f"--steps={steps}", f"--workdir={tmp_path / folder}"]) == 0
    one, other = (jaxgan.runs.restore(tmp_path / folder)[2] for folder in ("whole", "parts"))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    frames, _ = clips.read([tmp_path / "whole" / "film.gif"])
    assert len(frames) == {"next_frame": 4, "vid2vid": 6}[name]
    assert "The last, moving" in (tmp_path / "whole" / "report.html").read_text()


@pytest.mark.parametrize("name, shape", [("next_frame", (7, 16, 16, 15)), ("vid2vid", (7, 6, 16, 16, 9))])
def test_a_run_is_sampled_from_and_not_measured_as_single_images(name, shape, saved, tmp_path, capsys):
    for out in ("a.png", "a.npz"):
        assert sample.main([str(saved / name), "--count=7", f"--out={tmp_path / out}"]) == 0
    assert np.load(tmp_path / "a.npz")["images"].shape == shape
    told = f"{saved / name} was trained on clips; its scores are those in metrics.jsonl"
    assert told in refused(capsys, evaluate.main, [saved / name, "--step=newest"])
    assert told in refused(capsys, sample.main, [saved / name, "--nearest", f"--out={tmp_path / 'b.png'}"])


def test_other_variants_and_other_data_are_refused(tmp_path, capsys):
    told = refused(capsys, run.main, ["--variant=gan", "--dataset=maze", f"--workdir={tmp_path / 'x'}"])
    assert "--variant=gan learns from single images, not from clips as maze; take next_frame" in told
    told = "--variant=next_frame learns from clips, which {} has not; take maze, for one, or clips:DIR"
    for name in ("digits", "ring", "edges2photo"):
        cfg = dataclasses.replace(NEXT_FRAME, dataset=name)
        assert complaint(next_frame.experiment, cfg, data.load(name)) == told.format(name)
    cfg = dataclasses.replace(VID2VID, dataset="maze")
    told = "--variant=vid2vid learns from clips with sources, which maze has not; take moving_digits, for one, or clips:DIR"
    assert complaint(vid2vid.experiment, cfg, data.load("maze")) == told


@pytest.mark.parametrize(
    "cfg, changes, says",
    [
        (NEXT_FRAME, {"weight": -1.0}, "--weight=-1.0 must not be negative"),
        (NEXT_FRAME, {"penalty_weight": -1.0}, "--penalty_weight=-1.0 must not be negative"),
        (NEXT_FRAME, {"latent_size": 0}, "--latent_size=0 must be at least 1"),
        (NEXT_FRAME, {"halvings": 0}, "--halvings=0 must be at least 1"),
        (NEXT_FRAME, {"metrics": "prdc"}, "--metrics is for images made of latents; leave it out with --variant=next_frame"),
        (VID2VID, {"flow_weight": -1.0}, "--flow_weight=-1.0 must not be negative"),
        (VID2VID, {"steady_weight": -1.0}, "--steady_weight=-1.0 must not be negative"),
        (FRAMEWISE, {"weight": -1.0}, "--weight=-1.0 must not be negative"),
        (VID2VID, {"disc_layers": 0}, "--disc_layers=0 must be 1 to 5"),
    ],
)
def test_mistakes_on_the_command_line(cfg, changes, says):
    cfg.validate()
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(cfg, **changes).validate()


# ---- translating files


def strokes(count, height, width):
    """Draws a white square that moves over black: uint8 frames."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        frame[i : i + 5, 2:7] = 255
    return frames


def test_clips_become_clips_of_their_size_and_times(saved, tmp_path, capsys):
    first, *rest = [Image.fromarray(frame) for frame in strokes(5, 21, 34)]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    first.save(tmp_path / "in" / "moves.gif", save_all=True, append_images=rest, duration=[50, 60, 70, 80, 90])
    for i, frame in enumerate(strokes(3, 16, 16)):
        Image.fromarray(frame).save(tmp_path / "in" / "deep" / f"{i}.png")
    assert translate.main([str(saved / "vid2vid"), str(tmp_path / "in"), f"--out={tmp_path / 'out'}"]) == 0
    assert f"2 clips by step 2 of {saved / 'vid2vid'}" in (said := capsys.readouterr().out) and "8 of 8 images" in said
    frames, durations = clips.read([tmp_path / "out" / "moves.gif"])
    assert np.stack(frames).shape[1:] == (21, 34, 3) and sum(durations) == 350  # frames that are alike become one
    frames, durations = clips.read([tmp_path / "out" / "deep.webp"])
    assert np.stack(frames).shape[1:] == (16, 16, 3) and sum(durations) == 300
    assert translate.main([str(saved / "vid2vid"), str(tmp_path / "in" / "deep"), f"--out={tmp_path / 'alone'}"]) == 0
    np.testing.assert_array_equal(clips.read([tmp_path / "alone" / "deep.webp"])[0], frames)


def test_films_become_films(saved, tmp_path):
    pictures.save_clip(tmp_path / "x.mp4", strokes(4, 18, 20), [40] * 4)
    (tmp_path / "x.mp4").rename(tmp_path / "x.mov")
    assert translate.main([str(saved / "vid2vid"), str(tmp_path / "x.mov"), f"--out={tmp_path / 'out'}"]) == 0
    frames, durations = clips.read([tmp_path / "out" / "x.mp4"])
    assert np.stack(frames).shape == (4, 18, 20, 3) and durations == [40] * 4


def test_a_clip_is_translated_as_the_game_infers(saved, tmp_path):
    frames = strokes(4, 32, 32)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "x.webp", save_all=True, append_images=rest, lossless=True, duration=100)
    given = [str(saved / "vid2vid"), str(tmp_path / "x.webp")]
    for out, seed in (("one", 4), ("other", 5)):
        assert translate.main([*given, f"--out={tmp_path / out}", f"--seed={seed}"]) == 0
    one, other = (clips.read([tmp_path / out / "x.webp"]) for out in ("one", "other"))
    assert not np.array_equal(one[0][-1], other[0][-1])
    _, experiment, state = jaxgan.runs.restore(saved / "vid2vid")
    source = frames[None, ..., :1].astype(np.float32) / 127.5 - 1
    key = jax.random.fold_in(jax.random.key(4), 0)[None]
    inputs = {"source": source, "real": np.zeros((1, 4, 32, 32, 3), np.float32), "key": key}
    made = np.asarray(jax.jit(experiment.phases[0].game.infer)(state, inputs))[0, ..., 3:6]
    shown = np.repeat(np.stack(one[0]), np.array(one[1]) // 100, axis=0)  # frames that are alike were made one
    assert np.abs(shown.astype(int) - np.rint((made + 1) * 127.5)).max() <= 1


def test_mistakes_in_translating(saved, tmp_path, capsys):
    frames = strokes(3, 16, 16)
    Image.fromarray(frames[0]).save(tmp_path / "0.png")
    Image.fromarray(strokes(1, 16, 18)[0]).save(tmp_path / "1.png")
    refuse = lambda *words: refused(capsys, translate.main, [*words, f"--out={tmp_path / 'out'}"])
    told = "next_frame, which translates no images; name one of pix2pix or cyclegan, or of vid2vid for clips"
    assert told in refuse(saved / "next_frame", tmp_path)
    assert "--direction=b2a is not what vid2vid has learnt" in refuse(saved / "vid2vid", tmp_path, "--direction=b2a")
    assert f"{tmp_path} holds frames of different sizes: bring them to one" in refuse(saved / "vid2vid", tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"no image")
    assert "film.mp4 is not a readable film" in refuse(saved / "vid2vid", tmp_path / "film.mp4")
