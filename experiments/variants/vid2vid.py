"""vid2vid: clips translated frame after frame, each moved along from the one painted before.

Wang et al., 2018 (https://arxiv.org/abs/1808.06601), at a size for two cores: one frame is remembered, not two, and there are no
features of a trained network to match. Each frame is what was painted before, moved along a flow that the generator finds, with
what is new painted over it. Least squares, with critics of patches: of each frame beside its source, and of the whole clip beside
its sources. The flow is held to the given one, where there is one, and must carry real frames to the next; what is seen shall
stay as it was. Pictures show held-out sources | clip | target. Scores are the Frechet distance of single frames, which decides
the best checkpoint; `spread`, the variance of a pixel over clips as a share of the targets'; and with a given flow `flicker`, how
much what is seen changes apart from what moves, 0 in the data. `--frame_by_frame` is the control: pix2pix with the same networks
and image critic, each frame by itself.

    python experiments/run.py --variant=vid2vid                          strokes that move, to digits of a colour: flicker 0.014
    python experiments/run.py --variant=vid2vid --frame_by_frame         colours that change with every frame: flicker 0.23
    python experiments/run.py --variant=vid2vid --dataset=clips:DIR      outlines to your clips

Seeds 0, 1, 2 at the end: flicker 0.014, 0.013, 0.015, Frechet distance 0.86, 0.56, 0.76, spread 0.88, 0.93, 0.86; frame by frame
0.225, 0.224, 0.216, 0.92, 0.92, 0.97, 0.74, 0.77, 0.74. With --weight=100, as in the paper, that control turns pale (spread 0.23,
Frechet distance 7.2, seed 0) and so flickers by 0.047. Grounds come out even; strokes are of several colours where the data have
one.
"""

import dataclasses
import functools

from experiments import translation, video, wiring

SHOWN = 12  # clips in a picture
ABREAST = 2  # of them in a row
FILMED = 18  # clips in the film


@dataclasses.dataclass(frozen=True)
class Config(video.Config):
    """Clips from sources."""

    dataset: str = "moving_digits"
    """Clips: moving_digits or clips:DIR, with a sub-folder of frames, an animation or a film for each."""
    frame_by_frame: bool = False
    """Paint each frame by itself, from noise of its own, for the critic of frames and the L1 distance: what flickers."""
    weight: float = 5.0
    """Of the L1 distance to the true frame, for --frame_by_frame; as in pix2pix."""
    disc_layers: int = 2
    """Halvings before the critics' scores, which are of patches of 16, 34, 70, 142 or 286 pixels for 1 to 5."""
    flow_weight: float = 10.0
    """Of what holds the flow, lambda_W in the paper."""
    steady_weight: float = 10.0
    """Of what is seen and shall stay as it was."""

    def validate(self) -> None:
        super().validate()
        if not 1 <= self.disc_layers <= 5:
            raise ValueError(f"--disc_layers={self.disc_layers} must be 1 to 5")
        for name in ("weight", "flow_weight", "steady_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name}={getattr(self, name)} must not be negative")


PRESETS = {
    "quick": Config(
        image_size=16, steps=1_000, batch_size=8, learning_rate=1e-3, decay=0.5, ema_decay=0.99,
        log_every=50, eval_every=500, sample_every=500, checkpoint_every=500,
    ),
}  # fmt: skip


