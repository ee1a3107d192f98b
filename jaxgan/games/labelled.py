"""Games that learn from labels."""

import jax
import jax.numpy as jnp

from jaxgan.games.adversarial import adversarial
from jaxgan.parallel import average
from jaxgan.types import Loss, Network, Objective, Outcome, Sampler, UserError


def semi_supervised(
    gen: Network, disc: Network, objective: Objective, latent: Sampler, weight: float = 1.0, axis_name: str | None = None
) -> tuple[Loss, Loss]:
    """Pairs losses for a critic that classifies real examples, and calls generated ones a class of their own.

    Logits `l_k` of K classes, with that of the class "generated" held at zero, give `D = Z / (Z + 1)`, `Z = sum_k exp(l_k)`. The
    logit of D is `log Z`, which any objective takes as the score. Labelled examples are also classified, by cross-entropy.

    Args:
        gen: `latents [batch, ...] -> examples`.
        disc: `examples -> logits [batch, K]`, `mlp.Discriminator(outputs=K)` for one.
        objective: `non_saturating` for the paper's critic; its generator is trained by `feature_matching` instead of the loss
            given here.
        latent: as in `adversarial`.
        weight: of the cross-entropy.
        axis_name: of the devices, which may hold different numbers of labels.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". Batches hold real examples under "real" and int `[batch]`
        under "label", -1 where there is none. The critic also reports, over labelled examples, "cross_entropy" and "accuracy",
        both 0 where there are none.

    Raises:
        UserError: in the critic's turn, a batch without labels, or a critic that gives one score.

    Reference:
        Salimans et al., 2016, section 5 (https://arxiv.org/abs/1606.03498).
    """

    def score(weights, stats, x, train, key=None):
        logits, stats = disc.apply(weights, stats, x, train=train, key=key)
        return jax.nn.logsumexp(logits, axis=-1), stats

    def disc_loss(nets, turn):
        if "label" not in turn.batch:
            raise UserError("a semi-supervised critic learns from labels, and these data have none; take data with labels")
        latent_key, gen_key, *noise = jax.random.split(turn.key, 4)
        real, label, (weights, stats) = turn.batch["real"], turn.batch["label"], nets["disc"]
        fake, _ = gen.apply(*nets["gen"], latent(latent_key, len(real)), train=True, key=gen_key)
        logits, stats = disc.apply(weights, stats, real, train=True, key=noise[0])
        if logits.ndim != 2:
            raise UserError("a semi-supervised critic needs a logit for each class; take one with as many outputs")
        on_real = jax.nn.logsumexp(logits, axis=-1)
        on_fake, stats = score(weights, stats, fake, train=True, key=noise[1])

        known = label >= 0
        share = jnp.maximum(average(jnp.mean(known, dtype=jnp.float32), axis_name), jnp.finfo(jnp.float32).tiny)
        over_known = lambda values: jnp.mean(jnp.where(known, values, 0)) / share
        chosen = jnp.take_along_axis(logits, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
        metrics = {
            "real": jnp.mean(on_real),
            "fake": jnp.mean(on_fake),
            "cross_entropy": over_known(on_real - chosen),
            "accuracy": over_known(jnp.argmax(logits, axis=-1) == label),
        }
        told = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        return told + weight * metrics["cross_entropy"], Outcome(stats, metrics)

    return disc_loss, adversarial(gen, Network(disc.init, score), objective, latent)[1]
