"""The FID Inception network: numbers of the PyTorch networks (golden/make_inception.py), weights, resizing, images (issue 5)."""

import hashlib
import math
import os
import pickle
from pathlib import Path

import jax
import numpy as np
import pytest
from golden.make_inception import draw

from experiments import convert_inception
from jaxgan import inception
from jaxgan.types import UserError

GOLDEN = Path(__file__).parent / "golden"
SHAPES = jax.eval_shape(inception.NETWORK.init, jax.random.key(0), np.zeros((1, 299, 299, 3), np.float32))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "inception.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def state(golden):
    lines = (line.split() for line in golden["layout"])
    return {name: draw(name, tuple(map(int, shape.split("x")))) for name, shape in lines}


@pytest.fixture(scope="module")
def weights(state):
    return inception.from_state_dict(state)


def test_parameters():
    """Ground truth B8."""
    params, stats = SHAPES
    count = lambda tree: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
    assert count(params) == 23_850_960
    assert count(params) - count(params["fc"]) == 21_785_568
    assert count(stats) == 34_432


def test_the_published_layout_fills_the_network(state, weights):
    assert jax.tree.map(np.shape, tuple(weights)) == jax.tree.map(lambda leaf: leaf.shape, SHAPES)
    assert len(jax.tree.leaves(weights)) == len(state)


# Against PyTorch


@pytest.mark.parametrize("resize", ["tensorflow", "pytorch"])
def test_features_are_those_of_torch_fidelity_and_pytorch_fid(golden, weights, resize):
    """Measured: 4e-6 of the features' size at most, and 0.4 % of it or more on average for every mistake tried in the network.

    The mistakes: pools that count the padding, no max pool in Mixed_7c, another epsilon, the other resizing, 127.5 for 128.
    """
    found = inception.extractor(weights, resize, batch_size=2)(golden["images/0"].astype(np.float32) / 127.5 - 1)
    expected = {name.removeprefix(f"{resize}/"): rows for name, rows in golden.items() if name.startswith(resize)}
    assert len(expected) == 3 if resize == "tensorflow" else 2
    for name, rows in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], rows, rtol=0, atol=2e-5 * np.sqrt(np.mean(rows**2)), err_msg=name)


def test_features_depend_on_the_image_alone(weights, monkeypatch):
    """Neither on how many others there are, nor on which."""
    monkeypatch.setattr(inception, "_program", lambda: lambda weights, x: {"pool3": x.mean((1, 2, 3)).reshape(-1, 1)})
    images = np.random.default_rng(0).uniform(-1, 1, (7, 5, 6, 3))
    features = inception.extractor(weights, batch_size=3)
    together = features(images)["pool3"]
    assert together.shape == (7, 1) and len(np.unique(together)) == 7
    np.testing.assert_array_equal(together, np.concatenate([features(images[i : i + 1])["pool3"] for i in range(7)]))


def test_the_network_computes_in_float32_on_every_backend(weights, monkeypatch):
    seen, program = [], inception._program()

    def lower(weights, x):
        seen.append(program.lower(weights, x).as_text())
        return {"pool3": x}

    monkeypatch.setattr(inception, "_program", lambda: lower)
    inception.extractor(weights, batch_size=1)(np.zeros((1, 4, 4, 3)))
    products = [line for line in seen[0].splitlines() if "stablehlo.convolution" in line or "stablehlo.dot_general" in line]
    assert len(products) == 95 and all(line.count("HIGHEST") == 2 for line in products)


# Images


def resized(image, resize):
    return np.asarray(inception._resize(np.float32(image)[None, ..., None], inception.RESIZINGS[resize]))[0, ..., 0]


