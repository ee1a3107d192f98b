"""The notes' claims as pictures and numbers, one file each; the file's name is the value of `--figure`.

A figure's module has a docstring, whose first line says what is seen, and `make() -> (matplotlib Figure, numbers)`: `numbers` is
what the picture was made to show, a dict of JSON values whose names say what they are.
"""

import functools

import jax
import jax.numpy as jnp

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (  # Okabe and Ito: told apart by colour-blind readers
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
)  # fmt: skip


def panels(rows: int, columns: int, width: float = 4.0, height: float = 3.2):
    """Makes a figure of panels: `(figure, axes [rows, columns])`, sizes in inches a panel. Needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


@functools.partial(jax.jit, static_argnames=("game", "draw", "rounds"))
def play(game, draw, rounds, state, key):
    """Plays many rounds as one program.

    Args:
        game: a `Game`.
        draw: pure and traceable, `key -> batch` with leaves `[slices, batch, ...]`.
        rounds: how many.
        state: where to start.
        key: of data and of all noise; another one for every call.

    Returns:
        `(state, metrics)`, each metric `[rounds]`.
    """

    def once(state, step):
        batch = draw(jax.random.fold_in(key, 2 * step))
        return game.step(state, batch, jax.random.fold_in(key, 2 * step + 1))

    return jax.lax.scan(once, state, jnp.arange(rounds))
