"""One step on one device or on many: `pmap`, `shard_map` and `jit` over the same pure function.

A step is written once, against an `axis_name` or None. Inside it, `vary` and `average` make gradients global and `draw` makes
random numbers independent of the device count. Outside it, `Plan` spreads the batch and keeps the state whole: nothing outside
this module ever sees an array stacked by device.

`pmap` is the default on several devices. JAX keeps it in maintenance mode, as a wrapper of jit and shard_map; the tests hold
all three modes to the same numbers.
"""

import ctypes
import functools
import logging
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.types import PyTree, Sampler, UserError

AXIS = "devices"
_log = logging.getLogger(__name__)


def vary(tree: PyTree, axis_name: str | None) -> PyTree:
    """Marks replicated arrays as differing by device, so that gradients with respect to them stay local until averaged.

    Without it `shard_map` sums the gradient over devices by itself and a later average is silently N times too large.
    """
    return tree if axis_name is None else jax.tree.map(lambda x: jax.lax.pcast(x, axis_name, to="varying"), tree)


def average(tree: PyTree, axis_name: str | None) -> PyTree:
    """Averages every leaf over the devices; the identity when `axis_name` is None."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def draw(sampler: Sampler, axis_name: str | None) -> Sampler:
    """Makes a sampler draw for the whole batch and keep the own device's slice.

    The numbers then depend on the key and the example alone, so 1, 2 and 4 devices train on the same latents.

    Args:
        sampler: `(key, count) -> leaves [count, ...]`.
        axis_name: the axis the devices stand on, or None for the sampler itself.
    """
    if axis_name is None:
        return sampler

    def own(key, count):
        everything = sampler(key, count * jax.lax.axis_size(axis_name))
        start = jax.lax.axis_index(axis_name) * count
        return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, count), everything)

    return own


class Plan(NamedTuple):
    """How steps run: in which mode, on which devices.

    Attributes:
        mode: "pmap", "shard_map" or "jit".
        mesh: the devices, on one axis named `AXIS`.
        precision: what the networks compute in, "float32" or "bfloat16"; chooses the compiler's options.
    """

    mode: str
    mesh: Mesh
    precision: str = "float32"

    @property
    def axis_name(self) -> str | None:
        """What to build games with. Under `jit` the compiler sees the whole batch, and a step needs no axis."""
        return None if self.mode == "jit" else AXIS

    def replicate(self, tree: PyTree) -> PyTree:
        """Puts a whole copy of every leaf on every device."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def spread(self, batch: PyTree) -> PyTree:
        """Splits leaves `[slices, batch, ...]` along `batch`, a part for each device."""
        return jax.device_put(batch, NamedSharding(self.mesh, PartitionSpec(None, AXIS)))

    def compile(self, step: Callable) -> Callable:
        """Compiles a game's step.

        Args:
            step: pure `(state, batch, key) -> (state, metrics)`, built with `axis_name=self.axis_name`.

        Returns:
            The same signature over whole states and global batches `[slices, batch, ...]`. The given state is consumed.
        """
        return _MODES[self.mode](step, self)


@functools.cache
def compiler_options(precision: str = "float32") -> dict[str, str | bool | int]:
    """What `jax.jit(..., compiler_options=...)` should be told, so that convolutions and matrix products run fast.

    On CPUs XLA's YNN library runs gradients of kernels slowly and is left out. oneDNN is taken for bfloat16 alone, where the CPU
    multiplies it (AVX-512 BF16, with or without AMX), three to six times as fast as XLA's own convolutions; those of float32 lose
    by it, and a program with oneDNN cannot be kept in the compilation cache. Such CPUs are also given their full vectors, which
    older ones slow down for. An option that this version of XLA does not know is left out, and told of in the log. Other backends
    need none, and `pmap` takes none.

    Args:
        precision: what the networks compute in, "float32" or "bfloat16".
    """
    if jax.default_backend() != "cpu":
        return {}
    wanted: dict[str, str | bool | int] = {"xla_cpu_experimental_ynn_fusion_type": ""}
    multiplies = "avx512_bf16" in cpu_features()
    if multiplies:
        wanted["xla_cpu_prefer_vector_width"] = 512
    if precision == "bfloat16" and multiplies:
        wanted["xla_cpu_experimental_onednn_custom_call"] = True
    elif precision == "bfloat16":
        _log.warning("bfloat16 is slow on this CPU, which has no instructions for it that XLA uses: float32 is faster")
    known = {}
    for name, value in wanted.items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
            known[name] = value
        except jax.errors.JaxRuntimeError:
            _log.info("this version of XLA does not know %s; going on without, perhaps more slowly", name)
    return known


