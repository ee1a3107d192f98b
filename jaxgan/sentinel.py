"""Watches a run for mode collapse, so that it is noticed while there is still something to save."""

from collections.abc import Sequence

WARM_UP = 0.25  # share of the training before which little variety means little training
FALL = 0.5  # share of the best so far below which variety counts as lost


def find_collapse(history: Sequence[tuple[int, float]], least: float, last: int) -> str | None:
    """Tells whether the newest measurement shows a collapse.

    Args:
        history: `(step, variety)` of all measurements after step 0 so far, in order, at least one. Variety is the share in [0, 1]
            of the data's modes, or of its examples, that samples come close to.
        least: variety that a sound run has after the first quarter of its training.
        last: step at which training ends.

    Returns:
        What happened, as one clause, or None. It speaks once, at the measurement where things turn; a run that recovers and
        collapses again is told of again.
    """
    if _collapsed(history, least, last) and not (len(history) > 1 and _collapsed(history[:-1], least, last)):
        step, variety = history[-1]
        best_step, best = max(history, key=lambda measured: measured[1])
        return f"samples cover {variety:.0%} of the data's variety at step {step}, and covered {best:.0%} at step {best_step}"
    return None


def _collapsed(history, least, last) -> bool:
    step, variety = history[-1]
    return variety < FALL * max(before for _, before in history) or (step >= WARM_UP * last and variety < least)
