"""Loss pairs by family: what each player lowers, as a function of everybody's networks."""

from jaxgan.games.adversarial import add_term, adversarial, generate, relativistic

__all__ = ["add_term", "adversarial", "generate", "relativistic"]
