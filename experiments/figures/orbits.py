"""Six ways to play one game: orbits about the equilibrium of the bilinear game and of the Dirac-GAN (A2.4).

Data and samples are a point each, at 0 and at theta, and the critic is `psi x`. Wasserstein's objective makes that the bilinear
game, the original one the Dirac-GAN. Near the equilibrium both fields turn and do not pull: simultaneous steps of any size move
away and alternating ones circle; to look ahead, or a penalty on the critic's slope, brings the players home.

Reference:
    Mescheder et al., 2018, sections 2 and 4 (https://arxiv.org/abs/1801.04406).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import figures
from jaxgan import dynamics, game, games, latents, objectives, penalties
from jaxgan.types import Network, Player, Turn

ETA, WEIGHT, GAMMA = 0.1, 0.5, 0.5  # size of steps, weight of consensus, weight of R1
POINT = Network(init=lambda key: (), apply=lambda theta, stats, z, train, key=None: (jnp.broadcast_to(theta, z.shape), stats))
LINE = Network(init=lambda key: (), apply=lambda psi, stats, x, train, key=None: (psi * x[:, 0], stats))
DATA = {"real": jnp.zeros((1, 1, 1))}

I, F = np.eye(2), np.array([[0, -1], [1, 0]])  # the bilinear field at (theta, psi) is F (theta, psi)
MAPS = {  # what a round does to (theta, psi), of optimism to the last two of them
    "simultaneous": I - ETA * F,
    "alternating": (I - ETA * np.triu(F)) @ (I - ETA * np.tril(F)),
    "extragradient": I - ETA * F @ (I - ETA * F),
    "optimistic": np.block([[I - 2 * ETA * F, ETA * F], [I, 0 * I]]),
    "consensus": I - ETA * (F + WEIGHT * F.T @ F),
}


def make(bilinear_rounds=100, dirac_rounds=500):
    """Draws orbits, and compares radii with powers of the linear map that a round of the bilinear game is."""
    figure, [[left, middle, right]] = figures.panels(1, 3, 4.4, 4.4)
    numbers = {}
    sgd, alternating = optax.sgd(ETA), lambda players: game.play_round(players, (("disc", 1), ("gen", 1)))
    for name, build, optimizer, colour, line in (
        ("simultaneous", dynamics.simultaneous, sgd, figures.VERMILION, "-"),
        ("alternating", alternating, sgd, figures.BLACK, "-"),
        ("extragradient", dynamics.extragradient, sgd, figures.BLUE, "-"),
        ("optimistic", dynamics.simultaneous, optax.optimistic_gradient_descent(ETA), figures.ORANGE, "--"),
        ("consensus", lambda players: dynamics.consensus(players, WEIGHT), sgd, figures.GREEN, "-"),
    ):
        path = orbit(dirac(objectives.wasserstein(), (1, 0), optimizer), build, bilinear_rounds)
        known = np.linalg.matrix_power(MAPS[name], bilinear_rounds) @ np.resize([1, 0], len(MAPS[name]))
        left.plot(*path.T, line, color=colour, label=name)
        middle.semilogy(np.linalg.norm(path, axis=1), line, color=colour)
        numbers[f"bilinear, {name}"] = {
            f"radius after {bilinear_rounds} rounds": float(np.linalg.norm(path[-1])),
            "the same in closed form": float(np.linalg.norm(known[:2])),
            "growth a round": growth(path),
            "greatest |eigenvalue| of a round": float(np.abs(np.linalg.eigvals(MAPS[name])).max()),
        }
    for name, build, gamma, colour in (
        ("simultaneous", dynamics.simultaneous, 0, figures.VERMILION),
        ("alternating", alternating, 0, figures.BLACK),
        ("alternating, R1", alternating, GAMMA, figures.PURPLE),
    ):
        players = dirac(objectives.minimax(), (1, -1), sgd, penalties.r1(gamma))
        path = orbit(players, build, dirac_rounds)
        right.plot(*path.T, color=colour, label=name)
        numbers[f"Dirac-GAN, {name}"] = {
            f"radius after {dirac_rounds} rounds": float(np.linalg.norm(path[-1])),
            "growth a round": growth(path),
            "eigenvalues of -v at the equilibrium, real and imaginary": eigenvalues(players),
        }
    numbers["Dirac-GAN, alternating, R1"]["growth a round near the equilibrium, closed form"] = (1 - ETA * GAMMA) ** 0.5
    for axes, title in ((left, f"bilinear game, {bilinear_rounds} rounds"), (right, f"Dirac-GAN, {dirac_rounds} rounds")):
        axes.plot(0, 0, "+", color=figures.BLACK, markersize=10)
        axes.set(title=title, xlabel="theta, generator", ylabel="psi, critic", aspect="equal")
    middle.set(title="bilinear game", xlabel="rounds", ylabel="distance to the equilibrium")
    handles = [*left.lines[:-1], right.lines[-2]]  # the last of each is the cross
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure, numbers


def dirac(objective, start, optimizer, penalty=None):
    """Builds the players of the Dirac-GAN, who start at `(theta, psi)`."""
    disc_loss, gen_loss = games.adversarial(POINT, LINE, objective, latents.normal(1), penalty=penalty)
    theta, psi = map(jnp.float32, start)
    return {
        "disc": Player(lambda key: (psi, {}), disc_loss, optimizer),
        "gen": Player(lambda key: (theta, {}), gen_loss, optimizer),
    }


def orbit(players, build, rounds):
    """Plays, and gives where the players stood: `(theta, psi)`, `[1 + rounds, 2]`."""
    play = build(players)
    where = lambda state: jnp.stack([state.players["gen"].params, state.players["disc"].params])
    watched = lambda state, batch, key: (moved := play(state, batch, key)[0], {"where": where(moved)})
    played = game.make_game(players, watched, games.generate(POINT))
    state = played.init(jax.random.key(0))
    _, path = figures.play(played, lambda key: DATA, rounds, state, jax.random.key(0))
    return np.concatenate([[where(state)], path["where"]]).astype(np.float64)


def growth(path):
    """Factor of the radius a round, over the path's second half."""
    half = len(path) // 2
    return float(np.linalg.norm(path[-1]) / np.linalg.norm(path[half])) ** (1 / (len(path) - 1 - half))


def eigenvalues(players):
    """Eigenvalues of minus the field's Jacobian at the origin, as pairs."""
    state = game.make_game(players, dynamics.simultaneous(players), games.generate(POINT)).init(jax.random.key(0))
    point, v = dynamics.field(players, state, Turn({"real": DATA["real"][0]}, jax.random.key(0), jnp.int32(0)))
    return [[float(x.real), float(x.imag)] for x in -dynamics.jacobian_eigenvalues(v, 0 * point)]
