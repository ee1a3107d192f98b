"""A critic alone against a generator that stands still: what the figures about critics train."""

import jax.numpy as jnp
import optax

from jaxgan import from_linen, game, games
from jaxgan.nets import mlp
from jaxgan.types import Game, Network, Objective, Penalty, Player, Sampler

NOTHING = ((), ())  # params and stats of a network that has none
IDENTITY = Network(init=lambda key, x: NOTHING, apply=lambda params, stats, x, train, key=None: (x, stats))


def alone(
    objective: Objective,
    fake: Sampler,
    size: int,
    optimizer: optax.GradientTransformation,
    widths: tuple[int, ...] = (64, 64),
    penalty: Penalty | None = None,
) -> Game:
    """Builds a game in which a fully connected "disc" learns to tell batches from what `fake` draws, and nobody else moves.

    Args:
        objective: the critic's.
        fake: draws generated examples `[count, size]`: the game's latents, which its generator hands through.
        size: of an example.
        optimizer: the critic's.
        widths: of the critic's hidden layers.
        penalty: what else the critic lowers.

    Returns:
        A game whose `infer` gives scores `[n]` of examples `[n, size]`.
    """
    disc = from_linen(mlp.Discriminator(widths))
    disc_loss, gen_loss = games.adversarial(IDENTITY, disc, objective, fake, penalty=penalty, joint=True)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, size))), disc_loss, optimizer),
        "gen": Player(lambda key: NOTHING, gen_loss, optax.identity()),
    }
    score = lambda nets, x: disc.apply(*nets["disc"], x, train=False)[0]
    return game.make_game(players, game.play_round(players, (("disc", 1),)), score)
