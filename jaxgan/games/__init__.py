"""Loss pairs by family: what each player lowers, as a function of everybody's networks."""

from jaxgan.games.adversarial import adversarial, generate

__all__ = ["adversarial", "generate"]
