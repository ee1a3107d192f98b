"""Clips by name, files of clips, and where the maze's figure is (requirements A1.6, A9.7)."""

import sys

import numpy as np
import pytest
from PIL import Image
from specimens import complaint, numbered

from jaxgan import data, pictures
from jaxgan.data import clips


@pytest.mark.parametrize("name, make", [("maze", clips.maze), ("moving_digits", clips.moving_digits)])
def test_clips_have_names(name, make):
    dataset, made = data.load(name, 16), make(16)
    assert (dataset.name, dataset.shape, dataset.num_classes, dataset.other) == (name, made.shape, 0, None)
    assert data.load(name).shape[1:] == (32, 32, 3)
    for found, own in (
        (data.batches(dataset, 3, slices=2, seed=5)(7), clips.batches(made, 3, slices=2, seed=5)(7)),
        (data.held_out(dataset, 4), clips.held_out(made, 4)),
    ):
        assert found.keys() == own.keys() >= {"real"}
        for field, values in own.items():
            np.testing.assert_array_equal(found[field], values)
    assert len(data.held_out(dataset)["real"]) == 400


def gif(path, frames, durations=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)
    return path


def test_a_folder_of_clips_has_a_name(tmp_path, monkeypatch):
    for i in range(2):
        gif(tmp_path / f"{i}.gif", numbered(8, 9, 12))
    monkeypatch.chdir(tmp_path)
    dataset = data.load("clips:.")
    assert dataset.name == f"clips:{tmp_path}" and dataset.shape == (6, 9, 12, 3)
    assert data.load("clips:.", 8).shape == (6, 8, 8, 3)
    batch = data.batches(dataset, 2)(0)
    assert batch["real"].shape == (1, 2, 6, 9, 12, 3) and batch["source"].shape == (1, 2, 6, 9, 12, 1)


def test_mistakes():
    maze = data.load("maze", 16)
    assert "maze holds clips, which are not mirrored: turn flips off" in complaint(data.batches, maze, 2, flips=True)
    assert "maze holds clips, of which no labels are learned" in complaint(data.load, "maze", labels=True)
    assert "a maze is a multiple of 8 pixels" in complaint(data.load, "maze", 20)
    assert "/no/such is not a folder" in complaint(data.load, "clips:/no/such")
    assert "did you mean moving_digits?" in complaint(data.load, "moving_digit")


# ---- files


def test_frames_and_how_long_they_are_shown(tmp_path):
    frames = np.repeat(np.array([0, 90, 200], np.uint8), 60).reshape(3, 4, 5, 3)
    times = [50, 120, 300]
    pictures.save_clip(tmp_path / "x.webp", numbered(3), times)
    pictures.save_clip(tmp_path / "x.gif", frames, times)
    for name, expected in (("x.webp", numbered(3)), ("x.gif", frames)):
        found, durations = clips.read([tmp_path / name])
        np.testing.assert_array_equal(np.stack(found), expected)
        assert durations == times and clips.length([tmp_path / name]) == 3
        with Image.open(tmp_path / name) as image:
            assert image.info["loop"] == 0


def test_stills_are_clips_of_their_folder(tmp_path):
    frames = numbered(3)
    for i in (2, 0, 1):
        Image.fromarray(frames[i]).save(tmp_path / f"{i}.png")
    gif(tmp_path / "deep" / "moves.gif", frames[:2])
    found = clips.below(tmp_path)
    assert found == {
        tmp_path: [tmp_path / f"{i}.png" for i in range(3)],
        tmp_path / "deep" / "moves.gif": [tmp_path / "deep" / "moves.gif"],
    }
    for files, count in ((found[tmp_path], 3), ([tmp_path / "1.png"], 1)):
        read, durations = clips.read(files)
        assert len(read) == clips.length(files) == count and durations == [100] * count
    np.testing.assert_array_equal(clips.read(found[tmp_path])[0], frames)


def test_what_is_no_clip(tmp_path):
    (tmp_path / "x.gif").write_bytes(b"GIF89a and no more")
    for look in (clips.read, clips.length):
        assert f"{tmp_path / 'x.gif'} is not a readable image" in complaint(look, [tmp_path / "x.gif"])


def test_films(tmp_path):
    """Even and odd sizes, their rate, and one that a telephone filmed on its side, whose file says so."""
    ramp = np.linspace(0, 200, 24, dtype=np.uint8)[None, None, :, None]
    frames = np.repeat(ramp + np.arange(0, 50, 10, dtype=np.uint8)[:, None, None, None], 3, axis=-1)
    for height, width in ((16, 24), (17, 23)):
        shown = np.repeat(frames[:, :, :width], height, axis=1)
        pictures.save_clip(tmp_path / "x.mp4", shown, [1001 / 30] * 5)
        found, durations = clips.read([tmp_path / "x.mp4"])
        np.testing.assert_allclose(np.stack(found).astype(int), shown.astype(int), atol=4)
        assert durations == pytest.approx([1001 / 30] * 5) and clips.length([tmp_path / "x.mp4"]) == 5
        assert clips.below(tmp_path) == {tmp_path / "x.mp4": [tmp_path / "x.mp4"]}

    film = (tmp_path / "x.mp4").read_bytes()
    one = (1 << 16).to_bytes(4)
    upright = one + bytes(12) + one + bytes(12) + (1 << 30).to_bytes(4)
    turned = bytes(4) + one + bytes(4) + (-(1 << 16)).to_bytes(4, signed=True) + bytes(16) + (1 << 30).to_bytes(4)
    at = film.index(b"tkhd")
    assert film.index(upright, at) < at + 60
    (tmp_path / "side.mov").write_bytes(film[:at] + film[at:].replace(upright, turned, 1))
    found, _ = clips.read([tmp_path / "side.mov"])
    assert found[0].shape == (23, 17, 3)
    np.testing.assert_allclose(np.stack(found)[:, :, 5, 0].astype(int), frames[:, 0, :23, 0].astype(int), atol=4)


def test_films_need_a_library_and_to_be_whole(tmp_path, monkeypatch):
    (tmp_path / "x.mp4").write_bytes(b"no film")
    assert f"{tmp_path / 'x.mp4'} is not a readable film" in complaint(clips.read, [tmp_path / "x.mp4"])
    monkeypatch.setitem(sys.modules, "av", None)
    for look in (clips.read, clips.length):
        assert "pip install 'jaxgan[video]'" in complaint(look, [tmp_path / "x.mp4"])
    assert "pip install 'jaxgan[video]'" in complaint(pictures.save_clip, tmp_path / "y.mp4", numbered(2), [40, 40])


# ---- the maze


def test_only_a_figure_on_one_side_counts_a1_6():
    """An even haze, however bright, a figure on both sides, a fainter one and none."""
    made = clips.held_out(clips.maze(32), 40)
    parts = clips.continued(made)
    past, frame, side = parts["past"], parts["real"], 2 * made["label"] - 1
    np.testing.assert_array_equal(clips.sides(past, frame), side)
    without = past[:, -1].copy()
    without[without[..., 0] == 1] = -1
    np.testing.assert_array_equal(clips.sides(past, without), 0)
    np.testing.assert_allclose(clips.sides(past, 0.9 * frame + 0.1), 0.9 * side, atol=1e-6)
    np.testing.assert_allclose(clips.sides(past, np.full_like(frame, 0.3)), 0, atol=1e-6)
    np.testing.assert_allclose(clips.sides(past, (frame + without) / 2), side / 2, atol=1e-6)
