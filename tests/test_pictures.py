"""Grids, scatters and their files (requirement A1.7: figures without a display)."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import pictures
from jaxgan.types import UserError


def read_frames(path):
    with Image.open(path) as animation:
        frames = []
        for i in range(animation.n_frames):
            animation.seek(i)
            frames.append((np.asarray(animation.convert("RGB")), animation.info["duration"]))
        return frames, animation.info["loop"]


def test_grid_repeats_pixels_and_keeps_reading_order():
    """Six images whose pixels are all different: each cell shows its own image, in rows of three."""
    shades = np.arange(6 * 4).reshape(6, 2, 2, 1)
    picture = pictures.grid(shades / 127.5 - 1, columns=3, scale=5, pad=1)
    assert picture.shape == (2 * 11 + 1, 3 * 11 + 1, 3) and picture.dtype == np.uint8
    for i in range(6):
        top, left = i // 3 * 11 + 1, i % 3 * 11 + 1
        cell = picture[top : top + 10, left : left + 10]
        np.testing.assert_array_equal(cell, np.kron(shades[i, :, :, 0], np.ones((5, 5)))[..., None].repeat(3, -1))
    assert (picture[[0, 11, 22]] == picture[0, 0]).all() and (picture[:, [0, 11, 22, 33]] == picture[0, 0]).all()


@pytest.mark.parametrize(
    ("size", "count", "shape"), [(8, 64, (584, 584)), (32, 60, (530, 530)), (28, 3, (118, 118)), (100, 2, (104, 206))]
)
def test_grid_chooses_legible_cells_and_a_square(size, count, shape):
    assert pictures.grid(np.zeros((count, size, size, 1))).shape == (*shape, 3)


def test_grid_keeps_colours_and_every_byte():
    levels = np.arange(256) / 127.5 - 1
    np.testing.assert_array_equal(pictures.grid(levels.reshape(1, 16, 16, 1), scale=1, pad=0)[..., 0].ravel(), np.arange(256))
    red = np.broadcast_to([1.0, -1.0, 0.0], (1, 4, 4, 3))
    assert pictures.grid(red, scale=1, pad=0)[0, 0].tolist() == [255, 0, 128]


def test_grid_clips_and_shows_nan_as_grey():
    values = np.array([-7.0, 7.0, np.nan, np.inf]).reshape(1, 2, 2, 1)
    assert pictures.grid(values, scale=1, pad=0)[..., 0].tolist() == [[0, 255], [128, 255]]


@pytest.mark.parametrize("shape", [(4, 8, 8), (0, 8, 8, 1)])
def test_grid_refuses_what_is_no_stack_of_images(shape):
    with pytest.raises(UserError, match="images"):
        pictures.grid(np.zeros(shape))


@pytest.mark.parametrize("channels, shown", [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_grid_shows_any_number_of_channels(channels, shown):
    levels = np.linspace(-1, 1, channels)
    seen = pictures.grid(np.broadcast_to(levels, (1, 2, 2, channels)), scale=1, pad=0)[0, 0]
    np.testing.assert_array_equal(seen, np.rint((levels[shown] + 1) * 127.5))


RING = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], 1)


def blue_pixels(picture):
    """Where the picture shows points: clearly more blue than red."""
    return np.argwhere(picture[..., 2].astype(int) - picture[..., 0] > 40)


def test_scatter_draws_points_where_they_are():
    """All points at (2, 0), the right-most mode: the blue is at mid-height, to the right, and one blob."""
    picture = pictures.scatter(np.tile([[2.0, 0.0]], (50, 1)), RING)
    assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8
    blue = blue_pixels(picture)
    assert len(blue) > 5 and np.ptp(blue, axis=0).max() < 12
    everywhere = blue_pixels(pictures.scatter(RING.repeat(50, 0), RING))
    middle = (everywhere.min(0) + everywhere.max(0)) / 2
    assert abs(blue.mean(0)[0] - middle[0]) < 4 and abs(blue.mean(0)[1] - everywhere.max(0)[1]) < 8


def test_scatter_frames_by_the_modes_or_by_the_points():
    far = np.array([[50.0, 50.0], [50.0, 51.0], [np.nan, 0.0]])
    assert len(blue_pixels(pictures.scatter(far, RING))) == 0
    assert len(blue_pixels(pictures.scatter(far))) > 5
    assert pictures.scatter(np.full((3, 2), np.nan)).shape == (480, 480, 3)
    with pytest.raises(UserError, match=r"points \[n, 2\]"):
        pictures.scatter(np.zeros((5, 3)))


def test_points_of_the_line_are_a_histogram():
    """All points at the right-most of five modes: one blue column there, as high as the frame."""
    picture = pictures.scatter(np.full((50, 1), 4.0), np.arange(-4.0, 5, 2)[:, None])
    blue = blue_pixels(picture)
    assert np.ptp(blue[:, 0]) > 350 and np.ptp(blue[:, 1]) < 8 and blue[:, 1].min() > 380


def test_saved_png_is_the_picture(tmp_path):
    picture = pictures.grid(np.sin(np.arange(12 * 64 * 3.0)).reshape(12, 8, 8, 3))
    path = tmp_path / "new" / "grid.png"
    pictures.save_png(path, picture)
    np.testing.assert_array_equal(pictures.load_png(path), picture)
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "grid.png"
    old, new = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    pictures.save_png(path, old)

    def run_out_of_space(self, file, *args, **options):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", run_out_of_space)
    with pytest.raises(OSError, match="no space"):
        pictures.save_png(path, new)
    np.testing.assert_array_equal(pictures.load_png(path), old)


def test_saved_gif_plays_all_frames_and_rests_on_the_last(tmp_path):
    frames = [pictures.grid(np.linspace(-1, shade, 64 * 4).reshape(4, 8, 8, 1)) for shade in (-0.5, 0.2, 1.0)]
    path = tmp_path / "samples.gif"
    pictures.save_gif(path, iter(frames), duration_ms=150)
    shown, loop = read_frames(path)
    assert loop == 0
    assert [duration for _, duration in shown] == [150, 150, pictures.LAST_FRAME_MS]
    for (frame, _), expected in zip(shown, frames, strict=True):
        np.testing.assert_array_equal(frame, expected)  # grey levels fit a palette, so nothing is lost


def test_saved_gif_enlarges_early_small_frames(tmp_path):
    small, large = np.full((4, 4, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    pictures.save_gif(tmp_path / "grown.gif", [small, large])
    shown, _ = read_frames(tmp_path / "grown.gif")
    assert [frame.shape for frame, _ in shown] == [(8, 8, 3)] * 2 and (shown[0][0] == 255).all()
    with pytest.raises(UserError, match="no pictures"):
        pictures.save_gif(tmp_path / "none.gif", [])
    assert not (tmp_path / "none.gif").exists()


def test_evenly_keeps_both_ends():
    assert pictures.evenly(range(101), 5) == [0, 25, 50, 75, 100]
    assert pictures.evenly([3, 1], 5) == [3, 1]
    chosen = pictures.evenly(range(13), 12)
    assert len(set(chosen)) == 12 and chosen[0] == 0 and chosen[-1] == 12