def experiment(cfg: Config, dataset, axis_name: str | None = None):
    """Wires the game; `dataset` is a `data.Dataset`, `axis_name` what the devices stand on."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import data, games, latents, metrics, objectives, parallel, pictures
    from jaxgan.games.video import frames
    from jaxgan.nets import translate
    from jaxgan.nets import video as nets
    from jaxgan.types import Experiment

    translation.refuse(cfg, data.CLIPS_WITH_SOURCES, "clips with sources", "moving_digits, for one, or clips:DIR")
    channels, normalise = dataset.shape[-1], translation.normalisation("batch", axis_name)
    generator, critic = (nets.FrameGenerator if cfg.frame_by_frame else nets.FlowGenerator), translate.PatchDiscriminator
    modules = generator(channels, cfg.widths, normalise), critic(cfg.disc_layers, cfg.disc_width, normalise)
    gen, disc = wiring.linen(cfg, *modules)
    drawn, objective = parallel.draw(latents.normal(cfg.latent_size), axis_name), objectives.least_squares()
    clip = jnp.zeros((1, *dataset.shape))
    source, z = clip[..., :1], jnp.zeros((1, cfg.latent_size))
    if cfg.frame_by_frame:
        losses = games.pix2pix(gen, disc, objective, drawn, cfg.weight)
        inits = lambda key: disc.init(key, source[:, 0], clip[:, 0]), lambda key: gen.init(key, source[:, 0], z)
    else:
        discs = {"image": disc, "clip": disc}
        losses = games.vid2vid(gen, discs, objective, drawn, nets.warp, cfg.flow_weight, cfg.steady_weight)
        start = games.init_several(discs, {"image": (source[:, 0], clip[:, 0]), "clip": (source, clip)})
        inits = start, lambda key: gen.init(key, clip[:, 0], source[:, :2], z)
    players = translation.players(cfg, inits, losses)

    def infer(nets, inputs):
        given, z = inputs["source"], video.noise(inputs["key"], cfg.latent_size)
        if cfg.frame_by_frame:
            each = jax.vmap(lambda key: jax.random.split(key, given.shape[1]))(inputs["key"])
            z = video.noise(each.reshape(-1), cfg.latent_size)
            made = gen.apply(*nets["gen"], frames(given), z, train=False)[0].reshape(*given.shape[:-1], channels)
        else:
            made = games.translate_clip(gen, nets["gen"], given, z, channels, train=False)[0].frame
        return jnp.concatenate([jnp.repeat(given, channels, axis=-1), made, inputs["real"]], axis=-1)

    @functools.cache
    def held():
        return data.held_out(translation.there(cfg, dataset), cfg.eval_samples)

    def inputs(key, count):
        rows = np.arange(count) % cfg.eval_samples
        return {name: held()[name][rows] for name in ("source", "real")} | {"key": jax.random.split(key, count)}

    def picture(joined):
        """Lays each clip out as three rows, with a column a frame, and some clips beside each other."""
        shown = joined[:SHOWN]
        shown = np.concatenate([shown, np.zeros_like(shown[: -len(shown) % ABREAST])])
        rows = np.stack(translation.parts(shown, 3), axis=1)  # [clips, parts, frames, ...]
        rows = rows.reshape(-1, ABREAST, *rows.shape[1:]).swapaxes(1, 2)
        return pictures.grid(rows.reshape(-1, *rows.shape[4:]), columns=ABREAST * rows.shape[3])

    def film(joined):
        """Shows source, clip and target of each side by side."""
        shown = np.stack(translation.parts(joined[:FILMED], 3), axis=1)
        return [pictures.grid(frame.reshape(-1, *frame.shape[2:]), columns=FILMED // 2) for frame in np.moveaxis(shown, 2, 0)]

    @functools.cache
    def quality():
        return metrics.image_quality(frames(held()["real"]), families=("frechet",))

    def metric(sample, key):
        _, made, real = translation.parts(sample(key, cfg.eval_samples), 3)
        scores = {**quality()(lambda key, count: frames(made), key), "spread": made.var(axis=0).mean() / real.var(axis=0).mean()}
        if "flow" in held():
            scores["flicker"] = games.flicker(made, held()["flow"], nets.warp)
        return {name: float(score) for name, score in scores.items()}

    batch_at = data.batches(dataset, cfg.batch_size, slices=cfg.critic_turns, seed=cfg.seed, flips=cfg.flips)

    def single(step):
        """Gives all frames of a batch of clips as a batch of images."""
        return {name: jax.vmap(frames)(x) for name, x in batch_at(step).items() if name in ("source", "real")}

    phases = translation.phases(cfg, axis_name, players, infer, single if cfg.frame_by_frame else batch_at)
    return Experiment(phases, inputs, picture, (metric,), film=film)
