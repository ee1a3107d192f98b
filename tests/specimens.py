"""What tests of data are made with."""

import numpy as np
import pytest

from jaxgan.types import UserError


def numbered(count, height=4, width=6, channels=3):
    """Makes images that differ from each other and from their mirror image; the first pixel is the image's number."""
    pixels = np.random.default_rng(7).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(count)[:, None]
    return pixels


def complaint(call, *args, **kwargs):
    """Returns the message of the UserError a call ends in."""
    with pytest.raises(UserError) as caught:
        call(*args, **kwargs)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def everything(dataset):
    """Returns all images of a set by the number in their first pixel."""
    pixels = np.concatenate([dataset.train.images, dataset.held_out.images])
    return pixels[np.argsort(pixels[:, 0, 0, 0])]
