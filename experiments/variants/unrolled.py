"""Unrolled GAN: a generator that sees how the critic would answer, and lowers its loss after that answer.

Metz et al., 2017 (https://arxiv.org/abs/1611.02163). Differs from the plain GAN in the round alone: the generator's gradient
flows through `--unroll` turns of the critic and of its optimiser. Learning rates are those of the paper's ring: with a critic
as fast as the generator its answers are long steps, and modes are lost.

    python experiments/run.py --variant=unrolled
    python experiments/run.py --variant=unrolled --unroll=0         the same without looking ahead
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Unrolled GAN."""

    unroll: int = 5
    """Turns of the critic the generator looks ahead."""

    def validate(self) -> None:
        super().validate()
        if self.unroll < 0:
            raise ValueError(f"--unroll={self.unroll} must not be negative")


PRESETS = {"quick": Config(steps=3_000, learning_rate=1e-3, disc_learning_rate=1e-4)}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import optax

    from jaxgan import dynamics, games, objectives

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    losses = games.adversarial(gen, disc, objectives.non_saturating(), latent, joint=True)
    players = wiring.players(cfg, dataset.shape, gen, disc, losses)
    rate = wiring.schedule(cfg, cfg.disc_learning_rate or cfg.learning_rate, cfg.critic_turns)
    # Its optimiser is differentiated: where a gradient is zero, the derivative of Adam's square root is finite with eps_root.
    players["disc"] = players["disc"]._replace(optimizer=optax.adam(rate, b1=cfg.beta1, b2=cfg.beta2, eps_root=1e-8))
    play = dynamics.unrolled(players, "gen", "disc", cfg.unroll, cfg.critic_turns, axis_name)
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen), play)
