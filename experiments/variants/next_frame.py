"""Next frame: what follows past frames, by a game or by regression. A regressor paints all that may follow over each other.

Mirza and Osindero, 2014, section 3.2 (https://arxiv.org/abs/1411.1784); Mathieu et al., 2016 (https://arxiv.org/abs/1511.05440).
In the maze the figure turns left or right with equal chances, and nothing tells which. Least squares paint it half on either
side; G(past, z) must choose by z. The critic sees past and frame as a whole, and its slope is held on the lines between real and
generated frames: a critic that is flat between left and right leaves a generator that has taken one side there. Pictures have a
row for a held-out past: its frames | what followed | six futures of different z. Scores of the maze, over futures of held-out
pasts: `fork`, the total variation between the shares of left, between and right and the true 1/2, 0, 1/2, averaged over pasts,
which decides the best checkpoint; `p_left`; `between`, the share in the middle third; `spread`, the variance of the side over z,
1 in the data. Of other clips they are the L1 distance and the gradient energy as a share of the true frames'.

    python experiments/run.py --variant=next_frame                         a fork, left or right: p_left 0.51, between 0.011
    python experiments/run.py --variant=next_frame --no_gan                the regressor, both at once: between 1
    python experiments/run.py --variant=next_frame --dataset=clips:DIR     or moving_digits

Seeds 0, 1, 2 at the end, 1,200 futures: p_left 0.513, 0.489, 0.522; between 0.011, 0.010, 0.007; spread 0.96, 0.95, 0.96.
"""

import dataclasses
import functools

from experiments import translation, video, wiring

FUTURES = 6  # of each past


@dataclasses.dataclass(frozen=True)
class Config(video.Config):
    """The frame after past ones."""

    dataset: str = "maze"
    """Clips: maze, moving_digits or clips:DIR, with a sub-folder of frames, an animation or a film for each."""
    gan: bool = True
    """Play against a critic; without, the squared error is all that is lowered, and there is no noise."""
    added: bool = False
    """Add the noise, after a linear map, to the generator's maps of every size instead of laying it beside them."""
    weight: float = 0.0
    """Of the L1 distance beside the critic's judgement; it pulls towards the median of all futures."""
    penalty_weight: float = 1.0
    """Of the critic's squared slope on lines between real and generated frames, so that one future is led to the other."""

    def validate(self) -> None:
        super().validate()
        for name in ("weight", "penalty_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")


PRESETS = {
    "quick": Config(
        image_size=16, steps=3_000, batch_size=32, halvings=1, gen_width=8, critic_turns=2, learning_rate=1e-3, beta1=0.0,
        beta2=0.99, decay=0.5, ema_decay=0.98, eval_samples=200, log_every=100, eval_every=500, sample_every=500,
        checkpoint_every=500,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import data, games, latents, objectives, parallel, penalties, pictures
    from jaxgan.data import clips
    from jaxgan.nets import translate
    from jaxgan.nets import video as nets
    from jaxgan.types import Experiment

    translation.refuse(cfg, data.CLIPS, "clips", "maze, for one, or clips:DIR")
    frames, height, width, channels = dataset.shape
    shrunk = tuple(cfg.disc_width * 2**i for i in range(max(1, (min(height, width) // 4).bit_length() - 1)))  # to 4x4
    gen, disc = wiring.linen(cfg, nets.NextFrame(channels, cfg.widths, cfg.added), nets.Discriminator(shrunk))
    size = cfg.latent_size if cfg.gan else 0
    drawn = parallel.draw(latents.normal(size), axis_name)
    past, frame = jnp.zeros((1, frames - 1, height, width, channels)), jnp.zeros((1, height, width, channels))
    start = lambda key: gen.init(key, past, jnp.zeros((1, size)))
    if cfg.gan:
        penalty = penalties.zero_centred(cfg.penalty_weight, parallel.draw(penalties.uniform, axis_name))
        losses = games.pix2pix(gen, disc, objectives.non_saturating(), drawn, cfg.weight, given="past", penalty=penalty)
        players = translation.players(cfg, (lambda key: disc.init(key, past, frame), start), losses)
    else:
        regression = games.regression(gen, drawn, jnp.square, given="past")
        players = {"gen": translation.player(cfg, start, regression, cfg.learning_rate, ema_decay=cfg.ema_decay)}

    def infer(nets, inputs):
        made, _ = gen.apply(*nets["gen"], inputs["past"], video.noise(inputs["key"], size), train=False)
        return translate.join(inputs["past"], inputs["real"], made)

    @functools.cache
    def held():
        return clips.continued(data.held_out(translation.there(cfg, dataset), cfg.eval_samples))

    def inputs(key, count):
        rows = np.arange(count) // FUTURES % cfg.eval_samples
        return {name: held()[name][rows] for name in ("past", "real")} | {"key": jax.random.split(key, count)}

    def picture(joined):
        each = min(FUTURES, len(joined))
        shown = np.stack(translation.parts(joined[: len(joined) // each * each], frames + 1), axis=1)
        rows = shown.reshape(-1, each, *shown.shape[1:])
        rows = np.concatenate([rows[:, 0, :frames], rows[:, :, frames]], axis=1)
        return pictures.grid(rows.reshape(-1, *rows.shape[2:]), columns=frames + each)

    def film(joined):
        """Shows each past, and then its future."""
        *past, _, made = translation.parts(joined, frames + 1)
        return [pictures.grid(frame) for frame in (*past, made)]

    def metric(sample, key):
        *before, real, made = translation.parts(sample(key, FUTURES * cfg.eval_samples), frames + 1)
        if cfg.dataset == "maze":
            return fork(np.stack(before, axis=1), made)
        energy = translation.gradient_energy
        return {"l1": translation.l1(made, real), "gradient_energy": energy(made) / energy(real)}

    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)
    phases = translation.phases(cfg, axis_name, players, infer, lambda step: clips.continued(batch_at(step)))
    return Experiment(phases, inputs, picture, (metric,), film=film)


def fork(past, frame) -> dict[str, float]:
    """Measures how the maze's figure decides: `fork`, `p_left`, `between` and `spread` of the module's docstring.

    Args:
        past: `[count, frames, height, width, 3]`, each past many times.
        frame: `[count, height, width, 3]`, what is predicted.
    """
    import numpy as np

    from jaxgan.data import clips

    side = clips.sides(past, frame)
    _, which = np.unique(past.reshape(len(past), -1), axis=0, return_inverse=True)
    of_each = [side[which == i] for i in range(which.max() + 1)]
    shares = np.array([[np.mean(own < -1 / 3), np.mean(np.abs(own) <= 1 / 3), np.mean(own > 1 / 3)] for own in of_each])
    return {
        "fork": float(np.mean(np.abs(shares - [0.5, 0, 0.5]).sum(axis=1) / 2)),
        "p_left": float(np.mean(side < 0)),
        "between": float(np.mean(np.abs(side) <= 1 / 3)),
        "spread": float(np.mean([own.var() for own in of_each])),
    }
