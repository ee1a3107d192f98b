"""OrthoGAN: a critic whose kernels are pulled towards orthogonality, all singular values one.

The penalty is Brock et al., 2017, equation 3 (https://arxiv.org/abs/1609.07093), on the critic as in Miyato et al., 2018,
section 4, who compare it with spectral norm under the hinge objective. `--off_diagonal` punishes angles and lets lengths be,
as BigGAN does.

    python experiments/run.py --variant=orthogan
    python experiments/run.py --variant=orthogan --dataset=digits
"""

import dataclasses

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """Hinge GAN with orthogonal regularisation."""

    ortho_weight: float = 0.01
    """Weight of the squared distance from orthogonality."""
    off_diagonal: bool = False
    """Punish angles between outputs alone."""

    def validate(self) -> None:
        super().validate()
        if self.ortho_weight < 0:
            raise ValueError(f"--ortho_weight={self.ortho_weight} must not be negative")


PRESETS = {"quick": Config()}


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, objectives, penalties

    gen, disc, latent = wiring.pieces(cfg, dataset.shape, axis_name)
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.hinge(), latent, joint=True)
    disc_loss = games.add_term(disc_loss, "disc", penalties.orthogonal(cfg.ortho_weight, cfg.off_diagonal))
    players = wiring.players(cfg, dataset.shape, gen, disc, (disc_loss, gen_loss))
    return wiring.experiment(cfg, dataset, axis_name, players, games.generate(gen))
