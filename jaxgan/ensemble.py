"""Several repetitions of one experiment as one program: the same game over states side by side."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.types import Experiment, Game, Metric, Phase, Probe, Variety

ABREAST = 4  # pictures in a row


def repeat(experiments: Sequence[Experiment]) -> Experiment:
    """Trains repetitions side by side by `vmap`, each with its own initial weights, noise and data, on one device.

    One program is compiled instead of many. All repetitions draw from one seed's stream, each its own keys, so that none of them
    is a run that another seed would give alone.

    Args:
        experiments: built alike, without an axis name, but for the seed of their batches; of the first, everything else is taken.

    Returns:
        An experiment whose state has a leading axis `[repetitions]` on every leaf. `infer` gives `[count, repetitions, ...]`.
        Reported losses are means. Every metric `name` is measured for each repetition and given as its mean, `name`, and its
        sample standard deviation, `name_sd`; "variety", which is watched for collapse, is that of the worst one. Pictures stand
        side by side.
    """
    first, count = experiments[0], len(experiments)

    def repeated(index: int, phase: Phase) -> Phase:
        def init(key):
            return jax.vmap(phase.game.init)(jax.random.split(key, count))

        def step(state, batch, key):
            apart = jax.tree.map(lambda x: x.reshape(x.shape[0], count, -1, *x.shape[2:]), batch)
            state, metrics = jax.vmap(phase.game.step, (0, 1, 0))(state, apart, jax.random.split(key, count))
            return state, {name: jnp.mean(values) for name, values in metrics.items()}

        def batch_at(step):
            own = [experiment.phases[index].batch_at(step) for experiment in experiments]
            return jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *own)

        return Phase(phase.until, Game(init, step, jax.vmap(phase.game.infer, (0, None), 1)), batch_at)

    def picture(samples):
        shown = [first.picture(np.asarray(samples)[:, i]) for i in range(count)]
        empty = [np.full_like(shown[0], 255)] * (-count % min(count, ABREAST))
        rows = np.split(np.stack(shown + empty), math.ceil(count / ABREAST))
        return np.concatenate([np.concatenate(row, axis=1) for row in rows])

    return Experiment(
        phases=tuple(repeated(i, phase) for i, phase in enumerate(first.phases)),
        inputs=first.inputs,
        picture=picture,
        metrics=tuple(_spread(metric, first.variety, count) for metric in first.metrics),
        variety=first.variety and Variety(lambda scores: scores["variety"], first.variety.least),
        probes=tuple(_probe_each(probe, count) for probe in first.probes),
    )


def _spread(metric: Metric, variety: Variety | None, count: int) -> Metric:
    """Measures every repetition: means under the metric's own names, in its order, then standard deviations."""

    def spread(sample, key):
        drawn: dict[tuple, Any] = {}

        def of(i):
            def own(key, n):
                asked = (np.asarray(jax.random.key_data(key)).tobytes(), n)
                if asked not in drawn:  # all repetitions come at once
                    drawn[asked] = sample(key, n)
                return drawn[asked][:, i]

            return own

        found = [metric(of(i), key) for i in range(count)]
        worst = {"variety": min(variety.share(scores) for scores in found)} if variety else {}
        return _over_repetitions(found) | worst

    return spread


def _probe_each(probe: Probe, count: int) -> Probe:
    """Probes every repetition."""
    each = lambda state, i: jax.tree.map(lambda x: x[i], state)
    return lambda state, key: _over_repetitions([probe(each(state, i), key) for i in range(count)])


def _over_repetitions(found: list) -> dict[str, float]:
    """Gives means under the names that scores have, in their order, then standard deviations."""
    values = {name: [scores[name] for scores in found] for name in found[0]}
    means = {name: float(np.mean(value)) for name, value in values.items()}
    return means | {f"{name}_sd": float(np.std(value, ddof=1)) for name, value in values.items()}
