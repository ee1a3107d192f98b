"""From players to a pure step: a turn, a round of turns, a game.

One player moves at a time and all others stand still. That every other leaf is bit-identical afterwards is what makes the two
training steps of a GAN two steps: a generator free to change the critic would raise its score by the critic's last bias
instead of by better samples.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import optax

from jaxgan.parallel import average, vary
from jaxgan.types import Array, Game, GameState, Key, Net, Player, PlayerState, PyTree, Turn


def init_player(player: Player, key: Key) -> PlayerState:
    """Builds a player's first state."""
    init_key, transform_key = jax.random.split(key)
    params, stats = player.init(init_key)
    return PlayerState(
        params=params,
        stats=stats,
        transform=player.transform.init(transform_key, params),
        opt=player.optimizer.init(params),
        ema=Net(params, stats) if player.ema_decay else None,
    )


def look(player: Player, state: PlayerState, averaged: bool = False) -> Net:
    """Sees a player as the others do: its weights after the transform, whose state is not advanced.

    Args:
        averaged: look at the moving average instead, where the player keeps one.
    """
    params, stats = state.ema if averaged and player.ema_decay else (state.params, state.stats)
    weights, _ = player.transform.apply(params, state.transform)
    return Net(weights, stats)


def evaluate(players: Mapping[str, Player], name: str, params: PyTree, state: GameState, turn: Turn):
    """Computes one player's loss at given raw parameters, all others as they stand in the state.

    Returns:
        `(loss, (carried, stats, metrics))`: scalar; what its transform and its networks carry on; what is reported.
    """
    player, mine = players[name], state.players[name]
    nets = {other: look(players[other], theirs) for other, theirs in state.players.items() if other != name}
    weights, carried = player.transform.apply(params, mine.transform)
    loss, outcome = player.loss({**nets, name: Net(weights, mine.stats)}, turn)
    return loss, (carried, outcome.stats, {"loss": loss, **outcome.metrics})


def gradient(players: Mapping[str, Player], name: str, state: GameState, turn: Turn, axis_name: str | None = None):
    """Finds the gradient of one player's loss in its own raw parameters, and what `evaluate` gives besides: `(grads, rest)`."""
    loss_fn = lambda params: evaluate(players, name, params, state, turn)
    return average(jax.grad(loss_fn, has_aux=True)(vary(state.players[name].params, axis_name)), axis_name)


def advance(
    player: Player, state: PlayerState, grads: PyTree, rest: tuple, step: Array
) -> tuple[PlayerState, Mapping[str, Array]]:
    """Moves a player by what `gradient` found in a round: `(state, metrics)`."""
    carried, stats, metrics = rest
    updates, opt = player.optimizer.update(grads, state.opt, state.params)
    params = optax.apply_updates(state.params, updates)
    decay = jnp.where(step < player.ema_start, 0, player.ema_decay) if player.ema_start else player.ema_decay
    ema = optax.incremental_update(Net(params, stats), state.ema, 1 - decay) if player.ema_decay else None
    return PlayerState(params, stats, carried, opt, ema), metrics


def take_turn(players: Mapping[str, Player], name: str, axis_name: str | None = None) -> Callable:
    """Builds the step in which one player improves and all others stand still.

    The others' networks run in training mode, but what they carry (BatchNorm averages) is kept for the mover alone.

    Args:
        players: everybody, by name.
        name: who moves.
        axis_name: the axis devices stand on, under `pmap` and `shard_map`; None on one device and under `jit`.

    Returns:
        Pure `(state, turn) -> (state, metrics)`; only `state.players[name]` changes.
    """

    def step(state: GameState, turn: Turn):
        found = gradient(players, name, state, turn, axis_name)
        moved, metrics = advance(players[name], state.players[name], *found, turn.step)
        return state._replace(players={**state.players, name: moved}), metrics

    return step


def play_round(players: Mapping[str, Player], schedule: Sequence[tuple[str, int]], axis_name: str | None = None) -> Callable:
    """Builds one round: each player in the schedule takes its turns.

    Args:
        players: everybody, by name.
        schedule: who moves how often, in order: `(("disc", 5), ("gen", 1))` is n_dis = 5.
        axis_name: as in `take_turn`.

    Returns:
        Pure `(state, batch, key) -> (state, metrics)`. Batch leaves are `[slices, batch, ...]`; a player's i-th turn takes slice
        i, so each critic turn sees fresh data, and every turn draws its own noise. Metrics are named `player/metric`
        and hold a player's last turn.
    """
    turns = [(name, count, take_turn(players, name, axis_name)) for name, count in schedule]

    def play(state, batch, key):
        keys = jax.random.split(jax.random.fold_in(key, state.step), sum(count for _, count in schedule))
        metrics = {}
        for name, count, turn in turns:
            own, keys = keys[:count], keys[count:]
            # A scan is as fast as turns written out one after the other, and compiles in half the time; one turn needs no loop.
            move = lambda state, given, turn=turn: turn(state, Turn(*given, state.step))
            slices = jax.tree.map(lambda x, n=count: x[:n], batch)
            state, reports = jax.lax.scan(move, state, (slices, own), unroll=count == 1)
            metrics |= {f"{name}/{metric}": values[-1] for metric, values in reports.items()}
        return state._replace(step=state.step + 1), metrics

    return play


def make_game(players: Mapping[str, Player], play: Callable, infer: Callable) -> Game:
    """Makes the game the loop can play.

    Args:
        players: everybody, by name.
        play: `(state, batch, key) -> (state, metrics)`, one round.
        infer: `({name: Net}, inputs) -> samples`, given everybody's networks, averaged where an average is kept.
    """

    def init(key):
        keys = jax.random.split(key, len(players))
        states = {name: init_player(players[name], k) for name, k in zip(sorted(players), keys, strict=True)}
        return GameState(jnp.zeros((), jnp.int32), states)

    def infer_from_state(state, inputs):
        return infer({name: look(player, state.players[name], averaged=True) for name, player in players.items()}, inputs)

    return Game(init, play, infer_from_state)
