"""Fetches the weights of the Inception network that FID is defined by, and makes an .npz of them. PyTorch is not needed.

python experiments/convert_inception.py                       downloads them (91 MiB) and keeps them in the cache directory
python experiments/convert_inception.py --source=FILE.pth     where there is no network: the published file, brought along
"""

import collections
import contextlib
import dataclasses
import hashlib
import http.client
import io
import os
import pathlib
import pickle
import sys
import urllib.request
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import wrap_file

from experiments import config
from jaxgan.inception import SHA256, SOURCE
from jaxgan.types import UserError

BYTES = 95_628_359  # of the published file
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)  # what torch.save began with before version 1.6


@dataclasses.dataclass(frozen=True)
class Request:
    """Makes an .npz of the published Inception weights."""

    source: str = ""
    """The published .pth; downloaded if empty."""
    out: str = ""
    """Where to; the cache directory, where evaluation looks, if empty."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    request = config.read_flags(argv, Request(), __doc__)
    out = pathlib.Path(request.out).expanduser() if request.out else cached()
    try:
        convert(read(pathlib.Path(request.source).expanduser()) if request.source else download(), out)
    except UserError as error:
        config.fail(error)
    print(f"Inception weights: {out}")
    return 0


def weights_file(named: str = "") -> pathlib.Path:
    """Finds the weights for `jaxgan.inception.load_weights`, or downloads and converts them.

    Args:
        named: by the user, on the command line; if empty, $JAXGAN_INCEPTION names them, or else they are in the cache directory.

    Raises:
        UserError: they are named nowhere, not in the cache, and cannot be downloaded.
    """
    named = named or os.environ.get("JAXGAN_INCEPTION", "")
    if named:
        return pathlib.Path(named).expanduser()
    if not cached().exists():
        convert(download(), cached())
    return cached()


def cached() -> pathlib.Path:
    """Where the weights are kept between runs."""
    return config.cache_directory() / "inception-2015-12-05.npz"


def download() -> bytes:
    """Downloads the published file.

    Raises:
        UserError: it cannot be reached.
    """
    try:
        with (
            urllib.request.urlopen(SOURCE, timeout=30) as response,
            wrap_file(response, BYTES, description="Inception weights", console=Console(stderr=True)) as file,
        ):
            return b"".join(iter(lambda: file.read(2**20), b""))
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"no Inception weights: {SOURCE} cannot be downloaded ({error}); fetch it elsewhere (SHA-256 {SHA256}), "
            "then run python experiments/convert_inception.py --source=FILE"
        ) from None


def read(file: pathlib.Path) -> bytes:
    """Reads a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); name the published .pth by --source") from None


def convert(data: bytes, out: pathlib.Path) -> None:
    """Checks that bytes are the published file, and writes its arrays.

    Args:
        data: of the `.pth`.
        out: appears whole or not at all; an `.npz` of arrays by name, and "source", the SHA-256 of `data`.

    Raises:
        UserError: other bytes, or `out` cannot be written.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise UserError(f"these are not the published Inception weights: SHA-256 {found}, not {SHA256}; fetch {SOURCE}")
    arrays, part = state_dict(data), out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, source=np.array(found), **arrays)
        part.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise UserError(f"cannot write {out} ({error.strerror}); give another --out") from None


def state_dict(data: bytes) -> dict[str, np.ndarray]:
    """Reads what `torch.save(network.state_dict())` wrote before PyTorch 1.6, and runs nothing that a pickle may ask for.

    Such a file holds five pickles (a magic number, a version, facts on the machine, tensors as views of storages, the storages'
    order), and then the length and the numbers of each storage.

    Args:
        data: the whole file, of a little-endian machine.

    Returns:
        Read-only arrays by name.

    Raises:
        UserError: another format, or a pickle that asks for anything but tensors of float32 and int64.
    """
    if not data.startswith(MAGIC):
        raise UserError("this is no state dict as PyTorch saved it before version 1.6")
    file = io.BytesIO(data)
    _, _, _, views, order = (_Tensors(file).load() for _ in range(5))
    dtypes, starts = {view.storage.key: view.storage.dtype for view in views.values()}, {}
    for key in order:
        length = int.from_bytes(file.read(8), "little")
        starts[key] = file.tell()
        file.seek(length * dtypes[key].itemsize, os.SEEK_CUR)
    return {name: view.array(data, starts[view.storage.key]) for name, view in views.items()}


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str


class _View(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, data, start):
        size = self.storage.dtype.itemsize
        strides = tuple(size * stride for stride in self.strides)
        return np.ndarray(self.shape, self.storage.dtype, data, start + size * self.offset, strides)  # refuses to leave the data


class _Tensors(pickle.Unpickler):
    """Knows tensors and what stands around them in a state dict; whatever else a pickle names is refused, and never imported."""

    known = {  # noqa: RUF012
        "collections.OrderedDict": collections.OrderedDict,
        "torch._utils._rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _View(storage, offset, shape, strides),
        "torch.FloatStorage": np.dtype("<f4"),
        "torch.LongStorage": np.dtype("<i8"),
    }

    def find_class(self, module, name):
        if f"{module}.{name}" not in self.known:
            raise UserError(f"the file asks for {module}.{name}; it holds more than tensors and is not read")
        return self.known[f"{module}.{name}"]

    def persistent_load(self, pid):
        _, dtype, key, _, _, within = pid
        if within is not None:
            raise UserError("the file shares storages between tensors, which is not supported")
        return _Storage(dtype, key)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
