"""BigGAN: large batches, hierarchical latents, orthogonal regularisation, and latents truncated when samples are drawn.

Brock et al., 2019 (https://arxiv.org/abs/1809.11096). SAGAN's game with one embedding of the class and a chunk of the latent
told to every block, an orthogonal penalty on the generator's weights, and a late moving average. Large batches are taken
`--accumulate` examples at a time where memory is short, with the same gradient. The three largest singular values of each
player's steepest kernel are reported as `gen_sigma_1` and so on: before a training collapses, they run away.

    python experiments/run.py --variant=biggan                                         digits, 3 to 4 minutes: agreement 0.99
    python experiments/sample.py runs/biggan-digits-0 --truncation=0.5
    python experiments/run.py --variant=biggan --preset=paper --dataset=folder:DIR     128x128 pixels, ImageNet's settings
"""

import dataclasses
import functools

from experiments import labelled, wiring
from experiments.variants import sagan


@dataclasses.dataclass(frozen=True)
class Config(sagan.Config):
    """Large batches, orthogonal kernels."""

    latent_size: int = 60
    """Components of a latent, a multiple of one more than the generator's blocks."""
    shared_size: int = 32
    """Length of the embedding of the class that the generator's blocks share."""
    orthogonal: float = 1e-4
    """Weight of the orthogonal penalty on the generator's weights."""
    clamp: float = 0.0
    """Clamp the generator's top singular values at this instead of dividing by them; 0 for spectral norm."""
    epsilon: float = 1e-8
    """What Adam adds to the root of the second moment."""
    accumulate: int = 0
    """Examples that pass through a network at a time, on a device; 0 for the whole batch."""
    ema_start: int = 500
    """Rounds after which the moving average begins."""

    def validate(self) -> None:
        super().validate()
        for name in ("orthogonal", "clamp", "accumulate", "ema_start"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")
        if self.epsilon <= 0:
            raise ValueError(f"--epsilon={self.epsilon} must be above 0")
        if self.shared_size < 1:
            raise ValueError(f"--shared_size={self.shared_size} must be at least 1")


PRESETS = {
    "quick": Config(
        dataset="digits", steps=3_000, batch_size=64, learning_rate=5e-4, disc_learning_rate=2e-3, beta1=0.0, beta2=0.99,
        decay=0.5, ema_decay=0.995, log_every=100, eval_every=750, sample_every=500, checkpoint_every=750,
    ),
    "paper": Config(
        dataset="tfds:imagenet2012", image_size=128, steps=150_000, batch_size=2048, critic_turns=2, latent_size=120,
        gen_width=96, disc_width=96, multipliers=(16, 16, 8, 4, 2, 1), shared_size=128, learning_rate=5e-5,
        disc_learning_rate=2e-4, beta1=0.0, epsilon=1e-6, ema_decay=0.9999, ema_start=20_000, flips=True,
        eval_every=10_000, sample_every=5_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    from jaxgan import games, lipschitz, networks, objectives, parallel, penalties, transforms
    from jaxgan.nets import biggan

    generator = functools.partial(biggan.Generator, shared=cfg.shared_size)
    pair = sagan.attentive(cfg, dataset, axis_name, generator, biggan.Discriminator)
    gen, disc = (labelled.told(networks.accumulate(network, cfg.accumulate) if cfg.accumulate else network) for network in pair)
    latent = parallel.draw(wiring.latent(cfg, dataset.shape), axis_name)
    disc_loss, gen_loss = games.adversarial(gen, disc, objectives.hinge(), latent, joint=True, given=("label",))
    gen_loss = games.add_term(gen_loss, "gen", penalties.orthogonal(cfg.orthogonal, off_diagonal=True))
    players = wiring.players(cfg, dataset.shape, gen, disc, (disc_loss, gen_loss), cfg.epsilon)
    shrink = transforms.clamp_singular_values(cfg.clamp) if cfg.clamp else transforms.spectral_norm()
    players = {
        "disc": players["disc"]._replace(transform=transforms.spectral_norm()),
        "gen": players["gen"]._replace(transform=shrink, ema_start=cfg.ema_start),
    }

    def probe(state, key):
        """Reports the raw kernel with the largest singular value of each player."""
        found = {}
        for name, player in state.players.items():
            top = max(lipschitz.top_singular_values(player.params).values(), key=lambda values: values[0])
            found |= {f"{name}_sigma_{i}": float(value) for i, value in enumerate(top, 1)}
        return found

    return labelled.experiment(cfg, dataset, axis_name, players, gen, probes=(probe,))
