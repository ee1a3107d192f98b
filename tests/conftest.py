"""What every test runs under: four fake CPU devices, no silent rank promotion, a compilation cache, no display.

All of it goes through the environment, before anything imports JAX, so that processes started by tests have it, too; what the
user has set stays.
"""

import os

from experiments.config import cache_directory

DEVICES = "--xla_force_host_platform_device_count"

flags = os.environ.get("XLA_FLAGS", "")
if DEVICES not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} {DEVICES}=4".strip()
for name, value in {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_COMPILATION_CACHE_DIR": str(cache_directory() / "xla"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    "MPLBACKEND": "Agg",
}.items():
    os.environ.setdefault(name, value)
