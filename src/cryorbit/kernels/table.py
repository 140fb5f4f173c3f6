"""The table of kernels: operation, reference, what does the same on the CPU, in which precisions, and on a GPU."""

from __future__ import annotations

import torch

from cryorbit.kernels.add_exact import add_exact_numba, add_exact_torch
from cryorbit.kernels.fused.device import imported_late
from cryorbit.kernels.gather import gather_numba, gather_torch
from cryorbit.kernels.insert import add_numba, add_torch, insert_numba, insert_torch
from cryorbit.kernels.kernel import Kernel
from cryorbit.kernels.pose_scores import score_numba, score_torch
from cryorbit.kernels.products import add_products_numba, add_products_torch
from cryorbit.kernels.significant import list_numba, list_torch
from cryorbit.kernels.turned_grid import average_numba, average_torch
from cryorbit.kernels.zeros import zeros_mapped, zeros_torch

GATHER = Kernel(gather_torch, gather_numba, (torch.complex64,), imported_late("gather", "gather_fused"))
INSERT = Kernel(insert_torch, insert_numba, (torch.complex64,), imported_late("insert", "insert_fused"))
ADD = Kernel(add_torch, add_numba, (torch.complex64,), imported_late("insert", "add_fused"))
ADD_EXACT = Kernel(add_exact_torch, add_exact_numba, (torch.complex64,), imported_late("insert", "add_exact_fused"))
PRODUCTS = Kernel(add_products_torch, add_products_numba, (torch.float32, torch.float64))
TURNED_MEAN = Kernel(average_torch, average_numba, (torch.complex64,))
SIGNIFICANT = Kernel(list_torch, list_numba, (torch.float32,), imported_late("significant", "list_fused"))
POSE_SCORES = Kernel(score_torch, score_numba, (torch.complex64,), imported_late("pose_scores", "score_fused"))
ZEROS = Kernel(
    zeros_torch, zeros_mapped, (torch.float32, torch.float64, torch.complex64, torch.complex128, torch.int64)
)
