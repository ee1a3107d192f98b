"""Other ways to turn the players' losses into a round, and the game's vector field to study them by.

Each builder here gives what `game.play_round` gives, `(state, batch, key) -> (state, metrics)`, and takes its place in
`game.make_game`. Two dynamics need nothing from here: players who move one after the other, each seeing what the last one did,
are `game.play_round`; optimism is a matter of the optimiser, `simultaneous` with `optax.optimistic_gradient_descent` or
`optax.optimistic_adam_v2` (Daskalakis et al., 2018, https://arxiv.org/abs/1711.00141).

Why it matters: near an equilibrium a round multiplies the distance by the eigenvalues of `1 - eta J`, `J` the Jacobian of the
players' gradients. Where `J` is all rotation, as in `min_x max_y x y`, its eigenvalues are imaginary, and simultaneous gradient
steps of any size move away.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from jaxgan.game import advance, evaluate, gradient, take_turn
from jaxgan.parallel import average, vary
from jaxgan.types import Array, GameState, Player, PyTree, Turn


def simultaneous(players: Mapping[str, Player], axis_name: str | None = None) -> Callable:
    """Builds the round in which all players find their gradients at one point, and then all move.

    Args:
        players: everybody, by name.
        axis_name: as in `game.take_turn`.

    Returns:
        Pure `(state, batch, key) -> (state, metrics)`. Batch leaves are `[slices, batch, ...]`, of which the first slice is used:
        every player moves once, with a key of its own. Metrics are named `player/metric`.
    """

    def play(state, batch, key):
        return _move_all(players, state, _gradients(players, state, _turns(players, state, batch, key), axis_name))

    return play


def extragradient(players: Mapping[str, Player], axis_name: str | None = None) -> Callable:
    """Builds the round in which all players look one step ahead, and move by the gradients they find there.

    The look ahead is the player's own optimiser's step; only the parameters it leads to are used, so the optimiser's state, a
    transform's and the networks' stats advance once a round, from where they stood. (ExtraAdam of the paper lets Adam's moments
    see both gradients.) Both gradients are of the same batch and the same keys, so that they differ by the point alone.

    Args:
        players: everybody, by name.
        axis_name: as in `game.take_turn`.

    Returns:
        As `simultaneous`. Metrics are those of the point ahead.

    Reference:
        Korpelevich, 1976; Gidel et al., 2019 (https://arxiv.org/abs/1802.10551).
    """

    def play(state, batch, key):
        turns = _turns(players, state, batch, key)
        ahead, _ = _move_all(players, state, _gradients(players, state, turns, axis_name))
        there = _place(state, _positions(players, ahead))
        return _move_all(players, state, _gradients(players, there, turns, axis_name))

    return play


def consensus(players: Mapping[str, Player], weight: float, axis_name: str | None = None) -> Callable:
    """Builds the simultaneous round in which all players also lower `weight |v|^2 / 2`, `v` the gradients of all of them.

    The gradient of that term is `weight J^T v`: where the field turns, it points inwards. It costs a second differentiation, and
    is also drawn to points where `v` vanishes without being an equilibrium. On several devices `v` is that of the whole batch.

    Args:
        players: everybody, by name.
        weight: of the common term, at least 0; gamma in the paper.
        axis_name: as in `game.take_turn`.

    Returns:
        As `simultaneous`. Metrics, losses among them, are without the term.

    Reference:
        Mescheder et al., 2017, section 4 (https://arxiv.org/abs/1705.10461).
    """

    def play(state, batch, key):
        turns = _turns(players, state, batch, key)

        def own_field(params):  # of this device's part of the batch
            found = _gradients(players, _place(state, params), turns)
            return {name: grads for name, (grads, _) in found.items()}, {name: rest for name, (_, rest) in found.items()}

        own, pull_back, rest = jax.vjp(own_field, vary(_positions(players, state), axis_name), has_aux=True)
        v, rest = average((own, rest), axis_name)
        (inwards,) = average(pull_back(vary(v, axis_name)), axis_name)
        grads = jax.tree.map(lambda g, c: g + weight * c, v, inwards)
        return _move_all(players, state, {name: (grads[name], rest[name]) for name in players})

    return play


def unrolled(
    players: Mapping[str, Player], leader: str, follower: str, steps: int, turns: int = 1, axis_name: str | None = None
) -> Callable:
    """Builds the round in which the leader sees how the follower would answer, and lowers its loss after that answer.

    The follower first takes its ordinary turns. The leader's loss is then that against a follower `steps` turns further on, and
    its gradient flows through those turns, which start from the follower as it stands and are forgotten afterwards: its
    optimiser is differentiated, too, and advances inside; what its transform and its networks carry is used and does not.
    Each inner turn is computed again on the way back, so that memory grows by the follower's state and not by activations.

    Args:
        players: everybody, by name; those who neither lead nor follow stand still.
        leader: who looks ahead, the generator in the paper.
        follower: who answers. Give its Adam an `eps_root` above 0: where a gradient is exactly zero, as behind a ReLU that is
            off, the derivative of `sqrt` is not finite.
        steps: turns to look ahead; with 0 this is `play_round(players, ((follower, turns), (leader, 1)))`.
        turns: ordinary turns of the follower in a round.
        axis_name: as in `game.take_turn`.

    Returns:
        Pure `(state, batch, key) -> (state, metrics)`. Batch leaves are `[slices, batch, ...]`; turns, and inner turns,
        take the slices in order, and from the first again when there are no more. The leader reports what it finds after the
        answer.

    Reference:
        Metz et al., 2017, equations 7 to 11 (https://arxiv.org/abs/1611.02163), where inner turns see one minibatch.
    """
    turn = take_turn(players, follower, axis_name)

    def answer(position, state, batch, keys):
        """Moves the follower as it would against a leader at `position`; gives its parameters."""
        theirs = state.players[follower]

        def improve(carried, given):
            (params, opt), (i, key) = carried, given
            there = _place(state, {leader: position, follower: params})
            grads, _ = gradient(players, follower, there, Turn(_slice(batch, i), key, state.step), axis_name)
            updates, opt = players[follower].optimizer.update(grads, opt, params)
            return (optax.apply_updates(params, updates), opt), None

        # A scan already keeps the compiler from merging the second computation with the first.
        again = jax.checkpoint(improve, prevent_cse=False)
        (params, _), _ = jax.lax.scan(again, (theirs.params, theirs.opt), (jnp.arange(steps), keys))
        return params

    def play(state, batch, key):
        keys = jax.random.split(jax.random.fold_in(key, state.step), turns + 1 + steps)
        metrics = {}
        for i in range(turns):
            state, reported = turn(state, Turn(_slice(batch, i), keys[i], state.step))
            metrics |= _named(follower, reported)

        def loss_fn(position):
            there = _place(state, {follower: answer(position, state, batch, keys[turns + 1 :])})
            return evaluate(players, leader, position, there, Turn(_slice(batch, 0), keys[turns], state.step))

        mine = state.players[leader]
        found = average(jax.grad(loss_fn, has_aux=True)(vary(mine.params, axis_name)), axis_name)
        moved, reported = advance(players[leader], mine, *found, state.step)
        state = GameState(state.step + 1, {**state.players, leader: moved})
        return state, metrics | _named(leader, reported)

    return play


def field(players: Mapping[str, Player], state: GameState, turn: Turn) -> tuple[Array, Callable[[Array], Array]]:
    """Reads a game as a vector field: every player's gradient of its own loss in its own raw parameters.

    Args:
        players: everybody, by name.
        state: where the players stand. What they carry besides parameters is the same wherever the field is asked for.
        turn: what every player is given.

    Returns:
        `(point, v)`: all parameters as one vector `[n]`, players in the order of their names, and pure `v: [n] -> [n]`.
        Simultaneous gradient steps follow `-v`. What a transform holds constant to gradients (`u` of `spectral_norm`) is constant
        to the Jacobian, too.
    """
    point, place = ravel_pytree(_positions(players, state))

    def v(vector):
        found = _gradients(players, _place(state, place(vector)), dict.fromkeys(players, turn))
        return ravel_pytree({name: grads for name, (grads, _) in found.items()})[0]

    return point, v


def jacobian_products(v: Callable[[Array], Array], point: Array) -> tuple[Callable, Callable]:
    """Gives `u -> J u` and `u -> J^T u`, `J` `[n, n]` the Jacobian of `v` at a point, at the cost of a few gradients each."""
    _, times = jax.linearize(v, point)
    _, pull_back = jax.vjp(v, point)
    return times, lambda u: pull_back(u)[0]


def jacobian_eigenvalues(v: Callable[[Array], Array], point: Array) -> np.ndarray:
    """Finds the eigenvalues `[n]`, complex, of the Jacobian of `v` at a point.

    Computed densely, on the host, in double precision: for games of up to some thousand parameters.

    Reference:
        Mescheder et al., 2018, sections 2 and 3 (https://arxiv.org/abs/1801.04406), for `-v`.
    """
    return np.linalg.eigvals(np.asarray(jax.jacfwd(v)(point), np.float64))


def rotation_index(jacobian: Array) -> Array:
    """Measures how much of a Jacobian `[n, n]` is rotation: 0 when all players lower one common loss, 1 in `min max x y`.

    The share of the antisymmetric part `A` in `|A|^2 + |S|^2` (Frobenius), `S` the symmetric one.

    Reference:
        Balduzzi et al., 2018, section 2 (https://arxiv.org/abs/1802.05642), for the split.
    """
    rotating = jnp.sum((jacobian - jacobian.T) ** 2)
    return rotating / (rotating + jnp.sum((jacobian + jacobian.T) ** 2))


def _slice(batch, i):
    return jax.tree.map(lambda x: x[i % len(x)], batch)


def _turns(players, state, batch, key):
    """Gives every player the first slice and a key of its own, whatever order `players` is written in."""
    keys = jax.random.split(jax.random.fold_in(key, state.step), len(players))
    return {name: Turn(_slice(batch, 0), keys[i], state.step) for i, name in enumerate(sorted(players))}


def _gradients(players, state, turns, axis_name=None):
    """Finds all gradients at one point; without an axis, from this device's part of the batch."""
    return {name: gradient(players, name, state, turns[name], axis_name) for name in players}


def _positions(players, state) -> dict[str, PyTree]:
    return {name: state.players[name].params for name in players}


def _place(state, positions):
    """Puts players at other raw parameters and leaves everything else they carry."""
    placed = {name: state.players[name]._replace(params=params) for name, params in positions.items()}
    return state._replace(players={**state.players, **placed})


def _move_all(players, state, found):
    """Ends a round in which every player has a gradient."""
    moved, metrics = {}, {}
    for name, player in players.items():
        moved[name], reported = advance(player, state.players[name], *found[name], state.step)
        metrics |= _named(name, reported)
    return GameState(state.step + 1, {**state.players, **moved}), metrics


def _named(name, reported):
    return {f"{name}/{metric}": value for metric, value in reported.items()}
