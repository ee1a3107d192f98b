"""The plain adversarial pair: a critic scores examples, a generator is paid by its score."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.parallel import average
from jaxgan.types import Array, Key, Loss, Network, Objective, Outcome, Penalty, PyTree, Sampler, Turn, UserError

Augment = Callable[[Key, Array, Array], Array]  # (key, examples, step) -> examples


def adversarial(
    gen: Network,
    disc: Network,
    objective: Objective,
    latent: Sampler,
    gen_batches: int = 1,
    penalty: Penalty | None = None,
    penalty_every: int = 1,
    joint: bool = False,
    augment: Augment | None = None,
    given: Sequence[str] = (),
) -> tuple[Loss, Loss]:
    """Pairs a critic's and a generator's loss.

    With `given`, all of it is under a condition: generated examples are made for the labels of the batch's real ones, so both
    kinds come with the same labels, and a penalty is on the critic as it scores examples of those. Neither player
    lowers a class loss; that a sample shows its class is a part of what makes it look real, also to a projection critic.

    Args:
        gen: `latents [batch, ...] -> examples`; with `given`, `(latents, label) -> examples`.
        disc: `examples -> scores [batch]`; with `given`, `(examples, label) -> scores`.
        objective: the curves whose means are lowered.
        latent: draws the generator's input; wrapped in `parallel.draw` on several devices.
        gen_batches: how many batches of latents the generator's own turn draws.
        penalty: what the critic lowers besides its objective, reported as "penalty".
        penalty_every: compute the penalty in every so many rounds alone, and that many times as heavy.
        joint: show the critic real and generated examples in one pass. The same for a critic that scores each example by itself;
            BatchNorm in it would see a batch of both, and tell them apart less easily.
        augment: changes real and generated examples alike before the critic scores them, in both players' losses;
            `instance_noise` or `diff_augment`. A penalty is on the critic itself and sees examples as they come.
        given: fields of the batch that both networks take after their first input, `("label",)` for one.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen". The critic reports its mean score of real and of fake
        examples. Batches hold real examples `[batch, ...]` under "real", and what is given.

    Raises:
        UserError: in a joint pass, real examples that a critic's packs do not divide; a batch without a field that is given.

    Reference:
        Goodfellow et al., 2014, algorithm 1 (https://arxiv.org/abs/1406.2661); with labels, Mirza and Osindero, 2014, equation 2
        (https://arxiv.org/abs/1411.1784).
    """

    def fakes(net, turn, key, batches=1):
        """Gives examples, what they were made for, and the generator's new stats."""
        latent_key, noise_key = jax.random.split(key)
        # Repeated one by one and not end to end, so that latents meet the same labels on any number of devices.
        told = [jnp.repeat(field, batches, axis=0) for field in fields(turn, given)]
        latents = latent(latent_key, batches * turn.batch["real"].shape[0])
        fake, stats = gen.apply(*net, latents, *told, train=True, key=noise_key)
        return fake, told, stats

    def shown(examples, turn, key):
        return examples if augment is None else augment(jax.random.fold_in(key, 0), examples, turn.step)

    def disc_loss(nets, turn):
        fake_key, penalty_key, *noise = jax.random.split(turn.key, 4)
        real, (fake, told, _) = turn.batch["real"], fakes(nets["gen"], turn, fake_key)
        seen = [shown(examples, turn, key) for examples, key in zip((real, fake), noise, strict=True)]
        weights, stats = nets["disc"]
        if joint:
            twice = [jnp.concatenate([field, field]) for field in told]
            scores, stats = disc.apply(weights, stats, jnp.concatenate(seen), *twice, train=True, key=noise[0])
            if len(scores) % 2:
                raise UserError(
                    f"packs do not divide {len(real)} examples, and one would hold both kinds; take a batch size they divide"
                )
            on_real, on_fake = jnp.split(scores, 2)
        else:
            on_real, stats = disc.apply(weights, stats, seen[0], *told, train=True, key=noise[0])
            on_fake, stats = disc.apply(weights, stats, seen[1], *told, train=True, key=noise[1])
        loss = jnp.mean(objective.real(on_real)) + jnp.mean(objective.fake(on_fake))
        metrics = {"real": jnp.mean(on_real), "fake": jnp.mean(on_fake)}
        if penalty is not None:
            critic = lambda x: disc.apply(weights, stats, x, *told, train=True, key=noise[0])[0]
            now = lambda: penalty_every * penalty(critic, real, fake, penalty_key)
            never = lambda: 0 * loss  # varies over devices as the penalty does
            metrics["penalty"] = now() if penalty_every == 1 else jax.lax.cond(turn.step % penalty_every == 0, now, never)
            loss += metrics["penalty"]
        return loss, Outcome(stats, metrics)

    def gen_loss(nets, turn):
        fake_key, noise = jax.random.split(turn.key)
        fake, told, stats = fakes(nets["gen"], turn, fake_key, gen_batches)
        score, _ = disc.apply(*nets["disc"], shown(fake, turn, noise), *told, train=True, key=noise)
        return jnp.mean(objective.gen(score)), Outcome(stats, {})

    return disc_loss, gen_loss


def fields(turn: Turn, names: Sequence[str]) -> list[Array]:
    """Picks what networks are told besides their first input out of a turn's batch.

    Raises:
        UserError: the batch has no such field.
    """
    for name in names:
        if name not in turn.batch:
            raise UserError(f"this game is played by each example's '{name}', and these data have none; take data with a {name}")
    return [turn.batch[name] for name in names]


def instance_noise(std: float, rounds: int, noise: Sampler | None = None) -> Augment:
    """Blurs real and generated examples by normal noise that falls linearly to none, for `adversarial`'s `augment`.

    Two distributions on thin sets hardly overlap and are told apart perfectly; blurred, they overlap, and the critic has a slope.

    Args:
        std: of the noise in the first round, at least 0.
        rounds: until there is none, at least 1.
        noise: draws standard normal numbers `[count, ...]`; wrapped in `parallel.draw` on several devices. By default from the
            key alone.

    Raises:
        UserError: an argument out of its range.

    Reference:
        Sonderby et al., 2017 (https://arxiv.org/abs/1610.04490); Arjovsky and Bottou, 2017, section 3
        (https://arxiv.org/abs/1701.04862).
    """
    if std < 0 or rounds < 1:
        raise UserError(f"instance noise needs a std of at least 0 and at least 1 round, not std={std} and rounds={rounds}")

    def augment(key, examples, step):
        drawn = jax.random.normal(key, examples.shape) if noise is None else noise(key, len(examples))
        return examples + std * jnp.maximum(1 - step / rounds, 0) * drawn

    return augment


def relativistic(
    gen: Network, disc: Network, objective: Objective, latent: Sampler, averaged: bool = True, axis_name: str | None = None
) -> tuple[Loss, Loss]:
    """Pairs losses on how much more real a real example looks than a generated one, for both players.

    With scores `r` and `f` the critic lowers `real(r - f)`, pair by pair, or, averaged, `real(r - mean f) + fake(f - mean r)`.
    The generator lowers the same with `r` and `f` exchanged, so that it also learns from real examples.

    Args:
        gen: `latents [batch, ...] -> examples`.
        disc: `examples -> scores [batch]`.
        objective: `non_saturating` for RGAN and RaGAN, `hinge` and `least_squares(-1, 1)` for their kin; its `gen` is not used.
        latent: as in `adversarial`.
        averaged: compare with the mean of the other kind instead of with one example.
        axis_name: of the devices that means are taken over.

    Returns:
        `(disc_loss, gen_loss)` for players named "disc" and "gen".

    Reference:
        Jolicoeur-Martineau, 2019, sections 4.1 and 4.2 (https://arxiv.org/abs/1807.00734).
    """

    def compare(better, worse):
        if not averaged:
            return jnp.mean(objective.real(better - worse))
        high, low = (average(jnp.mean(scores), axis_name) for scores in (better, worse))
        return jnp.mean(objective.real(better - low)) + jnp.mean(objective.fake(worse - high))

    def scores(nets, turn):
        latent_key, gen_key, *noise = jax.random.split(turn.key, 4)
        real = turn.batch["real"]
        fake, gen_stats = gen.apply(*nets["gen"], latent(latent_key, len(real)), train=True, key=gen_key)
        weights, stats = nets["disc"]
        on_real, stats = disc.apply(weights, stats, real, train=True, key=noise[0])
        on_fake, stats = disc.apply(weights, stats, fake, train=True, key=noise[1])
        return on_real, on_fake, gen_stats, stats

    def disc_loss(nets, turn):
        real, fake, _, stats = scores(nets, turn)
        return compare(real, fake), Outcome(stats, {"real": jnp.mean(real), "fake": jnp.mean(fake)})

    def gen_loss(nets, turn):
        real, fake, stats, _ = scores(nets, turn)
        return compare(fake, real), Outcome(stats, {})

    return disc_loss, gen_loss


def add_term(loss: Loss, name: str, term: Callable[[PyTree], Array]) -> Loss:
    """Adds a term on a player's weights, `penalties.orthogonal()` for one, to its loss; reported as "term".

    Args:
        loss: the player's.
        name: the player's.
        term: `weights -> scalar`.
    """

    def with_term(nets, turn):
        value, outcome = loss(nets, turn)
        added = term(nets[name].weights)
        return value + added, outcome._replace(metrics={**outcome.metrics, "term": added})

    return with_term


def generate(gen: Network):
    """Builds the `infer` of a game whose player "gen" holds one network: `({name: Net}, inputs) -> examples`.

    Inputs are latents, or a tuple of latents and what else the generator takes, as `latents.with_labels` draws them.
    """

    def infer(nets, inputs):
        return gen.apply(*nets["gen"], *(inputs if isinstance(inputs, tuple) else (inputs,)), train=False)[0]

    return infer
