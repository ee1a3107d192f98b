"""Experiments: what composes the library into runs. `python experiments/run.py --help` lists them."""
