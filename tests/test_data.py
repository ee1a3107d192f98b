"""Data: every batch a pure function of (seed, step), every example once an epoch, every mistake one line."""

import functools
import gzip
import pickle

import jax
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from specimens import complaint, everything, numbered

from jaxgan import data
from jaxgan.data import images, toys


@pytest.fixture
def archive(tmp_path):
    """Returns a maker of data sets of `count` numbered images, whose labels are their numbers."""

    def make(count, **shape):
        np.savez(tmp_path / "set.npz", images=numbered(count, **shape), labels=np.arange(count))
        return data.load(f"npz:{tmp_path / 'set.npz'}")

    return make


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.quantize(16) if mode == "P" else image.convert(mode) if mode else image).save(path)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])


# ---- digits


def test_digits_are_scikit_learns_to_the_last_bit():
    order, real = np.random.default_rng(0).permutation(1797), load_digits()
    digits = data.load("digits", labels=True)
    assert (digits.name, digits.shape, digits.num_classes) == ("digits", (8, 8, 1), 10)
    for part, index in ((digits.train, order[898:]), (digits.held_out, order[:898])):
        np.testing.assert_array_equal(images.as_meant(part.images, part.middle)[..., 0], real.images[index] / 8 - 1)
        np.testing.assert_array_equal(part.labels, real.target[index])
    assert list(order[:4]) == [360, 1773, 1482, 600]  # should NumPy ever change its permutations, the split would move


def test_digits_split_is_the_one_of_ground_truth_b6b():
    digits = data.load("digits")
    held = data.held_out(digits)["real"].reshape(898, 64).astype(float)
    other = images.as_meant(digits.train.images, digits.train.middle)[:898].reshape(898, 64).astype(float)
    one, two = np.cov(held, rowvar=False), np.cov(other, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(0)).sum()
    distance = np.sum((held.mean(0) - other.mean(0)) ** 2) + np.trace(one) + np.trace(two) - 2 * cross
    assert distance == pytest.approx(0.256, abs=5e-4)


def test_digits_can_be_enlarged():
    digits = data.load("digits", image_size=32)
    real = data.held_out(digits)["real"]
    assert digits.shape == (32, 32, 1) and real.dtype == np.float32
    assert real.min() == -1 and real.max() == 1
    small = data.held_out(data.load("digits"))["real"]
    assert np.abs(real.reshape(898, 8, 4, 8, 4, 1).mean((2, 4)) - small).mean() < 0.1


# ---- batches


def test_batches_have_the_promised_shapes_and_range():
    batch = data.batches(data.load("digits"), batch_size=16, slices=3)(0)
    assert batch["real"].shape == (3, 16, 8, 8, 1) and batch["real"].dtype == np.float32
    assert batch["label"].shape == (3, 16) and batch["label"].dtype == np.int32
    assert batch["real"].min() == -1 and batch["real"].max() == 1


@pytest.mark.parametrize("spec", ["digits", "line", "ring", "grid"])
def test_batches_are_pure_in_seed_and_step(spec):
    dataset = data.load(spec)
    forward = data.batches(dataset, 8, slices=2, seed=3, flips=spec == "digits")
    backward = data.batches(dataset, 8, slices=2, seed=3, flips=spec == "digits")
    seen = [forward(step) for step in range(4)]
    for step in reversed(range(4)):
        same(backward(step), seen[step])
    assert not np.array_equal(seen[0]["real"], seen[1]["real"])
    assert not np.array_equal(seen[0]["real"], data.batches(dataset, 8, slices=2, seed=4)(0)["real"])


