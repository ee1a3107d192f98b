"""The records every part of jaxgan speaks in. Nothing here computes.

Records of pure functions are contracts (`Network`, `Objective`, `Player`, `Game`); records of arrays are state (`PlayerState`,
`GameState`). What continues from step to step (state) and what is only reported (metrics) are kept apart.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

Array = jax.Array
Key = jax.Array
PyTree = Any
Batch = Mapping[str, Array]  # "real" examples, and what they come with: "label", "source", "past"
Sampler = Callable[[Key, int], PyTree]  # (key, count) -> leaves [count, ...]
Curve = Callable[[Array], Array]


class UserError(Exception):
    """A mistake the user can mend. Its message is one line that says what is wrong and what to do."""


class Network(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: `(key, *inputs) -> (params, stats)`; `stats` is what the network carries besides parameters (BatchNorm averages).
        apply: `(params, stats, *inputs, train, key=None) -> (output, stats)`; with `train=False`, `stats` come back as given.
    """

    init: Callable[..., tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[PyTree, PyTree]]


class ParamTransform(NamedTuple):
    """Turns raw parameters into the weights a network computes with.

    Attributes:
        init: `(key, params) -> state`.
        apply: `(params, state) -> (weights, state)`; `weights` has the tree, shapes and dtypes of `params`.
    """

    init: Callable[[Key, PyTree], PyTree]
    apply: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]


UNCHANGED = ParamTransform(init=lambda key, params: (), apply=lambda params, state: (params, state))


class Objective(NamedTuple):
    """Three elementwise curves over one critic score; a loss takes their means.

    Attributes:
        real: critic's cost of giving score `t` to a real example.
        fake: critic's cost of giving score `t` to a generated example.
        gen: generator's cost of receiving score `t`.
    """

    real: Curve
    fake: Curve
    gen: Curve


Penalty = Callable[[Callable[[Array], Array], Array, Array, Key], Array]  # (critic, real, fake, key) -> scalar to lower


class Net(NamedTuple):
    """What a network computes with: its weights (after the player's transform) and its carried stats."""

    weights: PyTree
    stats: PyTree


class Turn(NamedTuple):
    """What a player is given to move with.

    Attributes:
        batch: fields with leaves `[batch, ...]`; on several devices, the own slice.
        key: the turn's own random key, the same on every device.
        step: int32 scalar, rounds played so far.
    """

    batch: Batch
    key: Key
    step: Array


class Outcome(NamedTuple):
    """What a loss hands back besides its value: the mover's new stats, and scalars worth reporting."""

    stats: PyTree
    metrics: Mapping[str, Array]


Loss = Callable[[Mapping[str, Net], Turn], tuple[Array, Outcome]]


class Player(NamedTuple):
    """One side of the game. Several networks under one optimiser are one player with a dict of params.

    Attributes:
        init: `key -> (params, stats)`.
        loss: what the player lowers, as a function of everybody's networks.
        optimizer: any optax transformation.
        transform: from raw parameters to weights, for example `transforms.spectral_norm()`.
        ema_decay: in [0, 1); 0 keeps no moving average, otherwise `ema` follows params and stats with this decay.
        ema_start: first round in which `ema` is an average; it is a copy before, so that the wild beginning leaves no trace.
    """

    init: Callable[[Key], tuple[PyTree, PyTree]]
    loss: Loss
    optimizer: optax.GradientTransformation
    transform: ParamTransform = UNCHANGED
    ema_decay: float = 0.0
    ema_start: int = 0


class PlayerState(NamedTuple):
    """All that a player carries. Each field has one writer: optimizer, loss, transform, optax, turn.

    Attributes:
        params: raw parameters.
        stats: what the player's networks carry.
        transform: state of the parameter transform (`u` of the power iteration).
        opt: optax state.
        ema: moving average of params and stats as a `Net`, or None where the player keeps none.
    """

    params: PyTree
    stats: PyTree
    transform: PyTree
    opt: PyTree
    ema: Net | None


class GameState(NamedTuple):
    """The whole of a training run: a checkpoint holds this and nothing else.

    Attributes:
        step: int32 scalar, rounds played.
        players: state by player name.
    """

    step: Array
    players: Mapping[str, PlayerState]


class Game(NamedTuple):
    """All that the loop knows of a GAN.

    Attributes:
        init: `key -> GameState`.
        step: `(state, batch, key) -> (state, metrics)`, one round. Batch leaves are `[slices, batch, ...]`, a slice for each of
            a player's turns; `key` is the run's key, and the round derives its own from it and `state.step`.
        infer: `(state, inputs) -> samples`, deterministic, with the moving average where a player keeps one.
    """

    init: Callable[[Key], GameState]
    step: Callable[[GameState, Batch, Key], tuple[GameState, Mapping[str, Array]]]
    infer: Callable[[GameState, PyTree], PyTree]


Metric = Callable[[Sampler, Key], Mapping[str, float]]  # (sample, key) -> {name: value}; sample gives what infer gives
Probe = Callable[[GameState, Key], Mapping[str, float]]  # (state, key) -> {name: value}: what samples do not tell


class Variety(NamedTuple):
    """What the loop watches for mode collapse.

    Attributes:
        share: what the metrics measured -> share in [0, 1] of the data's modes, or of its examples, that samples come close to.
        least: share that a sound run has after the first quarter of its training.
    """

    share: Callable[[Mapping[str, float]], float]
    least: float


class Phase(NamedTuple):
    """A stretch of training with one game and one stream of batches.

    Attributes:
        until: the step at which it ends.
        game: what is played.
        batch_at: `step -> Batch` with leaves `[slices, batch, ...]`; pure, so that a resumed run sees the same data.
    """

    until: int
    game: Game
    batch_at: Callable[[int], Batch]


class Experiment(NamedTuple):
    """Everything the loop needs to train, show and judge.

    Attributes:
        phases: played one after the other over one state, whose tree and shapes never change.
        inputs: `(key, count) -> inputs` for `Game.infer`: latents, and labels where the generator takes them.
        picture: `samples -> uint8 [height, width, 3]`: a grid of images, a scatter of points.
        metrics: measured during and after training; the first name of the first metric decides the best checkpoint (lower wins).
        variety: how to see mode collapse in what the metrics measure; None where it is not watched for.
        probes: what is measured of the players themselves, as a critic's judgement of held-out pairs, after the metrics.
        stand: `(state, inputs, key, batches) -> state` whose generator normalises by BatchNorm statistics of these inputs; None
            where nobody built it.
        film: `samples -> [uint8 [height, width, 3]]`, the frames of a moving picture; None where nothing moves.
    """

    phases: tuple[Phase, ...]
    inputs: Sampler
    picture: Callable[[Any], Any]
    metrics: tuple[Metric, ...] = ()
    variety: Variety | None = None
    probes: tuple[Probe, ...] = ()
    stand: Callable[[GameState, Sampler, Key, int], GameState] | None = None
    film: Callable[[Any], Any] | None = None
