"""Games that turn one image into another: by pairs of both, or between two sets of images without pairs."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxgan.games.pool import exchange
from jaxgan.types import Array, Curve, Key, Loss, Net, Network, Objective, Outcome, Penalty, PyTree, Sampler


def pix2pix(
    gen: Network,
    disc: Network,
    objective: Objective,
    latent: Sampler,
    weight: float = 100.0,
    given: str = "source",
    penalty: Penalty | None = None,
) -> tuple[Loss, Loss]:
    """Pairs the losses of a conditional game on pairs, with the L1 distance to the image that belongs to the source.

    The critic sees source and image together, so that a convincing image of something else does not help. The L1 term holds
    coarse structure; the critic asks for what a mean of likely images has not: sharp detail. The paper halves the critic's loss,
    which Adam does not notice.

    Args:
        gen: `(source, latents) -> image`, `nets.translate.UNet` for one.
        disc: `(source, image) -> scores` of any shape, of which the mean is taken.
        objective: the curves whose means are lowered; `non_saturating` in the paper.
        latent: draws the noise, `latents.normal(unet.noise_size(...))`; wrapped in `parallel.draw` on several devices.
        weight: of the L1 term, lambda in the paper.
        given: the batch's field that the generator is told: "source", or "past" for frames to be continued.
        penalty: what the critic lowers besides its objective, on its slope by the image beside a fixed source; reported as
            "penalty". For critics with scores `[batch]`.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". Batches hold images under "real" and what they belong to under
        `given`. The critic reports its mean score of real and of fake images, the generator "l1".

    Reference:
        Isola et al., 2017, section 3.1 (https://arxiv.org/abs/1611.07004).
    """

    def fakes(net, turn, key):
        latent_key, noise_key = jax.random.split(key)
        source = turn.batch[given]
        return gen.apply(*net, source, latent(latent_key, len(source)), train=True, key=noise_key)

    def disc_loss(nets, turn):
        fake_key, penalty_key, *noise = jax.random.split(turn.key, 4)
        source, real, (weights, stats) = turn.batch[given], turn.batch["real"], nets["disc"]
        fake, _ = fakes(nets["gen"], turn, fake_key)
        on_real, stats = disc.apply(weights, stats, source, real, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, source, fake, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        metrics = {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)}
        if penalty is not None:
            critic = lambda image: disc.apply(weights, stats, source, image, train=True, key=noise[0])[0]
            metrics["penalty"] = penalty(critic, real, fake, penalty_key)
            loss += metrics["penalty"]
        return loss, Outcome(stats, metrics)

    def gen_loss(nets, turn):
        fake_key, noise = jax.random.split(turn.key)
        fake, stats = fakes(nets["gen"], turn, fake_key)
        score, _ = disc.apply(*nets["disc"], turn.batch[given], fake, train=True, key=noise)
        l1 = _distance(fake, turn.batch["real"])
        return jnp.mean(objective.gen(score)) + weight * l1, Outcome(stats, {"l1": l1})

    return disc_loss, gen_loss


def regression(gen: Network, latent: Sampler, error: Curve = jnp.abs, given: str = "source") -> Loss:
    """Makes the loss of a generator that plays alone: the mean error of its image. The control of every game on pairs.

    Least squares are lowest at the mean of all images that may belong to a source, absolute errors at the median of each pixel:
    both blur what the source leaves open.

    Args:
        gen, latent, given: as in `pix2pix`.
        error: of a pixel by its difference; `jnp.abs` or `jnp.square`.

    Returns:
        The loss of a player named "gen".
    """

    def gen_loss(nets, turn):
        latent_key, noise_key = jax.random.split(turn.key)
        source = turn.batch[given]
        image, stats = gen.apply(*nets["gen"], source, latent(latent_key, len(source)), train=True, key=noise_key)
        return jnp.mean(error(image - turn.batch["real"])), Outcome(stats, {})

    return gen_loss


def cyclegan(
    gens: Mapping[str, Network],
    discs: Mapping[str, Network],
    objective: Objective,
    cycle: float = 10.0,
    identity: float = 0.5,
    axis_name: str | None = None,
) -> tuple[Loss, Loss]:
    """Pairs the losses of two generators, from A to B and from B to A, and a critic for each domain.

    Each generator is paid by the critic of the domain it makes. An image that has been there and back must be what it was:
    `cycle (E|F(G(a)) - a| + E|G(F(b)) - b|)`; else a generator may give any image of the domain for any other. An image
    that already belongs to the domain is to stay as it is, with weight `cycle identity`, which keeps colours.

    Args:
        gens: `image -> image` under "a2b" and "b2a".
        discs: `image -> scores` under "a" and "b", each from `with_pool`, with a pool at least as large as the batch; 50 in the
            paper.
        objective: the curves whose means are lowered. The paper's is `objectives.least_squares()` with twice its `gen`, which the
            paper counts without the factor 1/2.
        cycle: lambda in the paper.
        identity: a share of `cycle`; 0 leaves the term out, as is necessary where channels differ.
        axis_name: of the devices, whose images all go into one pool.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen", made by `init_several`. Batches hold
        images of A under "source" and of B under "real". The critics report their mean scores, the generators "cycle", the
        sum of both mean distances, and "identity", likewise, where it counts.

    Reference:
        Zhu et al., 2017, sections 3, 4 and 5.2 (https://arxiv.org/abs/1703.10593).
    """

    def disc_loss(nets, turn):
        loss, after, metrics = 0.0, {}, {}
        images = {"a": turn.batch["source"], "b": turn.batch["real"]}
        for domain, other, key in zip("ab", "ba", jax.random.split(turn.key), strict=True):
            gen_key, pool_key, *noise = jax.random.split(key, 4)
            fake, _ = _apply(gens, nets["gen"], f"{other}2{domain}", images[other], gen_key)
            weights, stats = nets["disc"].weights[domain], nets["disc"].stats[domain]
            shown, pool = exchange(stats["pool"], fake, pool_key, axis_name)
            on_real, stats = discs[domain].apply(weights, stats, images[domain], train=True, key=noise[0])
            on_fake, stats = discs[domain].apply(weights, stats, shown, train=True, key=noise[1])
            loss += jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
            after[domain] = {**stats, "pool": pool}
            metrics |= {f"real_{domain}": jnp.mean(on_real), f"fake_{domain}": jnp.mean(on_fake)}
        return loss, Outcome(after, metrics)

    def gen_loss(nets, turn):
        net, loss, metrics = nets["gen"], 0.0, {"cycle": 0.0} | ({"identity": 0.0} if identity else {})
        images = {"a": turn.batch["source"], "b": turn.batch["real"]}
        for start, end, key in zip("ab", "ba", jax.random.split(turn.key), strict=True):
            keys, way, back = jax.random.split(key, 4), f"{start}2{end}", f"{end}2{start}"
            fake, net = _apply(gens, net, way, images[start], keys[0])
            again, net = _apply(gens, net, back, fake, keys[1])
            score, _ = _apply(discs, nets["disc"], end, fake, keys[2])
            loss += jnp.mean(objective.gen(score))
            metrics["cycle"] += _distance(again, images[start])
            if identity:
                same, net = _apply(gens, net, way, images[end], keys[3])
                metrics["identity"] += _distance(same, images[end])
        loss += cycle * (metrics["cycle"] + identity * metrics.get("identity", 0.0))
        return loss, Outcome(net.stats, metrics)

    return disc_loss, gen_loss


def init_several(networks: Mapping[str, Network], inputs: Mapping[str, tuple]) -> Callable[[Key], tuple[PyTree, PyTree]]:
    """Builds the `init` of a player that holds several networks: `key -> ({name: params}, {name: stats})`.

    Args:
        networks: by name.
        inputs: what each is shown first, by the same names.
    """

    def init(key):
        keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
        made = {name: network.init(keys[name], *inputs[name]) for name, network in networks.items()}
        return {name: params for name, (params, _) in made.items()}, {name: stats for name, (_, stats) in made.items()}

    return init


def _apply(networks: Mapping[str, Network], net: Net, name: str, image: Array, key: Key) -> tuple[Array, Net]:
    """Applies one of a player's networks in training; gives its output, and the player's net with its new stats."""
    output, stats = networks[name].apply(net.weights[name], net.stats[name], image, train=True, key=key)
    return output, net._replace(stats={**net.stats, name: stats})


def _distance(image: Array, target: Array) -> Array:
    return jnp.mean(jnp.abs(image - target))
