"""pix2pix: a U-Net that translates images by pairs, and a critic of patches that sees source and image together.

Isola et al., 2017 (https://arxiv.org/abs/1611.07004). Noise is dropout, in training and in sampling. Pictures show held-out
source | image | target; scores are the held-out L1 distance, which decides the best checkpoint, and the gradient energy as a
share of the targets'. `--no_gan` trains by the L1 distance alone: the control, which blurs what the source leaves open.

    python experiments/run.py --variant=pix2pix                           outlines to photographs of 32x32: l1 0.230, energy 0.84
    python experiments/run.py --variant=pix2pix --no_gan                  the regressor: l1 0.223, energy 0.28
    python experiments/run.py --variant=pix2pix --dataset=blur2sharp      or grey2colour
    python experiments/run.py --variant=pix2pix --preset=paper --dataset=pairs:DIR

Seeds 0, 1, 2 at the end, 3.5 minutes on two cores: l1 0.230, 0.234, 0.236, energy 0.84, 0.93, 0.88; the regressor's 0.223, 0.218,
0.219 and 0.28, 0.28, 0.28.
"""

import dataclasses
import functools
from typing import Literal

from experiments import translation


@dataclasses.dataclass(frozen=True)
class Config(translation.Config):
    """A U-Net on pairs."""

    dataset: str = "edges2photo"
    """Pairs: edges2photo, grey2colour, blur2sharp or pairs:DIR, with A|B side by side, or A/ and B/."""
    network: Literal["unet"] = "unet"
    """A U-Net that halves images until a pixel is left, eight times at most."""
    gan: bool = True
    """Play against a critic; without, the L1 distance is all that is lowered."""
    weight: float = 100.0
    """Of the L1 distance beside the critic's judgement, lambda in the paper."""
    dropped: int = 3
    """Layers with dropout, from the smallest map on."""
    norm: Literal["batch", "instance"] = "batch"
    """Normalise over the batch, or each image by itself, as is meant by the paper's batches of one."""

    def validate(self) -> None:
        super().validate()
        if self.weight < 0:
            raise ValueError(f"--weight={self.weight} must not be negative")
        if self.dropped < 0:
            raise ValueError(f"--dropped={self.dropped} must not be negative")


PRESETS = {
    "quick": Config(
        image_size=32, flips=True, steps=5_000, batch_size=16, weight=5.0, gen_width=32, disc_width=32, dropped=1,
        learning_rate=1e-3, decay=0.5, ema_decay=0.99, log_every=100, eval_every=1_000, sample_every=1_000,
        checkpoint_every=1_000,
    ),
    "paper": Config(
        dataset="pairs:facades", image_size=256, flips=True, steps=80_000, batch_size=1, gen_width=64, disc_width=64,
        disc_layers=3, norm="instance", learning_rate=2e-4, decay=0.5, ema_decay=0.0, eval_samples=64,
        log_every=100, eval_every=5_000, sample_every=5_000, checkpoint_every=5_000,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import jax.numpy as jnp

    from experiments import wiring
    from jaxgan import data, games, latents, objectives, parallel
    from jaxgan.data import pairs
    from jaxgan.nets import translate

    translation.refuse(cfg, data.PAIRED, "pairs of images", "edges2photo, for one, or pairs:DIR")
    height, width, channels = *dataset.shape[:2], dataset.shape[2] // 2
    halvings = min(8, max(2, min(height, width).bit_length() - 1))
    widths = tuple(min(2**i, 8) * cfg.gen_width for i in range(halvings))
    unet = translate.UNet(channels, widths, cfg.dropped, translation.normalisation(cfg.norm, axis_name), cfg.norm == "instance")
    (gen,), disc = wiring.linen(cfg, unet), translation.critic(cfg, cfg.norm, axis_name)
    latent = latents.normal(unet.noise_size(height, width))
    drawn, image = parallel.draw(latent, axis_name), jnp.zeros((1, height, width, channels))
    start = lambda key: gen.init(key, image, latent(key, 1))
    if cfg.gan:
        losses = games.pix2pix(gen, disc, objectives.non_saturating(), drawn, cfg.weight)
        players = translation.players(cfg, (lambda key: disc.init(key, image, image), start), losses)
    else:
        regression = games.regression(gen, drawn)
        players = {"gen": translation.player(cfg, start, regression, cfg.learning_rate, ema_decay=cfg.ema_decay)}

    def infer(nets, inputs):
        source = inputs["source"]
        noise = jax.vmap(lambda key: jax.random.normal(key, (unet.noise_size(*source.shape[1:3]),)))(inputs["key"])
        return translate.join(source, gen.apply(*nets["gen"], source, noise, train=False)[0], inputs["real"])

    @functools.cache
    def held():
        whole = translation.there(cfg, dataset)
        return pairs.parted(data.held_out(whole, min(cfg.eval_samples, len(whole.held_out.images))))

    def metric(sample, key):
        _, made, real = translation.parts(sample(key, len(held()["real"])), 3)
        energy = translation.gradient_energy
        return {"l1": translation.l1(made, real), "gradient_energy": energy(made) / energy(real)}

    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)
    parted = lambda step: pairs.parted(batch_at(step))
    return translation.experiment(cfg, axis_name, players, infer, parted, held, 3, metric)
