"""What every test runs under: four fake CPU devices, quick compilation and a cache of it, no silent rank promotion, no display.

Nearly all the time goes into compiling what runs once. LLVM is told not to optimise its share of it, which is the machine code
of what XLA has rewritten and fused as ever; convolutions and products come from libraries.

All of it goes through the environment, before anything imports JAX, so that processes started by tests have it, too; what the
user has set stays.
"""

import os

from experiments.config import cache_directory

for flag, value in {"--xla_force_host_platform_device_count": 4, "--xla_backend_optimization_level": 0}.items():
    flags = os.environ.get("XLA_FLAGS", "")
    if flag not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}={value}".strip()
for name, value in {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_COMPILATION_CACHE_DIR": str(cache_directory() / "xla"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    "MPLBACKEND": "Agg",
}.items():
    os.environ.setdefault(name, value)
