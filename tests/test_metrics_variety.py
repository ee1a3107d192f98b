"""How alike images are, and how far samples are from each other and along paths."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from truth import waves

from jaxgan import latents, metrics, transport
from jaxgan.metrics import features
from jaxgan.metrics.similarity import WEIGHTS
from jaxgan.types import UserError

IMAGES = waves((4, 32, 40, 2)) * 0.9
X = waves((30, 6))
Y = 1.2 * waves((24, 6), 1.37, 0.3) + 0.2

# MS-SSIM


def plain_ssim(a, b):
    """Wang et al., 2004, of one channel `[height, width]` in [-1, 1], with SciPy's filter: mean SSIM, mean structure term."""

    def blur(image):
        return gaussian_filter(image, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    c1, c2 = 0.0004, 0.0036
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    structure = (2 * cov + c2) / (var_a + var_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * structure).mean(), structure.mean()


def test_one_scale_is_plain_ssim():
    a, b = IMAGES[:2], 0.7 * IMAGES[:2] + 0.3 * IMAGES[2:]
    expected = [np.mean([plain_ssim(x[..., c], y[..., c])[0] for c in range(2)]) for x, y in zip(a, b)]
    np.testing.assert_allclose(metrics.ms_ssim(a, b, weights=(1,)), expected, atol=1e-12)


def test_two_scales_are_products_of_powers():
    a, b = IMAGES[:1], 0.7 * IMAGES[:1] + 0.3 * IMAGES[2:3]
    halved_a, halved_b = (x.reshape(1, 16, 2, 20, 2, 2).mean((2, 4)) for x in (a, b))
    expected = np.mean(
        [plain_ssim(a[0, ..., c], b[0, ..., c])[1] ** 0.3 * plain_ssim(halved_a[0, ..., c], halved_b[0, ..., c])[0] ** 0.7
         for c in range(2)]
    )  # fmt: skip
    assert metrics.ms_ssim(a, b, weights=(0.3, 0.7))[0] == pytest.approx(expected, abs=1e-12)


def test_flat_images_differ_by_luminance_at_the_coarsest_scale_alone():
    a, b = np.full((1, 16, 16, 1), 0.8), np.full((1, 16, 16, 1), 0.2)
    luminance = (2 * 0.8 * 0.2 + 0.0004) / (0.8**2 + 0.2**2 + 0.0004)
    assert metrics.ms_ssim(a, b)[0] == pytest.approx(luminance ** WEIGHTS[-1], abs=1e-10)


def test_ms_ssim_of_equal_opposite_and_swapped_images():
    np.testing.assert_allclose(metrics.ms_ssim(IMAGES, IMAGES), 1, atol=1e-12)
    assert (metrics.ms_ssim(IMAGES, -IMAGES) == 0).all()
    np.testing.assert_allclose(metrics.ms_ssim(IMAGES[:2], IMAGES[2:]), metrics.ms_ssim(IMAGES[2:], IMAGES[:2]), atol=1e-14)
    odd = IMAGES[:, :31, :33]
    np.testing.assert_allclose(metrics.ms_ssim(odd, odd), 1, atol=1e-12)


def test_ms_ssim_does_not_depend_on_the_block_size(monkeypatch):
    a, b = IMAGES, IMAGES[::-1] * 0.5 + IMAGES * 0.5
    whole = metrics.ms_ssim(a, b)
    monkeypatch.setattr(features, "BLOCK", 1)
    np.testing.assert_allclose(metrics.ms_ssim(a, b), whole, atol=1e-14)


def test_pairwise_similarity_falls_with_variety_and_never_pairs_an_image_with_itself():
    rng = np.random.default_rng(0)
    varied = rng.uniform(-1, 1, (5, 16, 16, 1))
    alike = 0.9 * varied[:1] + 0.1 * varied
    assert metrics.pairwise_ms_ssim(varied).mean < 0.5 < 0.9 < metrics.pairwise_ms_ssim(alike).mean
    two = np.stack([varied[0], -varied[0]])
    assert metrics.pairwise_ms_ssim(two, pairs=50) == (0.0, 0.0)
    assert metrics.pairwise_ms_ssim(varied) == metrics.pairwise_ms_ssim(varied) != metrics.pairwise_ms_ssim(varied, seed=1)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (IMAGES, IMAGES[:3], "one shape"),
        ((IMAGES * 99).astype(np.uint8), IMAGES, "float images"),
        (IMAGES * 127.5 + 127.5, IMAGES, r"must lie in \[-1, 1\], not reach from"),
        (IMAGES * np.nan, IMAGES, r"must lie in \[-1, 1\]"),
        (IMAGES[0], IMAGES[0], "float images"),
        (IMAGES[:, :8, :8], IMAGES[:, :8, :8], "5 scales need images of at least 16 x 16"),
    ],
)
def test_ms_ssim_refuses_mistakes(a, b, says):
    with pytest.raises(UserError, match=says):
        metrics.ms_ssim(a, b)


