"""Games on clips. The next frame of a clip is `translation.pix2pix` or `translation.regression` with `given="past"`."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxgan.types import Array, Key, Loss, Net, Network, Objective, Outcome, PyTree, Sampler

Warp = Callable[[Array, Array], tuple[Array, Array]]  # (images, flow) -> (images moved along, where that is visible)


def translate_clip(
    gen: Network, net: Net, source: Array, noise: Array, channels: int, train: bool, key: Key | None = None
) -> tuple[PyTree, PyTree]:
    """Translates clips frame after frame, each from the one before.

    Args:
        gen: `(before, sources, noise) -> painted`, with `painted.frame` and `painted.flow`, as `nets.video.FlowGenerator`.
        net: its weights and stats.
        source: `[batch, frames, height, width, ...]`.
        noise: `[batch, size]`, the same for a whole clip: what the source leaves open is decided once.
        channels: of the frames.
        train, key: as of `Network.apply`.

    Returns:
        `(painted, stats)`; leaves of `painted` are `[batch, frames, ...]`, the first frame painted after a frame of zeros.
    """
    sources = source.swapaxes(0, 1)
    start = jnp.zeros_like(source[:, 0, ..., :1]) * jnp.zeros(channels, source.dtype)[None, None, None]

    def paint(carried, pair):
        before, stats = carried
        painted, stats = gen.apply(net.weights, stats, before, jnp.stack(pair, axis=1), noise, train=train, key=key)
        return (painted.frame, stats), painted

    pairs = (jnp.concatenate([sources[:1], sources[:-1]]), sources)
    (_, stats), painted = jax.lax.scan(paint, (start, net.stats), pairs)
    return jax.tree.map(lambda x: x.swapaxes(0, 1), painted), stats


def vid2vid(
    gen: Network,
    discs: Mapping[str, Network],
    objective: Objective,
    latent: Sampler,
    warp: Warp,
    flow_weight: float = 10.0,
    steady_weight: float = 10.0,
) -> tuple[Loss, Loss]:
    """Pairs the losses of a generator that paints clips one frame after the other, and of two critics: of frames and of clips.

    Each frame beside its source must look real, and so must the whole clip beside its sources. The flow is held to the given one
    and must carry each real frame to the next; what a pixel showed before, it shall go on to show where the given flow
    carries it.

    Args:
        gen: as in `translate_clip`.
        discs: {"image": `(source, frame) -> scores`, "clip": `(source clip, clip) -> scores`}.
        objective: the curves whose means are lowered; least squares in the paper.
        latent: draws a clip's noise; wrapped in `parallel.draw` on several devices.
        warp: `nets.video.warp`.
        flow_weight: of what holds the flow, lambda_W in the paper.
        steady_weight: of `flicker`, the temporal loss.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc", made by `translation.init_several`, and "gen". Batches hold clips under
        "real" and "source", and may hold "flow" `[batch, frames - 1, height, width, 3]`: of every frame but the first the
        flow, and whether a pixel was visible before. Without, the flow is held by the real frames alone. The generator reports
        "flow" and, with a given flow, "flicker".

    Reference:
        Wang et al., 2018, section 3 (https://arxiv.org/abs/1808.06601); the temporal loss by a given flow: Huang et al., 2017,
        section 3.2 (https://openaccess.thecvf.com/content_cvpr_2017/html/Huang_Real-Time_Neural_Style_CVPR_2017_paper.html).
    """

    def painted_by(net, turn, key):
        latent_key, noise_key = jax.random.split(key)
        source, channels = turn.batch["source"], turn.batch["real"].shape[-1]
        return translate_clip(gen, net, source, latent(latent_key, len(source)), channels, train=True, key=noise_key)

    def scores(net, source, clip, keys):
        """Gives both critics' scores of clips, and their new stats."""
        shown = {"image": (frames(source), frames(clip)), "clip": (source, clip)}
        found = {
            name: discs[name].apply(net.weights[name], net.stats[name], *shown[name], train=True, key=key)
            for name, key in zip(shown, keys, strict=True)
        }
        return {name: score for name, (score, _) in found.items()}, {name: stats for name, (_, stats) in found.items()}

    def disc_loss(nets, turn):
        gen_key, real_key, fake_key = jax.random.split(turn.key, 3)
        net, source = nets["disc"], turn.batch["source"]
        painted, _ = painted_by(nets["gen"], turn, gen_key)
        on_real, stats = scores(net, source, turn.batch["real"], jax.random.split(real_key))
        on_fake, stats = scores(net._replace(stats=stats), source, painted.frame, jax.random.split(fake_key))
        loss = sum(jnp.mean(objective.real(on_real[name])) + jnp.mean(objective.fake(on_fake[name])) for name in discs)
        metrics = {f"real_{name}": jnp.mean(score) for name, score in on_real.items()}
        return loss, Outcome(stats, metrics | {f"fake_{name}": jnp.mean(score) for name, score in on_fake.items()})

    def gen_loss(nets, turn):
        gen_key, disc_key = jax.random.split(turn.key)
        real, known = turn.batch["real"], turn.batch.get("flow")
        painted, stats = painted_by(nets["gen"], turn, gen_key)
        score, _ = scores(nets["disc"], turn.batch["source"], painted.frame, jax.random.split(disc_key))
        flow = painted.flow[:, 1:]
        carried, _ = warp(frames(real[:, :-1]), frames(flow))
        metrics = {"flow": jnp.mean(jnp.abs(carried - frames(real[:, 1:])))}
        loss = sum(jnp.mean(objective.gen(score[name])) for name in discs)
        if known is not None:
            metrics["flow"] += jnp.mean(known[..., 2:] * jnp.abs(flow - known[..., :2]))
            metrics["flicker"] = flicker(painted.frame, known, warp)
            loss += steady_weight * metrics["flicker"]
        return loss + flow_weight * metrics["flow"], Outcome(stats, metrics)

    return disc_loss, gen_loss


def flicker(clip: Array, flow: Array, warp: Warp) -> Array:
    """Measures how much a clip changes apart from what moves: `mean |frame - frame before, moved along the flow|`.

    Args:
        clip: `[batch, frames, height, width, channels]`.
        flow: `[batch, frames - 1, height, width, 3]`, the true flow, and 1 for pixels that were visible in the frame before;
            others count as 0, so that the mean of a batch is that of its parts.
        warp: `nets.video.warp`.

    Returns:
        A scalar; 0 for a clip in which nothing but that motion happens.

    Reference:
        Lai et al., 2018, section 3.3, equation 3 (https://arxiv.org/abs/1808.00449), with absolute differences.
    """
    moved, inside = warp(frames(clip[:, :-1]), frames(flow[..., :2]))
    return jnp.mean(inside * frames(flow[..., 2:]) * jnp.abs(frames(clip[:, 1:]) - moved))


def frames(clips: Array) -> Array:
    """Lays out all frames of clips one after the other: `[batch, frames, ...]` to `[batch * frames, ...]`."""
    return clips.reshape(-1, *clips.shape[2:])