def by_definition(image, resize):
    """Each pixel of the result weighs those of the image by a tent of width 2, in float64."""
    offset, middle = {"tensorflow": (0, 128), "pytorch": (0.5, 127.5)}[resize]
    tents = []
    for n in image.shape:
        places = np.clip((np.arange(299) + offset) * n / 299 - offset, 0, n - 1)
        tents.append(np.maximum(1 - np.abs(places[:, None] - np.arange(n)), 0))
    return tents[0] @ image @ tents[1].T / middle - 1


@pytest.mark.parametrize("resize", ["tensorflow", "pytorch"])
@pytest.mark.parametrize("shape", [(1, 2), (28, 33), (299, 310), (640, 301)])
def test_resizing(resize, shape):
    """Places are float32, as in both references, and two neighbouring pixels differ by 2 at most."""
    image = np.random.default_rng(0).integers(0, 256, shape)
    atol = 2 * 2 * np.finfo(np.float32).eps * max(shape)
    np.testing.assert_allclose(resized(image, resize), by_definition(image, resize), rtol=0, atol=atol)


def test_an_image_of_299_pixels_is_not_resized():
    image = np.random.default_rng(0).integers(0, 256, (299, 299)).astype(np.float32)
    np.testing.assert_array_equal(resized(image, "tensorflow"), (image - 128) / 128)
    np.testing.assert_allclose(resized(image, "pytorch"), image / 127.5 - 1, atol=1e-6)


def test_images_are_rounded_to_levels_and_grey_is_three_times_the_same():
    levels = np.arange(256).reshape(1, 16, 16, 1)
    for dtype in (np.float32, np.float64):
        images = levels.astype(dtype) / dtype(127.5) - 1
        found = inception._levels(images + dtype(0.49 / 127.5))
        np.testing.assert_array_equal(found, np.repeat(levels, 3, axis=3))


