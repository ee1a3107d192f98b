"""VEEGAN: a reconstructor maps data back to latents, and the critic compares pairs of both, which tells of modes left out.

Srivastava et al., 2017 (https://arxiv.org/abs/1705.07761). Differs from the plain GAN in the reconstructor, which stands beside
the generator under one optimiser, and in the critic, which sees an example and a latent together. Both are perceptrons, on
images, too.

    python experiments/run.py --variant=veegan
    python experiments/run.py --variant=veegan --dataset=grid
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """VEEGAN."""

    weight: float = 1.0
    """Weight of the reconstruction of latents, 1 in the paper."""

    def validate(self) -> None:
        super().validate()
        if self.weight < 0:
            raise ValueError(f"--weight={self.weight} must not be negative")


PRESETS = {"quick": Config(learning_rate=1e-3)}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import jax.numpy as jnp

    from jaxgan import games
    from jaxgan.nets import mlp
    from jaxgan.networks import compute_in, from_linen
    from jaxgan.types import Network

    gen, _, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    example, code = jnp.zeros((1, *dataset.shape)), jnp.zeros((1, wiring.latent_size(cfg, dataset.shape)))
    flat = lambda x: x.reshape(len(x), -1)
    own = compute_in(from_linen(mlp.Generator(code.shape[1:])), cfg.precision)
    rec = Network(own.init, lambda params, stats, x, **how: own.apply(params, stats, flat(x), **how))
    judge = compute_in(from_linen(mlp.Discriminator()), cfg.precision)
    disc = Network(
        lambda key, x, z: judge.init(key, jnp.concatenate([flat(x), z], axis=1)),
        lambda params, stats, x, z, **how: judge.apply(params, stats, jnp.concatenate([flat(x), z], axis=1), **how),
    )

    def both(key):
        gen_key, rec_key = jax.random.split(key)
        made = {"gen": gen.init(gen_key, code), "rec": rec.init(rec_key, flat(example))}
        return tuple({name: part[i] for name, part in made.items()} for i in range(2))

    players = wiring.players(cfg, dataset.shape, gen, disc, games.veegan(gen, rec, disc, latent, cfg.weight))
    players["gen"] = players["gen"]._replace(init=both)
    players["disc"] = players["disc"]._replace(init=lambda key: disc.init(key, example, code))

    def infer(nets, inputs):
        weights, stats = nets["gen"]
        return gen.apply(weights["gen"], stats["gen"], inputs, train=False)[0]

    return wiring.experiment(cfg, dataset, axis_name, players, infer)
