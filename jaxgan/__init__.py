"""Generative adversarial networks in JAX: objectives, transforms, networks and games as pure functions that compose."""

from jaxgan import data, game, games, latents, metrics, nets, objectives, parallel, pictures, train, transforms
from jaxgan.game import make_game, play_round, take_turn
from jaxgan.networks import from_linen
from jaxgan.runs import load
from jaxgan.types import (
    UNCHANGED,
    Experiment,
    Game,
    GameState,
    Net,
    Network,
    Objective,
    Outcome,
    ParamTransform,
    Phase,
    Player,
    PlayerState,
    Turn,
    UserError,
)

__all__ = [
    "UNCHANGED",
    "Experiment",
    "Game",
    "GameState",
    "Net",
    "Network",
    "Objective",
    "Outcome",
    "ParamTransform",
    "Phase",
    "Player",
    "PlayerState",
    "Turn",
    "UserError",
    "data",
    "from_linen",
    "game",
    "games",
    "latents",
    "load",
    "make_game",
    "metrics",
    "nets",
    "objectives",
    "parallel",
    "pictures",
    "play_round",
    "take_turn",
    "train",
    "transforms",
]