@pytest.mark.parametrize(("count", "pairs"), [(1, 5), (4, 0)])
def test_pairwise_similarity_refuses_mistakes(count, pairs):
    with pytest.raises(UserError, match="at least 2 images and 1 pair"):
        metrics.pairwise_ms_ssim(IMAGES[:count], pairs)


# Sliced Wasserstein, diversity


def test_sliced_wasserstein_is_that_of_transport_along_seeded_lines():
    lines = np.random.default_rng(3).standard_normal((10, 6))
    assert metrics.sliced_wasserstein(X, Y, directions=10, p=2, seed=3) == transport.sliced(X, Y, lines, p=2)
    assert metrics.sliced_wasserstein(X, X[::-1]) == pytest.approx(0, abs=1e-12)


def test_sliced_wasserstein_of_a_shift():
    """Every projection is shifted by `u . s`, and `E (u . s)^2 = |s|^2 / d`: within 4 standard errors."""
    found = metrics.sliced_wasserstein(X, X + 0.5, directions=2000, p=2)
    assert found**2 == pytest.approx(6 * 0.25 / 6, abs=4 * 0.25 * np.sqrt(2) / np.sqrt(2000))


def test_sliced_wasserstein_refuses_mistakes():
    with pytest.raises(UserError, match="directions=0"):
        metrics.sliced_wasserstein(X, Y, directions=0)
    with pytest.raises(UserError, match="one width"):
        metrics.sliced_wasserstein(X, Y[:, :2])


def test_diversity_is_the_mean_over_pairs(monkeypatch):
    assert metrics.diversity(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3, abs=1e-14)
    assert metrics.diversity(np.ones((5, 2))) == 0
    whole = metrics.diversity(X)
    monkeypatch.setattr(features, "BLOCK", 50)
    assert metrics.diversity(X) == pytest.approx(whole, abs=1e-14)


@pytest.mark.parametrize("rows", [X[:1], X * np.nan, X[0]])
def test_diversity_refuses_mistakes(rows):
    with pytest.raises(UserError):
        metrics.diversity(rows)


# Perceptual path length


def test_path_length_of_a_linear_generator_is_its_squared_stretch():
    start, end, matrix = waves((3, 5)), waves((3, 5), 1.3), waves((5, 7), 0.7)
    stretches = np.sort(np.square((end - start) @ matrix).sum(1))
    found = metrics.perceptual_path_length(lambda z: np.asarray(z, np.float64) @ matrix, start, end, straight)
    assert found == pytest.approx(stretches[1], rel=1e-8)  # of three paths, the lowest and highest hundredth are the ends


def straight(start, end, t):
    return start + t * (end - start)


def test_path_length_leaves_out_the_hundredth_at_either_end():
    start, end = np.zeros((201, 1)), np.ones((201, 1))
    end[:2] = 1e6
    end[-2:] = 0
    assert metrics.perceptual_path_length(lambda z: z, start, end, straight) == pytest.approx(1, rel=1e-8)


def test_path_length_along_the_arc_is_the_squared_angle():
    """On the unit circle slerp moves at constant speed: the angle between start and end."""
    start, end = np.tile([[1.0, 0.0]], (4, 1)), np.tile([[0.0, 1.0]], (4, 1))
    found = metrics.perceptual_path_length(lambda z: z, start, end)
    assert found == pytest.approx((np.pi / 2) ** 2, rel=5e-3)  # float32 latents
    jumps = metrics.perceptual_path_length(lambda z: np.sign(np.asarray(z) - 0.5), start, end, latents.lerp, seed=2)
    assert jumps == 0  # a generator that jumps moves nowhere else


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), r"\(3, 2\) and \(3, 4\)"),
        (np.zeros(3), np.zeros(3), r"latents \[n, size\]"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"latents \[n, size\]"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "NaN or infinite features"),
    ],
)
def test_path_length_refuses_mistakes(start, end, says):
    with pytest.raises(UserError, match=says):
        metrics.perceptual_path_length(lambda z: z, start, end, straight)
