"""A game whose generator is read backwards, so that no latent may be forgotten."""

import jax
import jax.numpy as jnp

from jaxgan.types import Loss, Network, Outcome, Sampler


def veegan(gen: Network, rec: Network, disc: Network, latent: Sampler, weight: float = 1.0) -> tuple[Loss, Loss]:
    """Pairs the losses of VEEGAN: a reconstructor maps the data to latents, and a critic compares pairs of both.

    The critic estimates by logistic regression how much likelier a pair `(x, rec(x))` of real x is than a pair `(gen(z), z)`. The
    generator raises that log ratio of its pairs, which lowers their reverse KL, and generator and reconstructor together lower
    `weight |z - rec(gen(z))|^2`. Were two latents sent to one example, the reconstructor could not tell them apart; a mode that
    no latent is sent to is seen in what the reconstructor makes of its examples.

    Args:
        gen: `latents [batch, size] -> examples`.
        rec: `examples -> latents [batch, size]`.
        disc: `(examples, latents) -> scores [batch]`.
        latent: draws the generator's input; wrapped in `parallel.draw` on several devices.
        weight: of the reconstruction, 1 in the paper.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen"; the latter holds `{"gen", "rec"}`. It also reports the
        reconstruction's "error".

    Reference:
        Srivastava et al., 2017, algorithm 1 (https://arxiv.org/abs/1705.07761).
    """

    def disc_loss(nets, turn):
        latent_key, gen_key, rec_key, *noise = jax.random.split(turn.key, 5)
        real, z = turn.batch["real"], latent(latent_key, len(turn.batch["real"]))
        weights, carried = nets["gen"]
        fake, _ = gen.apply(weights["gen"], carried["gen"], z, train=True, key=gen_key)
        code, _ = rec.apply(weights["rec"], carried["rec"], real, train=True, key=rec_key)
        weights, stats = nets["disc"]
        on_real, stats = disc.apply(weights, stats, real, code, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, fake, z, train=True, key=noise[1])
        loss = jnp.mean(jax.nn.softplus(-on_real)) + jnp.mean(jax.nn.softplus(on_fake))
        return loss, Outcome(stats, {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)})

    def gen_loss(nets, turn):
        latent_key, gen_key, rec_key, noise = jax.random.split(turn.key, 4)
        z, (weights, carried) = latent(latent_key, len(turn.batch["real"])), nets["gen"]
        fake, gen_stats = gen.apply(weights["gen"], carried["gen"], z, train=True, key=gen_key)
        code, rec_stats = rec.apply(weights["rec"], carried["rec"], fake, train=True, key=rec_key)
        score, _ = disc.apply(*nets["disc"], fake, z, train=True, key=noise)
        error = jnp.mean(jnp.sum(jnp.square(z - code), axis=-1))
        return weight * error - jnp.mean(score), Outcome({"gen": gen_stats, "rec": rec_stats}, {"error": error})

    return disc_loss, gen_loss
