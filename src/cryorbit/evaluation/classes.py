"""Agreement of a classification with the true one, whatever the classes are called."""

from __future__ import annotations

import torch
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def class_accuracy(predicted: Int[Tensor, " n"], true: Int[Tensor, " n"]) -> float:
    """Fraction of particles in the right class under the best one-to-one naming of the classes (Kuhn 1955).

    Labels are any integers; where there are more predicted classes than true ones, the rest count as wrong.
    """
    predicted_names, predicted_index = predicted.unique(return_inverse=True)
    true_names, true_index = true.unique(return_inverse=True)
    shape = (len(predicted_names), len(true_names))
    cells = predicted_index * shape[1] + true_index
    confusion = torch.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    rows, columns = linear_sum_assignment(confusion.cpu().numpy(), maximize=True)
    return float(confusion[rows, columns].sum()) / len(true)
