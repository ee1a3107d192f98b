"""Games that learn from labels."""

import jax
import jax.numpy as jnp

from jaxgan import latents
from jaxgan.games.adversarial import adversarial, fields
from jaxgan.parallel import average, draw
from jaxgan.types import Array, Loss, Network, Objective, Outcome, Sampler, UserError


def matching_aware(
    gen: Network,
    disc: Network,
    objective: Objective,
    latent: Sampler,
    num_classes: int,
    wrong: float = 0.5,
    axis_name: str | None = None,
) -> tuple[Loss, Loss]:
    """Pairs losses for a critic that also sees real examples with wrong labels, and is to call them fake.

    Pairs of three kinds: real with its label is real; generated with the label it was made for, and real with a label of another
    class, are fake, with half the weight each. Without the third kind only the generator's mistakes teach the critic that
    a label matters.

    Args:
        gen: `(latents, label) -> examples`.
        disc: `(examples, label) -> scores [batch]`.
        objective: the curves whose means are lowered; `non_saturating` in the paper.
        latent: as in `adversarial`.
        num_classes: at least 2. Wrong labels are uniform on the other classes.
        wrong: weight in [0, 1) of the third kind, that of the second is `1 - wrong`. 0 leaves it out, for comparison: that is
            `adversarial` with `given=("label",)`.
        axis_name: of the devices, which share one draw of wrong labels.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". Batches hold real examples under "real" and int `[batch]`
        under "label". The critic reports its mean score of each kind: "real", "fake" and "wrong".

    Raises:
        UserError: fewer than 2 classes, `wrong` out of its range, or a batch without labels.

    Reference:
        Reed et al., 2016, section 4.2 and algorithm 1, GAN-CLS (https://arxiv.org/abs/1605.05396).
    """
    if num_classes < 2 or not 0 <= wrong < 1:
        raise UserError(f"wrong labels need 2 classes and a weight in [0, 1), not {num_classes} and {wrong}")
    steps = draw(latents.categorical(num_classes - 1), axis_name)

    def disc_loss(nets, turn):
        latent_key, gen_key, label_key, *noise = jax.random.split(turn.key, 6)
        real, (label,), (weights, stats) = turn.batch["real"], fields(turn, ("label",)), nets["disc"]
        fake, _ = gen.apply(*nets["gen"], latent(latent_key, len(real)), label, train=True, key=gen_key)
        on_real, stats = disc.apply(weights, stats, real, label, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, fake, label, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + (1 - wrong) * jnp.mean(objective.fake(on_fake))
        metrics = {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)}
        if wrong:
            other = (label + 1 + steps(label_key, len(real))) % num_classes
            on_wrong, stats = disc.apply(weights, stats, real, other, train=True, key=noise[2])
            loss += wrong * jnp.mean(objective.fake(on_wrong))
            metrics["wrong"] = jnp.mean(on_wrong)
        return loss, Outcome(stats, metrics)

    return disc_loss, adversarial(gen, disc, objective, latent, given=("label",))[1]


def acgan(
    gen: Network, disc: Network, objective: Objective, latent: Sampler, weight: float = 1.0, gen_weight: float = 1.0
) -> tuple[Loss, Loss]:
    """Pairs losses for a critic that is not told the class but guesses it, of real and of generated examples.

    `L_S` is the log-likelihood of the right source, `L_C` that of the right class, of both kinds. The critic raises `L_S + L_C`,
    the generator `L_C - L_S`: both want samples to be classified as they were meant. So the generator gains by samples that are
    easily told apart, and leaves out what lies between classes; watch its diversity by class.

    Args:
        gen: `(latents, label) -> examples`.
        disc: `examples -> (scores [batch], logits [batch, K])`, from a critic with an auxiliary head.
        objective: the curves of the scores, `non_saturating` for the paper's `L_S`.
        latent: as in `adversarial`.
        weight: of the classes in the critic's loss.
        gen_weight: of the classes in the generator's loss.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". Batches hold real examples under "real" and int `[batch]`
        under "label"; an example of label -1 has no class to guess. The critic also reports the cross-entropy of classes,
        "class_real" and "class_fake", the generator its own, "class".

    Raises:
        UserError: a batch without labels, or a critic without logits.

    Reference:
        Odena et al., 2017, section 3, equations 2 and 3 (https://arxiv.org/abs/1610.09585).
    """

    def fakes(net, turn, key):
        latent_key, noise_key = jax.random.split(key)
        (label,) = fields(turn, ("label",))
        fake, stats = gen.apply(*net, latent(latent_key, len(label)), label, train=True, key=noise_key)
        return fake, label, stats

    def judge(weights, stats, x, label, key):
        """Gives scores, the cross-entropy of the classes, and the critic's new stats."""
        output, stats = disc.apply(weights, stats, x, train=True, key=key)
        if not isinstance(output, tuple):
            raise UserError("an ACGAN critic gives scores and logits of classes; take one with an auxiliary head")
        score, logits = output
        return score, _cross_entropy(logits, label), stats

    def disc_loss(nets, turn):
        fake_key, *noise = jax.random.split(turn.key, 3)
        (fake, label, _), (weights, stats) = fakes(nets["gen"], turn, fake_key), nets["disc"]
        on_real, class_real, stats = judge(weights, stats, turn.batch["real"], label, noise[0])
        on_fake, class_fake, stats = judge(weights, stats, fake, label, noise[1])
        told = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        metrics = {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake), "class_real": class_real, "class_fake": class_fake}
        return told + weight * (class_real + class_fake), Outcome(stats, metrics)

    def gen_loss(nets, turn):
        fake_key, noise = jax.random.split(turn.key)
        fake, label, stats = fakes(nets["gen"], turn, fake_key)
        score, guessed, _ = judge(*nets["disc"], fake, label, noise)
        return jnp.mean(objective.gen(score)) + gen_weight * guessed, Outcome(stats, {"class": guessed})

    return disc_loss, gen_loss


def _cross_entropy(logits: Array, label: Array) -> Array:
    """Mean over the batch of `-log p(label)`, 0 for labels outside the classes."""
    chosen = jax.nn.one_hot(label, logits.shape[-1]) * jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.sum(chosen, axis=-1))


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
