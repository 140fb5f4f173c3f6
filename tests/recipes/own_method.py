"""A method from outside the package, as the page on optimisation shows it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Steps:
    """How many steps were made."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class MyMethod:
    """Plain gradient steps of one length."""

    length: float = 0.5
    batch_size: int | None = 50

    def init(self, blocks, x) -> Steps:  # noqa: ARG002
        """Nothing done yet."""
        return Steps()

    def step(self, blocks, x, state, order, generator):  # noqa: ARG002
        """A step a block."""
        for block in order:
            x = x - self.length * blocks.evaluate(x, block).field
        return x, Steps(state.count + len(order))