@pytest.mark.parametrize(
    "images, told",
    [
        (np.zeros((2, 8, 8)), r"\[n, height, width, 1 or 3\], not an array of shape \(2, 8, 8\)"),
        (np.zeros((2, 8, 8, 4)), r"shape \(2, 8, 8, 4\)"),
        (np.zeros((0, 8, 8, 3)), r"shape \(0, 8, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"not uint8; for uint8: images / 127.5 - 1"),
        (np.full((2, 8, 8, 3), 255.0), r"\[-1, 1\], and these go from 255 to 255"),
        (np.full((2, 8, 8, 3), -1.01), r"from -1.01 to -1.01"),
        (np.full((2, 8, 8, 3), np.nan), r"from nan to nan"),
    ],
)
def test_what_is_no_image_is_refused(weights, images, told):
    with pytest.raises(UserError, match=told):
        inception.extractor(weights)(images)


def test_unknown_settings_are_refused(weights):
    with pytest.raises(UserError, match="unknown resizing 'bicubic'; choose from tensorflow, pytorch"):
        inception.extractor(weights, "bicubic")
    with pytest.raises(UserError, match="batch_size=0"):
        inception.extractor(weights, batch_size=0)


# Weights


def legacy():
    return (GOLDEN / "legacy.pth").read_bytes()


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Makes the small state dict the published one, at a file:// address, and the cache empty."""
    source = tmp_path / "weights.pth"
    source.write_bytes(legacy())
    for module in (convert_inception, inception):
        monkeypatch.setattr(module, "SOURCE", source.as_uri())
        monkeypatch.setattr(module, "SHA256", hashlib.sha256(legacy()).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXGAN_INCEPTION", raising=False)
    return source


def test_a_state_dict_of_pytorch_is_read_without_it():
    arrays = convert_inception.state_dict(legacy())
    assert list(arrays) == ["weight", "bias", "num_batches_tracked"]
    np.testing.assert_array_equal(arrays["weight"], np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1))
    np.testing.assert_array_equal(arrays["bias"], np.arange(3, 7, dtype=np.float32))
    assert arrays["num_batches_tracked"] == 7 and arrays["num_batches_tracked"].dtype == np.int64


def test_a_pickle_that_asks_for_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    bad = convert_inception.MAGIC + b"".join(pickle.dumps(part, 2) for part in (1001, {}, Evil(), []))
    with pytest.raises(UserError, match=r"asks for \w+.mkdir; it holds more than tensors"):
        convert_inception.state_dict(bad)
    assert not (tmp_path / "made").exists()


def test_a_view_beyond_its_file_and_another_format_are_refused():
    with pytest.raises((TypeError, ValueError)):
        convert_inception.state_dict(legacy()[:-30])
    with pytest.raises(UserError, match=r"before version 1\.6"):
        convert_inception.state_dict(b"PK\x03\x04")


def test_weights_are_downloaded_converted_and_kept(published):
    file = convert_inception.weights_file()
    assert file == convert_inception.cached()
    published.unlink()
    assert convert_inception.weights_file() == file  # now from the cache
    with np.load(file, allow_pickle=False) as archive:
        assert archive["source"] == inception.SHA256
        np.testing.assert_array_equal(archive["bias"], np.arange(3, 7))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_weights_may_be_named(published, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXGAN_INCEPTION", str(tmp_path / "mine.npz"))
    assert convert_inception.weights_file() == tmp_path / "mine.npz"
    assert convert_inception.weights_file("other.npz") == Path("other.npz")


def test_what_is_converted_is_read_back(state, weights, monkeypatch, tmp_path):
    monkeypatch.setattr(convert_inception, "state_dict", lambda data: state)
    monkeypatch.setattr(convert_inception, "SHA256", hashlib.sha256(b"").hexdigest())
    monkeypatch.setattr(inception, "SHA256", convert_inception.SHA256)
    convert_inception.convert(b"", tmp_path / "folder" / "weights.npz")
    jax.tree.map(np.testing.assert_array_equal, inception.load_weights(tmp_path / "folder" / "weights.npz"), weights)


def test_without_a_network_one_line_says_where_to_get_them(published):
    published.unlink()
    with pytest.raises(UserError, match=r"file://.* cannot be downloaded .*; fetch it elsewhere \(SHA-256 \w{64}\)"):
        convert_inception.weights_file()


def test_the_command_line(published, tmp_path, capsys):
    out = tmp_path / "weights.npz"
    assert convert_inception.main([f"--source={published}", f"--out={out}"]) == 0
    assert capsys.readouterr().out == f"Inception weights: {out}\n"
    published.write_bytes(legacy()[:-1] + b"!")
    (tmp_path / "file").touch()
    for flags, told in {
        (f"--source={published}", f"--out={out}"): "these are not the published Inception weights: SHA-256 ",
        (f"--source={tmp_path / 'none.pth'}",): f"{tmp_path / 'none.pth'} cannot be read (No such file or directory)",
    }.items():
        with pytest.raises(SystemExit) as end:
            convert_inception.main(list(flags))
        error = capsys.readouterr().err
        assert end.value.code == 2 and error.startswith(f"error: {told}") and error.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named(published, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*weights.npz .*; give another --out"):
        convert_inception.convert(legacy(), tmp_path / "file" / "weights.npz")


def test_weights_from_elsewhere_are_refused(tmp_path):
    file = tmp_path / "weights.npz"
    with pytest.raises(UserError, match=r"no Inception weights at .*weights.npz; python experiments/convert_inception.py"):
        inception.load_weights(file)
    for arrays in ({"fc.bias": np.zeros(3)}, {"source": np.array("0" * 64)}):
        np.savez(file, **arrays)
        with pytest.raises(UserError, match="does not hold the weights that FID is defined by"):
            inception.load_weights(file)
    np.savez(file, source=np.array(inception.SHA256), evil=np.array([{}]))
    with pytest.raises(UserError, match=r"no sound .npz .*allow_pickle"):
        inception.load_weights(file)
    for content in (legacy(), b"", file.read_bytes()[:-40]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"no sound .npz"):
            inception.load_weights(file)