@pytest.mark.parametrize(("batch_size", "slices"), [(2, 3), (16, 2), (1, 1)])
def test_every_epoch_visits_every_example_once(archive, batch_size, slices):
    dataset = archive(10)
    batch_at = data.batches(dataset, batch_size, slices)
    stream = np.concatenate([batch_at(step)["label"].ravel() for step in range(36 // (batch_size * slices) + 1)])
    epochs = stream[: len(stream) // 9 * 9].reshape(-1, 9)
    assert len(epochs) >= 4
    for epoch in epochs:
        assert sorted(epoch) == sorted(dataset.train.labels)
    assert any(list(epoch) != list(epochs[0]) for epoch in epochs)


def test_labels_stay_with_their_images(archive):
    batch = data.batches(archive(10), 5, slices=2)(1)
    np.testing.assert_array_equal(np.rint((batch["real"][..., 0, 0, 0] + 1) * 127.5), batch["label"])


def test_every_byte_means_the_same_on_host_and_device():
    stored = np.arange(256, dtype=np.uint8)
    host = images.as_meant(stored, 127.5)
    np.testing.assert_array_equal(host, jax.jit(functools.partial(images.as_meant, middle=127.5))(stored))
    assert host[0] == -1 and host[255] == 1
    np.testing.assert_allclose(host, stored / 127.5 - 1, atol=1e-7)


def test_mirrors_half_of_the_images_left_to_right(archive):
    dataset, patterns = archive(10), set()
    for seed, step in ((0, 0), (0, 1), (1, 0)):
        flipped, plain = data.batches(dataset, 200, seed=seed, flips=True)(step), data.batches(dataset, 200, seed=seed)(step)
        np.testing.assert_array_equal(flipped["label"], plain["label"])
        as_was = (flipped["real"] == plain["real"]).all((2, 3, 4))
        turned = (flipped["real"] == plain["real"][..., ::-1, :]).all((2, 3, 4))
        assert (as_was ^ turned).all() and 60 < turned.sum() < 140
        patterns.add(tuple(np.ravel(turned)))
    assert len(patterns) == 3


@pytest.mark.parametrize("flips", [False, True])
def test_streamed_batches_equal_resident_ones(archive, monkeypatch, flips):
    dataset = archive(20)
    resident = data.batches(dataset, 3, slices=2, seed=5, flips=flips)
    monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    restarts, in_turn = [], data.in_turn
    monkeypatch.setattr(data, "in_turn", lambda read: in_turn(lambda step: restarts.append(step) or read(step)))
    streamed = data.batches(dataset, 3, slices=2, seed=5, flips=flips)
    for step in (0, 1, 2, 3, 9, 10, 2, 0):
        same(streamed(step), resident(step))
    assert restarts  # it was the stream that answered


def test_a_large_folder_is_read_as_it_is_needed(tmp_path, monkeypatch):
    for number, pixels in enumerate(numbered(12)):
        save(tmp_path / f"{number % 3}" / f"{number:02}.png", pixels)
    small = data.load(f"folder:{tmp_path}")
    monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    large = data.load(f"folder:{tmp_path}")
    assert isinstance(large.train.images, images.Files) and isinstance(small.train.images, np.ndarray)
    same(data.held_out(large), data.held_out(small))
    streamed = data.batches(large, 4, seed=1)
    monkeypatch.undo()
    same(streamed(1), data.batches(small, 4, seed=1)(1))

    broken = large.train.images.paths[0]
    broken.write_bytes(broken.read_bytes()[:60])  # its header is still sound
    assert str(broken) in complaint(lambda: [streamed(step) for step in range(50, 60)])


@pytest.mark.parametrize("kept", ["device", "host", "toy"])
def test_training_may_forbid_implicit_transfers(monkeypatch, kept):
    if kept == "host":
        monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    batch_at = data.batches(data.load("ring" if kept == "toy" else "digits"), 8, slices=2, flips=kept != "toy")
    with jax.transfer_guard("disallow"):
        first, second = batch_at(0), batch_at(1)
    assert not np.array_equal(first["real"], second["real"])


def test_nothing_of_the_data_is_compiled_in(archive):
    data.gather.clear_cache()
    for count in (20, 20):
        data.batches(archive(count), 2)(0)
    assert data.gather._cache_size() == 1  # two sets of one shape share their program


# ---- held out


def test_held_out_and_trained_on_are_a_partition(archive):
    dataset = archive(40)
    train, held = set(dataset.train.labels), set(dataset.held_out.labels)
    assert len(held) == 4 and not train & held and train | held == set(range(40))
    assert not {image.tobytes() for image in dataset.train.images} & {image.tobytes() for image in dataset.held_out.images}


def test_held_out_is_a_fixed_choice(archive):
    dataset = archive(40)
    everything, two = data.held_out(dataset), data.held_out(dataset, 2)
    assert everything["real"].shape == (4, 4, 6, 3) and everything["real"].dtype == np.float32
    assert everything["label"].dtype == np.int32
    same(two, {name: values[:2] for name, values in everything.items()})
    assert "4 held-out" in complaint(data.held_out, dataset, 5)
    assert "at least 1" in complaint(data.held_out, dataset, 0)


# ---- points


@pytest.mark.parametrize(("spec", "modes", "sigma"), [("line", 5, 0.05), ("ring", 8, 0.01), ("grid", 25, 0.05)])
def test_points_follow_the_protocol_of_b9(spec, modes, sigma):
    dataset, mixture = data.load(spec, labels=True), data.TOYS[spec]()
    size = 1 if spec == "line" else 2
    assert dataset.shape == (size,) and dataset.num_classes == modes and mixture.sigma == sigma
    assert len(np.unique(mixture.centres.round(9), axis=0)) == modes
    points = data.held_out(dataset)
    assert points["real"].shape == (2500, size) and points["real"].dtype == np.float32 and points["label"].dtype == np.int32
    noise = points["real"] - mixture.centres[points["label"]]
    assert noise.std() == pytest.approx(sigma, rel=0.05) and abs(noise.mean()) < sigma / 10
    assert np.mean(np.linalg.norm(noise, axis=1) < 3 * sigma) == pytest.approx(
        0.9973 if size == 1 else 1 - np.exp(-4.5), abs=0.01
    )
    counts = np.bincount(points["label"], minlength=modes)
    assert ((counts - 2500 / modes) ** 2 / (2500 / modes)).sum() < 2 * modes + 10  # chi squared
    trained = data.batches(dataset, 8, slices=2)(0)["real"]
    assert not np.isin(trained, points["real"]).any()


def test_modes_are_where_the_paper_puts_them():
    ring, grid = toys.ring_modes().centres, toys.grid_modes().centres
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 1)
    np.testing.assert_allclose(ring[[0, 1, 2]], [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-12)
    assert set(np.unique(grid)) == {-4, -2, 0, 2, 4} and list(grid[1]) == [-4, -2]


# ---- IDX


def idx_bytes(values, kind=8):
    return bytes([0, 0, kind, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_idx_files_come_back_as_written(tmp_path, packed, channels):
    for part, count in (("train", 12), ("t10k", 5)):
        pixels = numbered(count, channels=channels)
        for kind, values in (("images-idx3", pixels[..., 0] if channels == 1 else pixels), ("labels-idx1", pixels[:, 0, 0, 0])):
            content = idx_bytes(values)
            (tmp_path / f"{part}-{kind}-ubyte{'.gz' * packed}").write_bytes(gzip.compress(content) if packed else content)
    dataset = data.load(f"idx:{tmp_path}", labels=True)
    assert dataset.name == f"idx:{tmp_path}" and dataset.shape == (4, 6, channels) and dataset.num_classes == 12
    np.testing.assert_array_equal(dataset.train.images, numbered(12, channels=channels))
    np.testing.assert_array_equal(dataset.held_out.images, numbered(5, channels=channels))
    np.testing.assert_array_equal(dataset.held_out.labels, np.arange(5))
    assert data.load(f"idx:{tmp_path}", image_size=8).shape == (8, 8, channels)

    next(tmp_path.glob("t10k-labels*")).unlink()
    assert data.load(f"idx:{tmp_path}").num_classes == 0
    next(tmp_path.glob("t10k-images*")).unlink()
    alone = data.load(f"idx:{tmp_path}")
    assert (len(alone.train.images), len(alone.held_out.images), alone.num_classes) == (11, 1, 12)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(idx_bytes(numbered(5)[..., 0]), mtime=0)[:-20], "fetch it again"),
        (b"\x1f\x8b not gzip", "fetch it again"),
        (gzip.compress(idx_bytes(numbered(5)[..., 0]), mtime=0)[:30] + b"\xff" * 60, "fetch it again"),
        (idx_bytes(numbered(5)[..., 0])[:-1], "header says 120"),
        (idx_bytes(numbered(5)[..., 0].astype(">f4"), kind=13), "0x0d"),
        (idx_bytes(np.arange(5, dtype=np.uint8)), "1 axes"),
        (b"", "not an IDX file"),
        (b"\0\0\x08\x03\0\0", "not an IDX file"),
        (b"<html>404</html>", "not an IDX file"),
    ],
)
def test_a_bad_idx_file_is_named(tmp_path, content, says):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    message = complaint(data.load, f"idx:{tmp_path}")
    assert says in message and "train-images-idx3-ubyte" in message


def test_idx_parts_must_agree(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(numbered(5)[..., 0]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(4, dtype=np.uint8)))
    assert "one label for each of 5" in complaint(data.load, f"idx:{tmp_path}")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(numbered(5, height=5)[..., 0]))
    assert "--image_size" in complaint(data.load, f"idx:{tmp_path}")
    assert data.load(f"idx:{tmp_path}", image_size=4).shape == (4, 4, 1)


# ---- folders


def test_a_folder_comes_back_as_written(tmp_path):
    for number, pixels in enumerate(numbered(12)):
        save(tmp_path / f"{number:02}.png", pixels)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image")
    dataset = data.load(f"folder:{tmp_path}")
    assert dataset.shape == (4, 6, 3) and dataset.num_classes == 0 and "label" not in data.batches(dataset, 2)(0)
    np.testing.assert_array_equal(everything(dataset), numbered(12))
    np.testing.assert_array_equal(dataset.train.images, data.load(f"folder:{tmp_path}").train.images)
    assert "no labels" in complaint(data.load, f"folder:{tmp_path}", labels=True)


def test_sub_folders_are_labels(tmp_path):
    for number, pixels in enumerate(numbered(12)):
        save(tmp_path / ["cats", "dogs", "emus"][number % 3] / "deeper" / f"{number:02}.PNG", pixels)
    dataset = data.load(f"folder:{tmp_path}", labels=True)
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(dataset.train.labels, dataset.train.images[:, 0, 0, 0] % 3)
    save(tmp_path / "stray.png", numbered(1)[0])
    assert data.load(f"folder:{tmp_path}").num_classes == 0


def test_one_sub_folder_is_no_label(tmp_path):
    for number, pixels in enumerate(numbered(4)):
        save(tmp_path / "all" / f"{number}.png", pixels)
    assert data.load(f"folder:{tmp_path}").num_classes == 0


GREY = np.array([[0, 100], [200, 255]], np.uint8)
RED_FADING = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]], [[0, 0, 0, 128], [9, 9, 9, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("kind", "pixels", "mode", "expected"),
    [
        ("png", GREY, None, GREY[..., None]),
        ("png", GREY.astype(np.uint16) * 257, None, GREY[..., None]),
        ("tif", GREY.astype(np.uint16) * 257, None, GREY[..., None]),
        ("png", GREY > 150, None, np.array([[[0], [0]], [[255], [255]]], np.uint8)),
        ("png", np.stack([GREY, GREY[::-1]], -1), None, np.array([[[55], [155]], [[255], [255]]], np.uint8)),
        ("png", RED_FADING, None, np.array([[[255, 0, 0], [255] * 3], [[127] * 3, [9] * 3]], np.uint8)),
        ("png", np.stack([GREY] * 3, -1), "P", np.stack([GREY] * 3, -1)),
        ("tif", np.stack([GREY] * 3, -1), "CMYK", np.stack([GREY] * 3, -1)),
        ("bmp", np.stack([GREY] * 3, -1), None, np.stack([GREY] * 3, -1)),
    ],
    ids=["grey", "grey16", "tiff16", "bilevel", "grey_alpha", "rgba", "palette", "cmyk", "bmp"],
)
def test_folders_take_images_of_every_kind(tmp_path, kind, pixels, mode, expected):
    for number in range(3):
        save(tmp_path / f"{number}.{kind}", pixels, mode)
    stored = data.load(f"folder:{tmp_path}").train.images[0]
    assert stored.shape == expected.shape and stored.dtype == np.uint8
    if kind == "png" and pixels.shape == (2, 2, 2):  # what an alpha of 0, 100, 200, 255 leaves of GREY over white
        expected = np.rint(255 - (255 - GREY.astype(float)) * GREY[::-1] / 255)[..., None]
    assert np.abs(stored.astype(int) - expected).max() <= 1


def test_one_colour_image_makes_a_folder_rgb(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", GREY)
    save(tmp_path / "3.png", np.stack([GREY] * 3, -1))
    assert data.load(f"folder:{tmp_path}").shape == (2, 2, 3)


def test_images_of_several_sizes_need_an_image_size(tmp_path):
    for number, size in enumerate([(20, 30), (30, 20), (8, 8), (64, 40)]):
        pixels = np.zeros((*size, 3), np.uint8)
        pixels[:, size[1] // 2 :, 0] = 255  # the right half is red
        save(tmp_path / f"{number}.png", pixels)
    message = complaint(data.load, f"folder:{tmp_path}")
    assert "--image_size" in message and "0.png 30x20" in message and "1.png 20x30" in message
    for image in everything(data.load(f"folder:{tmp_path}", image_size=16)):
        assert image.shape == (16, 16, 3) and (image[:, :6, 0] < 20).all() and (image[:, 10:, 0] > 235).all()


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6  # turn by 90 degrees clockwise to view
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    for number in range(3):
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", exif=exif)
    dataset = data.load(f"folder:{tmp_path}")
    assert dataset.shape == (16, 8, 3)
    assert (dataset.train.images[:, :7] > 200).all() and (dataset.train.images[:, 9:] < 50).all()


@pytest.mark.parametrize("content", [b"", b"GIF89a?", b"no image at all"])
@pytest.mark.parametrize("large", [False, True])
def test_an_unreadable_image_is_named(tmp_path, monkeypatch, content, large):
    if large:
        monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    for number, pixels in enumerate(numbered(4)):
        save(tmp_path / f"{number}.png", pixels)
    (tmp_path / "bad.png").write_bytes(content)
    assert str(tmp_path / "bad.png") in complaint(data.load, f"folder:{tmp_path}")


def test_an_image_cut_short_is_named(tmp_path):
    for number, pixels in enumerate(numbered(4)):
        save(tmp_path / f"{number}.png", pixels)
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    assert str(tmp_path / "3.png") in complaint(data.load, f"folder:{tmp_path}")


def test_a_float_image_is_refused(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.tif", GREY.astype(np.float32))
    assert "floats of unknown range" in complaint(data.load, f"folder:{tmp_path}")


# ---- archives


@pytest.mark.parametrize(
    ("arrays", "shape", "classes"),
    [
        ({"images": numbered(10)}, (4, 6, 3), 0),
        ({"x": numbered(10)[..., 0], "y": np.arange(10)}, (4, 6, 1), 10),
        ({"photos": numbered(10, channels=2), "labels": np.zeros(10, np.uint8), "note": np.array("hello")}, (4, 6, 2), 1),
        ({"images": np.linspace(-1, 1, 240, dtype=np.float32).reshape(10, 4, 6, 1)}, (4, 6, 1), 0),
    ],
)
def test_archives_of_several_makes(tmp_path, arrays, shape, classes):
    np.savez(tmp_path / "set.npz", **arrays)
    dataset = data.load(f"npz:{tmp_path / 'set.npz'}")
    assert (dataset.shape, dataset.num_classes) == (shape, classes)
    stored = next(values for values in arrays.values() if values.ndim > 2).reshape(10, *shape)
    meant = stored if stored.dtype == np.float32 else (stored.astype(np.float32) - 127.5) / 127.5
    parts = [images.as_meant(part.images, part.middle) for part in (dataset.train, dataset.held_out)]
    order = np.random.default_rng(0).permutation(10)
    np.testing.assert_allclose(np.concatenate(parts), meant[np.roll(order, -1)], atol=1e-6)
    assert data.load(f"npz:{tmp_path / 'set.npz'}", image_size=5).shape == (5, 5, shape[2])


class Trap:
    """Marks the disk when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": numbered(10).astype(np.float64) / 255}, "float64"),
        ({"images": numbered(10).astype(np.int32)}, "int32"),
        ({"images": numbered(10).astype(np.float32)}, "[-1, 1]"),
        ({"images": numbered(10).astype(np.float32) / 255}, "[-1, 1]"),
        ({"images": np.full((10, 4, 4, 1), np.nan, np.float32)}, "[-1, 1]"),
        ({"images": np.zeros((10, 4), np.uint8)}, "[10, 4]"),
        ({"images": np.zeros((10, 3, 8, 8), np.uint8)}, "channels first"),
        ({"a": numbered(10), "b": numbered(10)}, "2 arrays"),
        ({"a": np.arange(10)}, "0 arrays"),
        ({"images": numbered(10), "labels": np.arange(9)}, "'labels'"),
        ({"images": numbered(10), "labels": np.ones(10)}, "float64"),
        ({"images": numbered(10), "labels": np.arange(10) - 1}, "negative label"),
        ({"images": numbered(1)}, "too few images (1)"),
        ({"images": numbered(0)}, "too few images (0)"),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, arrays, says):
    np.savez(tmp_path / "set.npz", **arrays)
    assert says in complaint(data.load, f"npz:{tmp_path / 'set.npz'}")


@pytest.mark.parametrize("key", ["images", "labels", "other"])
def test_pickles_are_refused_and_never_opened(tmp_path, key):
    trap = np.array([Trap(tmp_path / "sprung")] * 10, dtype=object)
    np.savez(tmp_path / "set.npz", **({"images": numbered(10)} if key == "labels" else {}), **{key: trap})
    assert "pickles are refused" in complaint(data.load, f"npz:{tmp_path / 'set.npz'}")
    with open(tmp_path / "bare.npz", "wb") as file:
        pickle.dump(Trap(tmp_path / "sprung"), file)
    assert "pickles are refused" in complaint(data.load, f"npz:{tmp_path / 'bare.npz'}")
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_archive_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "set.npz", images=numbered(50))
    content = bytearray((tmp_path / "set.npz").read_bytes())
    content[300:400] = bytes(100)
    (tmp_path / "set.npz").write_bytes(content)
    assert "cannot be read" in complaint(data.load, f"npz:{tmp_path / 'set.npz'}")


def test_resizing_agrees_with_pillow_where_nothing_overshoots():
    y, x = np.mgrid[0:33, 0:40]
    smooth = np.stack([127 + 60 * np.sin(x / 9 + y / 7), 3.0 * x, 3.0 * y], -1).astype(np.uint8)
    for size in (16, 33, 50):
        by_hand = Image.fromarray(smooth).resize((size, size), Image.Resampling.BICUBIC, box=(3.5, 0, 36.5, 33))
        ours = images.resized(smooth[None], size)[0]
        assert ours.dtype == np.uint8 and np.abs(ours.astype(int) - np.asarray(by_hand)).max() <= 1


# ---- what is asked for


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("digit", "did you mean digits?"),
        ("folders:/x", "did you mean folder:DIR?"),
        ("idx", "idx:DIR"),
        ("npz:", "npz:FILE"),
        ("", "choose from digits"),
        ("digits:3", "digits"),
        ("folder:/no/such/place", "/no/such/place"),
        ("idx:/no/such/place", "train-images-idx3-ubyte"),
        ("npz:/no/such/file.npz", "/no/such/file.npz"),
        ("folder:/bin/sh", "not a folder"),
        ("npz:/bin/sh", "not an .npz archive"),
    ],
)
def test_a_set_that_is_not_there(spec, says):
    assert says in complaint(data.load, spec)


def test_an_empty_folder_and_a_single_image(tmp_path):
    assert "no images" in complaint(data.load, f"folder:{tmp_path}")
    save(tmp_path / "only.png", numbered(1)[0])
    assert "too few images (1)" in complaint(data.load, f"folder:{tmp_path}")
    for name in ("two", "three"):
        save(tmp_path / f"{name}.png", numbered(1)[0])
    assert len(data.load(f"folder:{tmp_path}").train.images) == 2


def test_relative_paths_and_home_are_made_absolute(tmp_path, monkeypatch):
    np.savez(tmp_path / "set.npz", images=numbered(10))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = {data.load(spec).name for spec in ("npz:set.npz", "npz:~/set.npz", f"npz:{tmp_path}/set.npz")}
    assert names == {f"npz:{tmp_path / 'set.npz'}"}


def test_senseless_requests(archive):
    dataset, ring = archive(10), data.load("ring")
    assert "batch_size=0" in complaint(data.batches, dataset, 0)
    assert "slices=0" in complaint(data.batches, dataset, 1, slices=0)
    assert "seed=-1" in complaint(data.batches, dataset, 1, seed=-1)
    assert "flips" in complaint(data.batches, ring, 1, flips=True)
    assert "image_size" in complaint(data.load, "ring", image_size=8)
    assert "image_size=-1" in complaint(data.load, "digits", image_size=-1)
