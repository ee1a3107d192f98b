"""TensorFlow Datasets without TensorFlow: sets of its own format, made on the spot, and what a machine without a network says."""

import os

import numpy as np
import pytest
from PIL import Image
from specimens import complaint, everything, numbered

from jaxgan import data
from jaxgan.data import tfds


@pytest.fixture(scope="module")
def builders(tmp_path_factory):
    """Prepares three small data sets of TFDS's own format, without TensorFlow and without a network."""
    import tensorflow_datasets as library  # seconds that other tests need not pay

    place = tmp_path_factory.mktemp("tfds")

    class JaxganNumbered(library.core.GeneratorBasedBuilder):
        """Numbered images."""

        VERSION = library.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": library.features.Image(shape=(4, 6, 3), encoding_format="png"),
                "label": library.features.ClassLabel(num_classes=12),
                "note": library.features.Text(),
            }
            return library.core.DatasetInfo(builder=self, features=library.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {"train": self._generate_examples(12), "test": self._generate_examples(5)}

        def _generate_examples(self, count):
            for number, pixels in enumerate(numbered(count)):
                yield number, {"image": Image.fromarray(pixels), "label": number, "note": "x"}

    class JaxganMixed(JaxganNumbered):
        """Images of several sizes."""

        def _info(self):
            features = {"image": library.features.Image(shape=(None, None, 3), encoding_format="png")}
            return library.core.DatasetInfo(builder=self, features=library.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {"train": self._generate_examples(12)}

        def _generate_examples(self, count):
            for number in range(count):
                yield number, {"image": Image.fromarray(numbered(1, height=4 + number)[0])}

    class JaxganWords(JaxganMixed):
        """No images at all."""

        def _info(self):
            return library.core.DatasetInfo(
                builder=self, features=library.features.FeaturesDict({"text": library.features.Text()})
            )

        def _generate_examples(self, count):
            yield 0, {"text": "hello"}

    for builder in (JaxganNumbered, JaxganMixed, JaxganWords):
        builder(data_dir=place, file_format="array_record").download_and_prepare()
    return place


@pytest.fixture
def home(builders, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(builders))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jaxgan" / "data"


def test_tfds_is_read_once_and_kept_as_arrays(home, monkeypatch):
    dataset = data.load("tfds:jaxgan_numbered", labels=True)
    assert dataset.name == "tfds:jaxgan_numbered" and dataset.shape == (4, 6, 3) and dataset.num_classes == 12
    assert (len(dataset.train.images), len(dataset.held_out.images)) == (12, 5)
    np.testing.assert_array_equal(everything(dataset._replace(held_out=dataset.train))[::2], numbered(12))
    np.testing.assert_array_equal(dataset.train.labels, dataset.train.images[:, 0, 0, 0])
    assert [file.suffix for file in home.iterdir()] == [".npz"]

    with monkeypatch.context() as patch:
        patch.setattr(tfds, "prepare", None)  # a second call would fail
        again = data.load("tfds:jaxgan_numbered")
    np.testing.assert_array_equal(again.train.images, dataset.train.images)
    np.testing.assert_array_equal(again.held_out.labels, dataset.held_out.labels)

    next(home.iterdir()).write_bytes(b"half a file")
    np.testing.assert_array_equal(data.load("tfds:jaxgan_numbered").train.images, dataset.train.images)


def test_tfds_takes_versions_splits_and_sizes(home):
    assert len(data.load("tfds:jaxgan_numbered:1.0.0").train.images) == 12
    half = data.load("tfds:jaxgan_numbered:train[:50%]")
    assert (len(half.train.images), len(half.held_out.images)) == (5, 1)
    mixed = data.load("tfds:jaxgan_mixed", image_size=5)
    assert mixed.shape == (5, 5, 3) and len(mixed.train.images) == 11 and mixed.num_classes == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("tfds:jaxgan_numberd", "jaxgan_numbered"),
        ("tfds:no_such_set_at_all_xyz", "unknown"),
        ("tfds:jaxgan_numbered:9.9.9", "9.9.9"),
        ("tfds:jaxgan_numbered:valid", "train"),
        ("tfds:jaxgan_mixed", "--image_size"),
        ("tfds:jaxgan_words", "no feature 'image'"),
        ("tfds:!", "tfds:NAME"),
    ],
)
def test_tfds_says_what_is_wrong(home, spec, says):
    assert says in complaint(data.load, spec)
    assert not home.exists()


def test_tfds_without_a_network_gives_up_at_once(home, monkeypatch):
    import requests

    def unplugged(url, timeout):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "head", unplugged)
    before = sorted(os.walk(os.environ["TFDS_DATA_DIR"]))
    message = complaint(data.load, "tfds:cifar10")
    assert "cannot be reached" in message and "www.cs.toronto.edu" in message
    assert sorted(os.walk(os.environ["TFDS_DATA_DIR"])) == before and not home.exists()


def test_tfds_cache_that_cannot_be_written_is_done_without(home, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(data.load("tfds:jaxgan_numbered").train.images) == 12
