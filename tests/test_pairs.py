"""Pairs of images, domains without pairs, and clips (requirements A1.6, A9.6-A9.8): splits, files, and every mistake one line."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from specimens import complaint, numbered

from jaxgan import data
from jaxgan.data import clips, images, pairs


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


def as_dataset(name, parts):
    train, held = parts
    return data.Dataset(name, train.images.shape[1:], 0, train, held)


# ---- pairs of photographs


@pytest.mark.parametrize("task", pairs.TASKS)
def test_photographs_are_pairs_that_can_be_batched(task):
    dataset = as_dataset(task, pairs.photographs(task, 16))
    assert dataset.shape == (16, 16, 6)
    assert (len(dataset.train.images), len(dataset.held_out.images)) == (4000, 400)
    whole = data.batches(dataset, 4, slices=2, seed=3, flips=True)(5)
    batch = pairs.parted(whole)
    assert batch["source"].shape == batch["real"].shape == (2, 4, 16, 16, 3)
    np.testing.assert_array_equal(np.concatenate([batch["source"], batch["real"]], axis=-1), whole["real"])
    pixels = np.rint((np.asarray(batch["real"][0]) + 1) * 127.5).astype(np.uint8)
    source = np.rint((np.asarray(batch["source"][0]) + 1) * 127.5).astype(int)
    assert np.abs(pairs.TASKS[task](pixels) - source).max() <= 1  # mirrored together
    assert np.abs(source - pixels).mean() > 2  # and not the same


def test_sources_are_what_they_are_called():
    photo = np.zeros((1, 12, 12, 3), np.uint8)
    photo[:, :, 6:] = (200, 100, 50)
    np.testing.assert_array_equal(pairs.grey(photo)[0, 0, 6], np.rint(0.299 * 200 + 0.587 * 100 + 0.114 * 50))
    drawn = pairs.edges(photo)[0, :, :, 0]
    assert np.all(drawn[:, :2] == 255) and np.all(drawn[:, 5:7] < 100)  # dark on white
    assert pairs.edges(np.full_like(photo, 77)).min() == 255
    soft = pairs.blurred(photo)[0, 0, :, 0].astype(int)
    assert np.all(np.diff(soft) >= 0) and 0 < soft[5] < soft[6] < 200


@pytest.mark.parametrize("name", ["china", "flower"])
def test_no_crop_that_is_held_out_shares_an_area_with_one_that_is_trained_on(name, monkeypatch):
    """By a photograph whose colours are its columns: no column is seen in both parts, and nearly all in one."""
    columns = np.broadcast_to(np.arange(640), (427, 640))
    coded = np.stack([columns // 256, columns % 256, columns * 0], axis=-1).astype(np.uint8)
    monkeypatch.setattr(pairs, "CROPS", 200)
    monkeypatch.setattr("sklearn.datasets.load_sample_image", lambda file: coded)
    monkeypatch.setattr(Image.Image, "resize", lambda self, *_: self)  # so that colours are not mixed
    train, held = (set((crops[..., 0].astype(int) * 256 + crops[..., 1]).ravel()) for crops in pairs.photograph_crops(name, 40))
    assert not train & held
    assert len(held) > 150 and len(train) > 450


def test_crops_are_of_the_photographs():
    photo = load_sample_image("flower.jpg")
    train, held = pairs.photograph_crops("flower", 160)
    assert train.shape[1:] == held.shape[1:] == (160, 160, 3)
    rows = {photo[top, 320:480].tobytes() for top in range(427)}
    assert all(crop[0].tobytes() in rows for crop in held)
    assert complaint(pairs.photographs, "grey2colour", 161).startswith("image_size=161: the photographs give crops of 1 to 160")


# ---- pairs of files


@pytest.fixture
def six(tmp_path):
    """Six pairs, A on the left and B on the right, whose first pixel is their number."""
    a, b = numbered(6), 255 - numbered(6)
    for i in range(6):
        save(tmp_path / "joined" / f"{i}.png", np.concatenate([a[i], b[i]], axis=1))
        save(tmp_path / "apart" / "A" / f"{i}.png", a[i])
        save(tmp_path / "apart" / "B" / "deep" / ".." / f"{i}.bmp", b[i])
    return tmp_path, a, b


@pytest.mark.parametrize("kind", ["joined", "apart"])
def test_files_are_read_as_they_are(six, kind):
    root, a, b = six
    train, held = pairs.folder(str(root / kind), 0)
    found = np.concatenate([train.images, held.images])
    order = np.argsort(found[:, 0, 0, 0])
    np.testing.assert_array_equal(found[order], np.concatenate([a, b], axis=-1))
    assert len(held.images) == 1


@pytest.mark.parametrize("kind", ["joined", "apart"])
def test_each_image_of_a_pair_is_cropped_by_itself(six, kind):
    root, a, b = six
    train, held = pairs.folder(str(root / kind), 4)
    found = np.concatenate([train.images, held.images])
    assert found.shape == (6, 4, 4, 6)
    order = np.array([np.flatnonzero((a[:, :, 1:5] == pair[..., :3]).all((1, 2, 3)))[0] for pair in found])
    np.testing.assert_array_equal(found[..., 3:], b[order][:, :, 1:5])


def test_a_large_set_stays_on_the_disk(six, monkeypatch):
    root, *_ = six
    monkeypatch.setattr(images, "RESIDENT_BYTES", 10)
    lazy = as_dataset("lazy", pairs.folder(str(root / "apart"), 0))
    monkeypatch.undo()
    held = as_dataset("held", pairs.folder(str(root / "apart"), 0))
    assert isinstance(lazy.train.images, pairs.PairFiles)
    np.testing.assert_array_equal(data.held_out(lazy)["real"], data.held_out(held)["real"])
    np.testing.assert_array_equal(data.batches(lazy, 2)(1)["real"], data.batches(held, 2)(1)["real"])


def test_alpha_is_laid_on_white_and_16_bits_are_scaled(tmp_path):
    deep = np.array([[0, 257 * 100, 65535, 257 * 7]], np.uint16)
    clear = np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8)
    grey = np.array([[50, 60]], np.uint8)
    for folder, name, pixels in (("A", "a", clear), ("B", "a", grey), ("A", "b", deep[:, :2]), ("B", "b", deep[:, 2:])):
        save(tmp_path / folder / f"{name}.png", pixels)
    save(tmp_path / "A" / "c.png", grey)
    save(tmp_path / "B" / "c.png", grey)
    train, held = pairs.folder(str(tmp_path), 0)
    found = {tuple(pair[0, :, 0]): tuple(pair[0, :, 3]) for pair in np.concatenate([train.images, held.images])}
    assert found == {(255, 9): (50, 60), (0, 100): (255, 7), (50, 60): (50, 60)}


def test_mistakes_with_pairs(six, tmp_path):
    root, a, _ = six
    read = lambda name, size=0: complaint(pairs.folder, str(root / name), size)
    assert read("nowhere").endswith("nowhere is not a folder: check the path")
    (root / "empty").mkdir()
    assert "has no images: put files there that show A and B side by side, or files of equal names into" in read("empty")
    save(root / "odd" / "x.png", a[0][:, :5])
    assert read("odd").endswith("odd/x.png is 5 pixels wide, which two images side by side are not: crop it to an even width")
    save(root / "apart" / "A" / "more.png", a[0])
    told = read("apart")
    assert "apart/A/more.png and 0 more have no partner of that name in" in told and f"or take unpaired:{root}/apart/A," in told
    (root / "apart" / "A" / "more.png").rename(root / "apart" / "B" / "more.png")
    assert "apart/B/more.png and 0 more have no partner" in read("apart")
    save(root / "joined" / "large.png", np.zeros((9, 12, 3), np.uint8))
    assert "images of different sizes (0.png 6x4, large.png 6x9): give --image_size" in read("joined")
    assert pairs.folder(str(root / "joined"), 4)[0].images.shape[1:] == (4, 4, 6)
    (root / "broken").mkdir()
    (root / "broken" / "x.png").write_bytes(b"no image")
    assert "broken/x.png is not a readable image" in read("broken")


# ---- domains without pairs


@pytest.mark.parametrize("name", pairs.PAINTS)
def test_painted_digits_can_be_read_again(name):
    domains, paints = pairs.painted_digits(name, 0), pairs.PAINTS[name]
    held = images.digits(0)[1]
    digits = images.as_meant(held.images, held.middle)
    for (train, scored), paint in zip(domains, paints, strict=True):
        assert train.images.dtype == np.float32 and np.abs(train.images).max() <= 1
        np.testing.assert_allclose(paint.remove(scored.images), digits, atol=1e-6)
        np.testing.assert_array_equal(scored.labels, held.labels)
    one, other = (paint.remove(parts[0].images) for parts, paint in zip(domains, paints, strict=True))
    assert len(one) + len(other) == 899
    assert np.abs(domains.a[1].images - domains.b[1].images).mean() > 0.5
    seen = {digit.tobytes() for digit in np.rint(one * 8).astype(int)}
    assert sum(digit.tobytes() in seen for digit in np.rint(other * 8).astype(int)) == 0


def test_unpaired_domains_have_batches_of_both():
    domains = pairs.two_photographs(16)
    china, flower = (data.batches(as_dataset(name, parts), 4, seed=seed) for seed, (name, parts) in enumerate(zip("ab", domains)))
    batch = pairs.side_by_side(china, flower)(3)
    np.testing.assert_array_equal(batch["source"], china(3)["real"])
    np.testing.assert_array_equal(batch["real"], flower(3)["real"])
    assert "label" not in batch


def test_unpaired_folders_need_no_equal_counts_and_share_their_channels(tmp_path):
    for i in range(5):
        save(tmp_path / "A" / f"{i}.png", numbered(5)[i])
    for i in range(3):
        save(tmp_path / "B" / f"{i}.png", numbered(3)[i], "L")
    domains = pairs.unpaired(f"{tmp_path / 'A'},{tmp_path / 'B'}", 0)
    assert [len(train.images) + len(held.images) for train, held in domains] == [5, 3]
    assert {part.images.shape[1:] for parts in domains for part in parts} == {(4, 6, 3)}
    save(tmp_path / "C" / "0.png", numbered(1, 8)[0])
    save(tmp_path / "C" / "1.png", numbered(1, 8)[0])
    told = complaint(pairs.unpaired, f"{tmp_path / 'A'},{tmp_path / 'C'}", 0)
    assert told.endswith("holds images of different sizes (6x4 and 6x8): give --image_size")
    assert "does not name two folders" in complaint(pairs.unpaired, str(tmp_path), 0)


# ---- clips


def test_clips_are_pure_in_seed_and_step():
    for made in (clips.moving_digits(16, 3), clips.maze(16, 2)):
        one, other = (clips.batches(made, 3, slices=2, seed=seed)(4) for seed in (1, 2))
        assert one["real"].shape == (2, 3, *made.shape) and np.abs(one["real"]).max() <= 1
        again = clips.batches(made, 3, slices=2, seed=1)(4)
        assert all(np.array_equal(one[name], again[name]) for name in one)
        assert not np.array_equal(one["real"], other["real"])
        assert not np.array_equal(one["real"], clips.batches(made, 3, slices=2, seed=1)(5)["real"])


def test_digits_move_by_their_flow():
    """Every pixel that is said to have been visible shows what it showed before, at the place the flow tells."""
    made = clips.held_out(clips.moving_digits(20, 4), 8)
    clip, flow = made["real"], made["flow"].astype(int)
    for n, t, row, column in np.argwhere(flow[..., 2] == 1):
        down, right = flow[n, t, row, column, :2]
        assert np.array_equal(clip[n, t + 1, row, column], clip[n, t, row + down, column + right])
    hidden = flow[..., 2] == 0
    assert 0 < hidden.mean() < 0.1 and np.any(flow[..., :2] != 0)
    assert np.any(clip[:, 1:][hidden] != clip[:, :-1][hidden])


def test_digits_that_are_held_out_are_others():
    made = clips.moving_digits(16, 2)
    train, held = images.digits(8)
    strokes = lambda part: {(digit[..., 0] > 0.1 * 8 * 2).tobytes() for digit in part.images.astype(float)}
    for draw, own, other in ((made.train, train, held), (made.held_out, held, train)):
        seen = set()
        for there in np.asarray(draw((0, 0), 16)["source"])[:, 0, :, :, 0] > 0:
            seen |= {there[i : i + 8, j : j + 8].tobytes() for i in range(9) for j in range(9)}
        assert len(seen & strokes(own)) > 12 and len(seen & strokes(other)) < 4


def test_the_maze_forks_left_and_right_alike():
    made = clips.held_out(clips.maze(16, 3), 2000)
    parts = clips.continued(made)
    assert parts["past"].shape == (2000, 3, 16, 16, 3) and parts["real"].shape == (2000, 16, 16, 3)
    side = clips.sides(parts["past"], parts["real"])
    np.testing.assert_array_equal(side, 2 * made["label"] - 1)
    assert abs(side.mean()) < 4 / np.sqrt(2000)
    for past in np.unique(parts["past"], axis=0):  # the same past, both futures
        same = (parts["past"] == past).all((1, 2, 3, 4))
        assert 0.4 < made["label"][same].mean() < 0.6
        left, right = (parts["real"][same & (made["label"] == i)][0] for i in (0, 1))
        both = np.stack([(left + right) / 2])
        assert abs(clips.sides(past[None], both)[0]) < 1e-6  # what a regressor paints
    trained = np.asarray(clips.maze(16, 3).train((0, 1), 500)["real"])
    assert not {bytes(clip) for clip in trained[:, 0]} & {bytes(clip) for clip in made["real"][:, 0]}


def test_clips_of_files(tmp_path):
    frames = numbered(9)
    for i in range(6):
        save(tmp_path / "one" / f"{i:02}.png", frames[i])
    stills = [Image.fromarray(frame) for frame in frames[6:9]]
    stills[0].save(tmp_path / "two.webp", save_all=True, append_images=stills[1:], lossless=True)
    made = clips.folder(str(tmp_path), 3)
    assert made.shape == (3, 4, 6, 3)
    train, held = images.split(2)
    for draw, [which] in ((made.train, train), (made.held_out, held)):
        batch = draw((0, 0), 30)
        pixels = np.rint((np.asarray(batch["real"]) + 1) * 127.5).astype(int)
        starts = pixels[:, 0, 0, 0, 0]
        assert set(starts) == ({0, 1, 2, 3}, {6})[which]
        for start, clip in zip(starts, pixels, strict=True):
            np.testing.assert_array_equal(clip, frames[start : start + 3])
        assert batch["source"].shape == (*batch["real"].shape[:-1], 1)
    assert clips.folder(str(tmp_path), 3, 8).shape == (3, 8, 8, 3)


def test_of_a_single_clip_the_end_is_held_out(tmp_path):
    for i in range(8):
        save(tmp_path / f"{i}.png", numbered(8)[i])
    made = clips.folder(str(tmp_path), 3)
    shown = [
        np.unique(np.rint((np.asarray(d((0, 0), 40)["real"][..., 0, 0, 0]) + 1) * 127.5)) for d in (made.train, made.held_out)
    ]
    np.testing.assert_array_equal(shown[0], range(5))
    np.testing.assert_array_equal(shown[1], [5, 6, 7])
    assert complaint(clips.folder, str(tmp_path), 5).endswith("has one clip of 8 frames: give a second clip, or 10 frames")


def test_mistakes_with_clips(tmp_path):
    read = lambda name, frames=3: complaint(clips.folder, str(tmp_path / name), frames)
    assert read("nowhere").endswith("nowhere is not a folder: check the path")
    (tmp_path / "empty").mkdir()
    assert "has no clips: put a sub-folder of frames, an animated GIF or WebP, or a film there" in read("empty")
    save(tmp_path / "still" / "only.png", numbered(1)[0])
    assert read("still").endswith("still is a clip of 1 frames where 3 are needed: add frames, or take it away")
    for i, width in enumerate((6, 6, 8)):
        save(tmp_path / "sizes" / f"{i}.png", numbered(1, width=width)[0])
    assert "holds frames of different sizes (6x4 and 8x4): give --image_size" in read("sizes")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.gif").write_bytes(b"GIF89a and no more")
    assert "broken/x.gif is not a readable image" in read("broken")
    assert "not image_size=8 and 6 frames" in complaint(clips.moving_digits, 8)
    assert "not 20 pixels after 3" in complaint(clips.maze, 20)
