"""The variants, one file each: `experiments/variants/<name>.py` is what `--variant=<name>` runs; there is no other registry.

A variant is a module with

    a docstring            whose first line tells what it is; `--help` shows it
    Config(RunConfig)      a frozen dataclass with the variant's own flags, a docstring under each
    PRESETS                {"quick": Config(...), "paper": Config(...)}
    experiment(cfg, dataset, axis_name=None) -> jaxgan.types.Experiment

where `dataset` is a `jaxgan.data.Dataset` and `axis_name` what the devices stand on. JAX, and whatever imports it, is imported
inside functions alone, so that `--help` answers at once.
"""
