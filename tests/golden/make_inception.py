"""Makes the golden files of tests/test_inception.py from the PyTorch networks; run by hand, never by the tests.

    pip install pytorch-fid==0.3.0 torch-fidelity==0.4.0 --extra-index-url https://download.pytorch.org/whl/cpu
    python tests/golden/make_inception.py                      inception.npz and legacy.pth, beside this file
    python tests/golden/make_inception.py --images=64 OUT.npz  the same numbers of more and larger images, for a full comparison

inception.npz has the state dict's names and shapes, images, and what the two networks make of them with the weights of `draw`;
legacy.pth a small state dict as PyTorch before 1.6 stored it. Made with torch 2.13.0 and torchvision 0.29.1 on a CPU.
"""

import pathlib
import sys
import zlib

import numpy as np


def draw(name, shape):
    """The array of a state dict by that name: random, scaled so that the signal neither dies nor explodes."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith(("running_var", "bn.weight")):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 200
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))


def draw_images(count, height, width):
    """Half noise, half smooth: uint8 `[count, height, width, 3]`."""
    rng = np.random.default_rng(count)
    waves = np.sin(np.arange(height)[:, None, None] / 9 + np.arange(width)[:, None] / 5 + 2 * np.arange(3)) * 60 + 128
    noise = rng.uniform(-1, 1, (count, height, width, 3)) * np.linspace(20, 120, count)[:, None, None, None]
    return np.clip(np.rint(waves + noise), 0, 255).astype(np.uint8)


def main(out, *images):
    """Runs both networks on the images and stores what they give."""
    import tempfile
    from unittest import mock

    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # one for CUDA does not load beside torch for CPUs without these
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor a) -> Tensor")
    import pytorch_fid.inception as pytorch_fid
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with mock.patch.object(pytorch_fid, "load_state_dict_from_url"), mock.patch.object(torch.nn.Module, "load_state_dict"):
        network = pytorch_fid.fid_inception_v3().eval()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items() if value.is_floating_point()}
    state = {name: torch.from_numpy(draw(name, shape)) for name, shape in shapes.items()}
    network.load_state_dict(state, strict=False)
    with mock.patch.object(pytorch_fid, "fid_inception_v3", return_value=network):
        fid = pytorch_fid.InceptionV3().eval()
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save(network.state_dict(), file.name)
        names = ["2048", "logits_unbiased", "logits"]
        fidelity = FeatureExtractorInceptionV3("golden", names, feature_extractor_weights_path=file.name)

    def run(array):
        x = torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            pool3 = fid(x.float() / 255)[0][:, :, 0, 0]
            found = [*fidelity(x), pool3, network.fc(pool3)]
        return [value.numpy() for value in found]

    names = ["tensorflow/pool3", "tensorflow/logits_unbiased", "tensorflow/logits", "pytorch/pool3", "pytorch/logits"]
    rows = [run(array[i : i + 4]) for array in images for i in range(0, len(array), 4)]
    found = {name: np.concatenate(parts) for name, parts in zip(names, zip(*rows, strict=True), strict=True)}
    layout = [f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()]
    np.savez_compressed(out, layout=layout, **{f"images/{i}": array for i, array in enumerate(images)}, **found)


def store_state_dict(out):
    """Stores three arrays the old way: one that is not in C order, a part of a storage, a scalar."""
    from collections import OrderedDict

    import torch

    state = OrderedDict(
        weight=torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).permute(2, 0, 1),
        bias=torch.arange(10, dtype=torch.float32)[3:7],
        num_batches_tracked=torch.tensor(7),
    )
    torch.save(state, out, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    if len(sys.argv) > 1:
        count = int(sys.argv[1].removeprefix("--images=")) // 2
        main(sys.argv[2], draw_images(count, 32, 32), draw_images(count, 400, 320))
    else:
        main(here / "inception.npz", draw_images(2, 24, 36))
        store_state_dict(here / "legacy.pth")
