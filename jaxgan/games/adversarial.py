"""The plain adversarial pair: a critic scores examples, a generator is paid by its score."""

import jax
import jax.numpy as jnp

from jaxgan.types import Loss, Network, Objective, Outcome, Penalty, Sampler


def adversarial(
    gen: Network,
    disc: Network,
    objective: Objective,
    latent: Sampler,
    gen_batches: int = 1,
    penalty: Penalty | None = None,
    joint: bool = False,
) -> tuple[Loss, Loss]:
    """Pairs a critic's and a generator's loss.

    Args:
        gen: `latents [batch, ...] -> examples`.
        disc: `examples -> scores [batch]`.
        objective: the curves whose means are lowered.
        latent: draws the generator's input; wrapped in `parallel.draw` on several devices.
        gen_batches: how many batches of latents the generator's own turn draws.
        penalty: what the critic lowers besides its objective, reported as "penalty".
        joint: show the critic real and generated examples in one pass. The same for a critic that scores each example by itself;
            BatchNorm in it would see a batch of both, and tell them apart less easily.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". The critic reports its mean score of real and of fake
        examples. Batches hold real examples `[batch, ...]` under "real".

    Reference:
        Goodfellow et al., 2014, algorithm 1 (https://arxiv.org/abs/1406.2661).
    """

    def fakes(net, turn, key, batches=1):
        latent_key, noise_key = jax.random.split(key)
        latents = latent(latent_key, batches * turn.batch["real"].shape[0])
        return gen.apply(*net, latents, train=True, key=noise_key)

    def disc_loss(nets, turn):
        fake_key, penalty_key, *noise = jax.random.split(turn.key, 4)
        real, (fake, _) = turn.batch["real"], fakes(nets["gen"], turn, fake_key)
        weights, stats = nets["disc"]
        if joint:
            scores, stats = disc.apply(weights, stats, jnp.concatenate([real, fake]), train=True, key=noise[0])
            on_real, on_fake = jnp.split(scores, [len(real)])
        else:
            on_real, stats = disc.apply(weights, stats, real, train=True, key=noise[0])
            on_fake, stats = disc.apply(weights, stats, fake, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        metrics = {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)}
        if penalty is not None:
            critic = lambda x: disc.apply(weights, stats, x, train=True, key=noise[0])[0]
            metrics["penalty"] = penalty(critic, real, fake, penalty_key)
            loss += metrics["penalty"]
        return loss, Outcome(stats, metrics)

    def gen_loss(nets, turn):
        fake_key, noise = jax.random.split(turn.key)
        fake, stats = fakes(nets["gen"], turn, fake_key, gen_batches)
        score, _ = disc.apply(*nets["disc"], fake, train=True, key=noise)
        return jnp.mean(objective.gen(score)), Outcome(stats, {})

    return disc_loss, gen_loss


def generate(gen: Network):
    """Builds the `infer` of a game whose player "gen" holds one network: `({name: Net}, latents) -> examples`."""
    return lambda nets, latents: gen.apply(*nets["gen"], latents, train=False)[0]