def keep_freed_memory() -> None:
    """Makes this process keep freed memory for its next use; programs call it once, at their start.

    By default the C library returns every large buffer to the system, and a step on CPUs spends up to a fifth of its time on the
    page faults of getting it back. The price is that the process may hold twice what a step needs. glibc alone knows how;
    elsewhere nothing happens. Every thread keeps an arena of its own: in a single one, among what a compilation left behind,
    steps of small networks take up to twice as long.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # the names of mallopt(3)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(trim_threshold, -1)
        mallopt(top_pad, 2**26)  # the size of a thread's heap: none is given back
        mallopt(mmap_max, 0)


@functools.cache
def cpu_features() -> str:
    """What Linux knows of the CPU; nothing elsewhere."""
    path = pathlib.Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def make_plan(mode: str = "auto", devices: int = 0, batch_size: int | None = None, precision: str = "float32") -> Plan:
    """Chooses devices and mode.

    Args:
        mode: "pmap", "shard_map", "jit", or "auto": jit on one device, pmap on several.
        devices: how many of the visible devices to use; 0 for all.
        batch_size: checked to be divisible by the number of devices, where given.
        precision: what the networks compute in.

    Raises:
        UserError: more devices asked for than there are, an unknown mode, or a batch that cannot be split evenly.
    """
    visible = jax.devices()
    count = devices or len(visible)
    if count > len(visible):
        raise UserError(f"--devices={count}, but JAX sees {len(visible)} ({visible[0].platform}); ask for at most {len(visible)}")
    if batch_size is not None and batch_size % count:
        raise UserError(
            f"--batch_size={batch_size} cannot be split over {count} devices; take a multiple of {count}, or fewer --devices"
        )
    if mode == "auto":
        mode = "pmap" if count > 1 else "jit"
    if mode not in _MODES:
        raise UserError(f"unknown parallel mode '{mode}'; choose auto, {', '.join(_MODES)}")
    return Plan(mode, Mesh(np.array(visible[:count]), (AXIS,)), precision)


def _pmap(step, plan):
    # State, key and metrics go in and out whole (axes None): pmap never stacks them.
    stacked = jax.pmap(
        step, AXIS, in_axes=(None, 1, None), out_axes=(None, None), donate_argnums=0, devices=list(plan.mesh.devices.flat)
    )

    def run(state, batch, key):
        split = jax.tree.map(lambda x: jnp.reshape(x, (x.shape[0], plan.mesh.size, -1, *x.shape[2:])), batch)
        return stacked(state, split, key)

    return run


def _shard_map(step, plan):
    whole, split = PartitionSpec(), PartitionSpec(None, AXIS)
    spread = jax.shard_map(step, mesh=plan.mesh, in_specs=(whole, split, whole), out_specs=(whole, whole))
    return jax.jit(spread, donate_argnums=0, compiler_options=compiler_options(plan.precision))


def _jit(step, plan):
    whole, split = NamedSharding(plan.mesh, PartitionSpec()), NamedSharding(plan.mesh, PartitionSpec(None, AXIS))
    shardings = {"in_shardings": (whole, split, whole), "out_shardings": (whole, whole)}
    return jax.jit(step, donate_argnums=0, compiler_options=compiler_options(plan.precision), **shardings)


_MODES = {"pmap": _pmap, "shard_map": _shard_map, "jit": _jit}
