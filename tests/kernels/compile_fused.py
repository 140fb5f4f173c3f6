"""Compile the Triton kernels for graphics cards, which takes none, and print the shared memory that each needs.

A program of its own: Triton is its interpreter or its compiler from when it is imported.
"""

import json
import sys

import torch
from test_table import CASES, ROWS, Drawn
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

CARDS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "gfx942": ("hip", "gfx942", 64)}


class PretendedDriver:
    """What Triton asks of a card before it compiles for it."""

    def __init__(self, card: str) -> None:
        self.target = GPUTarget(*CARDS[card])

    def get_current_target(self) -> GPUTarget:
        """What to compile for."""
        return self.target

    def get_current_device(self) -> int:
        """Its number."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """Of that device, which is none."""
        return device


def main(card: str) -> None:
    """Call every kernel with its arguments of the table; instead of being launched it is compiled."""
    driver.set_active(PretendedDriver(card))
    run, shared = JITFunction.run, {}

    def compile_alone(kernel: JITFunction, *arguments: object, **settings: object) -> None:
        compiled = run(kernel, *arguments, **{**settings, "warmup": True})
        assert {"cubin", "hsaco"} & set(compiled.asm)
        shared[kernel.fn.__name__] = compiled.metadata.shared

    JITFunction.run = compile_alone
    # sizes that kernels would have computed are zero, and not whatever memory holds
    torch.empty_like, torch.empty = torch.zeros_like, torch.zeros
    for name, row in ROWS.items():
        if row.fused is not None:
            row.fused(*CASES[name](Drawn(torch.float32 if torch.float32 in row.dtypes else torch.complex64)))
    sys.stdout.write(json.dumps(shared))


if __name__ == "__main__":
    main(sys.argv[1])
