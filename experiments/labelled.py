"""What variants that learn from labels share: classes that are there, samples of every class, and how well labels are kept.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import functools

from experiments import features, wiring

COLUMNS = 20  # of a picture at most; one a class where there are no more


def classes(cfg: wiring.PairConfig, dataset) -> int:
    """Says how many classes the images have.

    Raises:
        UserError: points, or images without labels.
    """
    from jaxgan.types import UserError

    if len(dataset.shape) != 3 or not dataset.num_classes:
        raise UserError(f"--variant={cfg.variant} learns from labelled images, which {cfg.dataset} has not; take digits, for one")
    return dataset.num_classes


def told(network):
    """Lets a network that also takes labels be built from its first input alone, as `wiring.players` does."""
    import jax.numpy as jnp

    return network._replace(init=lambda key, x: network.init(key, x, jnp.zeros(len(x), jnp.int32)))


def experiment(cfg: wiring.PairConfig, dataset, axis_name: str | None, players: dict, gen, play=None, probes=()):
    """Makes a game with a conditional generator the experiment that the loop trains, shows and judges.

    Samples are of all classes in turn, a column of the picture each. Beside the scores of any images stand those of
    `metrics.label_agreement`, by a classifier that is trained on the data once and kept.

    Args:
        cfg, dataset, axis_name, players, play: as in `wiring.experiment`.
        gen: `(latents, label) -> images`.
        probes: as in `Experiment`.
    """
    import numpy as np

    from jaxgan import game, games, latents, metrics, networks, pictures
    from jaxgan.types import UserError

    count = classes(cfg, dataset)
    inputs = latents.with_labels(wiring.latent(cfg, dataset.shape), count)
    made = wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen), play, inputs)

    @functools.cache
    def agreement():
        """Needs the data, which an experiment that is only sampled from does not have."""
        held = features.stored_images(dataset, "held_out", min(cfg.eval_samples, len(dataset.held_out.images)))
        look = features.classifier_of(dataset)
        each = max(6, min(100, 10_000 // count))
        return metrics.label_agreement(look, np.concatenate(list(held.blocks())), held.labels, each * count)

    def stand(state, inputs, key, batches):
        mine = state.players["gen"]
        if not mine.stats:
            raise UserError("this generator has no BatchNorm; leave --standing_statistics out")
        net = networks.standing_statistics(gen, game.look(players["gen"], mine, averaged=True), inputs, key, batches)
        mine = mine._replace(ema=mine.ema._replace(stats=net.stats)) if mine.ema else mine._replace(stats=net.stats)
        return state._replace(players={**state.players, "gen": mine})

    return made._replace(
        metrics=(*made.metrics, lambda sample, key: agreement()(sample, key)),
        picture=functools.partial(pictures.grid, columns=min(count, COLUMNS)),
        probes=probes,
        stand=stand,
    )
