"""Classifier without a defence: what attacks are tried on, and defences compared with.

python experiments/run.py --variant=classifier
python experiments/run.py --variant=classifier --dataset=idx:/usr/share/datasets/fashion-mnist
python experiments/attack.py runs/classifier-digits-0 --attack=suite --eps=.1
"""

import dataclasses

from experiments import robust


@dataclasses.dataclass(frozen=True)
class Config(robust.ClassifierConfig):
    """Cross-entropy alone."""


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan.games import robust as defences

    classifier = robust.network(cfg, cfg.width, dataset)
    return robust.experiment(cfg, dataset, axis_name, classifier, defences.classification(classifier), deciding="error")
