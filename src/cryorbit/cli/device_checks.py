"""Checks of GPUs by ``cryorbit doctor``: which there are, which torch can use, and whether they compute correctly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cryorbit.api.devices import UNUSED

if TYPE_CHECKING:
    from cryorbit.recipes.doctor import Check

LEAST_FREE_GB = 4.0


def check_devices() -> Iterator[Check]:
    """Examine every GPU, and say why there is none that can be used."""
    import torch

    from cryorbit.recipes.doctor import Check

    if torch.cuda.is_available():
        yield from (_check_gpu(number) for number in range(torch.cuda.device_count()))
        yield _check_kernels()
    elif (unused := _unused()) is not None:
        yield Check("GPU", "good", f"{UNUSED[unused]} ({unused}): jobs run on the CPU")
    elif shutil.which("nvidia-smi") is None:
        yield Check("GPU", "good", "none; jobs run on the CPU")
    elif torch.version.cuda is None:
        yield Check("GPU", "doubtful", "this torch is the CPU build", "install the CUDA build of torch to use the GPU")
    else:
        advice = f"the driver may be older than CUDA {torch.version.cuda}, or CUDA_VISIBLE_DEVICES hides the GPU"
        yield Check("GPU", "doubtful", "torch finds none, although there is a driver; jobs run on the CPU", advice)


def _check_kernels() -> Check:
    """Whether the kernels for GPUs can be compiled here."""
    from cryorbit.kernels.fused.device import fused_device
    from cryorbit.recipes.doctor import Check

    if fused_device() == "cuda":
        return Check("GPU kernels", "good", "compiled by Triton")
    advice = "pip install 'cryorbit[gpu]', and a C compiler (gcc) for Triton"
    return Check("GPU kernels", "doubtful", "Triton does not work here: plain PyTorch is many times slower", advice)


def _unused() -> str | None:
    """The kind of a GPU that torch finds and jobs do not run on, if there is one."""
    import torch

    return next((kind for kind in UNUSED if hasattr(torch, kind) and getattr(torch, kind).device_count()), None)


def _check_gpu(number: int) -> Check:
    import torch

    from cryorbit.recipes.doctor import Check

    device = torch.device("cuda", number)
    name = f"GPU {number}"
    kind = torch.cuda.get_device_name(device)
    try:
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(device))
        ones = torch.ones(256, 256, device=device)
        right = bool((ones @ ones == 256).all())
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        return Check(name, "bad", f"{kind}: {first}", "install a torch built for this GPU, or use --device cpu")
    finding = f"{kind}, {free:.0f} of {total:.0f} GB free"
    if not right:
        return Check(
            name, "bad", f"{finding}, which computes wrong results", "use --device cpu, and have the GPU checked"
        )
    if free < LEAST_FREE_GB:
        return Check(name, "doubtful", finding, "other programs are using it: choose another with --device cuda:N")
    return Check(name, "good", finding)
