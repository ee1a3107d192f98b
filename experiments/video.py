"""What games on clips share: generators that are given noise, and a clip's or a past's noise from its own random key.

Nothing here imports JAX at the top, so that the command line answers at once.
"""

import dataclasses
from typing import Literal

from experiments import wiring


@dataclasses.dataclass(frozen=True)
class Config(wiring.PairConfig):
    """A generator of frames, given others and noise."""

    network: Literal["hourglass"] = "hourglass"
    """Halves frames and doubles them again, beside what was seen at each size."""
    halvings: int = 2
    """How often the generator halves frames."""
    gen_width: int = 16
    """Channels of the generator's largest maps; each halving doubles them."""
    disc_width: int = 16
    """Channels of a critic's first layer; each further layer doubles them."""
    latent_size: int = 8
    """Components of the noise, which decides what the given frames leave open."""
    eval_samples: int = 400
    """Held-out clips to measure by."""

    def validate(self) -> None:
        super().validate()
        if self.latent_size < 1:
            raise ValueError(f"--latent_size={self.latent_size} must be at least 1")
        if self.halvings < 1:
            raise ValueError(f"--halvings={self.halvings} must be at least 1")
        for name in ("remat", "metrics", "stop_on_collapse"):
            if getattr(self, name) != getattr(wiring.PairConfig, name):
                raise ValueError(f"--{name} is for images made of latents; leave it out with --variant={self.variant}")

    @property
    def widths(self) -> tuple[int, ...]:
        """The generator's channels from the largest map to the smallest."""
        return tuple(self.gen_width * 2**i for i in range(self.halvings + 1))


def noise(keys, size: int):
    """Draws normal noise `[count, size]`, each row from a key of its own, so that it does not depend on the others."""
    import jax

    return jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)
