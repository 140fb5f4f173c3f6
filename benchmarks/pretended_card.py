"""A pretended graphics card: tensors that say ``card:0`` and are computed on the CPU. What a card would do is counted.

An operation that a real card refuses raises `MixedDevicesError`: tensors of two devices, or a generator of the CPU for
numbers of the card. Launches of kernels, the bytes that they read and write, waits of the CPU for the card and copies
to the card are counted, the latter two by the line of the package that asks for them.

It tells neither the speed of kernels nor their numerics. Kernels in Triton do not run on it: if they are pretended too,
their compiled counterparts for the CPU do their work, and one launch is counted with the bytes that are modelled here.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Any
from unittest import mock

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from cryorbit.kernels import table
from cryorbit.kernels.kernel import Kernel
from cryorbit.kernels.significant import Entries

NAME = "card"
PACKAGE = "/src/cryorbit/"
BYTES_A_SECOND, SECONDS_A_LAUNCH = 2.5e12, 6e-6
"""Of a card such as NVIDIA's H100: what it reads and writes, and what it takes to begin a kernel."""
GIB = 2**30

COPIES = {"_to_copy", "copy_"}
VIEWS = {
    *("view", "slice", "select", "unsqueeze", "squeeze", "expand", "permute", "transpose", "t", "alias", "detach"),
    *("view_as_real", "view_as_complex", "as_strided", "split", "unbind", "unfold", "diagonal", "real", "imag"),
    *("_unsafe_view", "lift_fresh", "split_with_sizes", "_reshape_alias", "empty", "empty_like", "new_empty"),
    *("empty_strided", "new_empty_strided", "_local_scalar_dense"),
}
"""Operations without a kernel."""
WAITING = {
    *("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount"),
    *("is_nonzero", "equal"),
}
"""Operations whose result, or its size, the CPU waits for."""
TAKING_INDICES = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"}
POINT_BYTES = {"POSE_SCORES": 76, "GATHER": 72, "INSERT": 204, "ADD": 204, "ADD_EXACT": 396}
"""Of a kernel in Triton for a point of a slice: corners of its cell, of 8 B to read, or of 12 or 24 B to read and write
again; and its data. Nothing is credited for corners that lie in a cache."""
PAIR_BYTES, LISTING = 48, 40
"""Of the kernels that list poses, which read both parts of a pair of scores for either of them, three times; and
launches, with those on small arrays between."""


class MixedDevicesError(RuntimeError):
    """An operation that a real card refuses."""


@dataclass
class Counts:
    """What happened on the card.

    Attributes
    ----------
    launches, bytes
        Kernels and copies to the card, and what they read and wrote.
    largest
        Bytes of the largest array.
    waits
        Times that the CPU waited for a result of the card, by place in the package.
    uploads
        Copies to the card, by place in the package.
    """

    launches: int = 0
    bytes: int = 0
    largest: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """Modelled: all bytes at full speed, and every launch one after the other."""
        return self.bytes / BYTES_A_SECOND + self.launches * SECONDS_A_LAUNCH

    def __sub__(self, other: Counts) -> Counts:
        """What happened beyond ``other``."""
        return Counts(
            self.launches - other.launches,
            self.bytes - other.bytes,
            max(self.largest, other.largest),
            self.waits - other.waits,
            self.uploads - other.uploads,
        )


class CardTensor(torch.Tensor):
    """A tensor on the card; ``stored`` is where its values are."""

    stored: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, stored: torch.Tensor) -> CardTensor:
        """The tensor of these values."""
        stored = stored.resolve_conj().resolve_neg()
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            stored.size(),
            strides=stored.stride(),
            storage_offset=stored.storage_offset(),
            dtype=stored.dtype,
            device=torch.device(NAME, 0),
        )
        made.stored = stored
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        """There is nobody to compute."""
        raise MixedDevicesError(f"{operation} on the card, which is not there any more")

    def tolist(self) -> Any:
        """The values; the CPU waits for them."""
        return self.cpu().tolist()


class PretendedCard(TorchDispatchMode):
    """While it is entered there is a card, called ``card``.

    Attributes
    ----------
    counts
        What happened on it.
    """

    def __init__(self, *, fused: bool = False, largest: float = math.inf) -> None:
        """A card; with ``fused`` the kernels in Triton are pretended; ``largest`` bytes of an array find room."""
        super().__init__()
        _register()
        self.counts = Counts()
        self._fused, self._largest = fused, largest
        self._patches = contextlib.ExitStack()

    def __enter__(self) -> PretendedCard:
        """Begin to pretend."""
        self._patches.enter_context(mock.patch.object(torch, "sparse_coo_tensor", _SparseMatrix))
        self._patches.enter_context(mock.patch.object(torch.sparse, "mm", self._sparse_product))
        if self._fused:
            choose = partial(_choose_fused, self, Kernel.choose)
            # a plain function: a method of the row it is called of
            self._patches.enter_context(mock.patch.object(Kernel, "choose", lambda row, tensor: choose(row, tensor)))
        # or numbers of Python would be made tensors of the card where nobody sees it
        torch._C._set_only_lift_cpu_tensors(True)
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Stop pretending."""
        super().__exit__(*raised)
        torch._C._set_only_lift_cpu_tensors(False)
        self._patches.close()

    @contextlib.contextmanager
    def counting(self) -> Iterator[Counts]:
        """Count anew while the block runs."""
        before, self.counts = self.counts, Counts()
        yield self.counts
        self.counts = before

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        """Compute on the CPU, refuse what a card refuses, count."""
        settings = dict(settings or {})
        name = operation.overloadpacket.__name__
        device = settings.get("device")
        asked = None if device is None else torch.device(device).type == NAME
        values = tree_leaves((arguments, settings))
        here = any(isinstance(value, CardTensor) for value in values)
        is_result_here = here if asked is None else asked
        if name not in COPIES:
            _refuse_mixed(name, arguments, values, is_result_here)
        if device is not None:
            settings["device"] = torch.device("cpu")
        settings.pop("pin_memory", None)
        result = operation(*unwrapped(arguments), **unwrapped(settings))
        if name == "copy_":
            is_result_here = isinstance(arguments[0], CardTensor)
        if is_result_here:
            self.take(result)
        self._count(operation, name, (arguments, settings), result, is_result_here)
        if not is_result_here or name == "_local_scalar_dense":
            return result
        if operation._schema.is_mutable and arguments and result is getattr(arguments[0], "stored", None):
            return arguments[0]
        return tree_map(_wrapped, result)

    def take(self, result: Any) -> None:
        """Find room for the arrays of a result."""
        size = max((size_of(value) for value in tree_leaves(result) if isinstance(value, torch.Tensor)), default=0)
        if size > self._largest:
            raise torch.OutOfMemoryError(f"no room for {size} bytes in {_place()}")
        self.counts.largest = max(self.counts.largest, size)

    def _count(self, operation: Any, name: str, given: Any, result: Any, is_result_here: bool) -> None:
        tensors = [value for value in tree_leaves(given) if isinstance(value, torch.Tensor)]
        here = [value for value in tensors if isinstance(value, CardTensor)]
        if name in COPIES:
            if len(here) < len(tensors) and is_result_here:
                self.counts.uploads[_place()] += 1
            if here and (not is_result_here or (name == "copy_" and not isinstance(given[0][0], CardTensor))):
                self.counts.waits[_place()] += 1
                return
        if not here and not is_result_here:
            return
        if here and (name in WAITING or _has_mask(name, given[0]) or _counts_repeats(operation, given[1])):
            self.counts.waits[_place()] += 1
        if name in TAKING_INDICES and len(here) < len(tensors):
            # indices in main memory are copied
            self.counts.uploads[_place()] += 1
        if name not in VIEWS:
            self.launched(_traffic(name, tensors, result))

    def launched(self, size: int) -> None:
        """Count a kernel that reads and writes so many bytes."""
        self.counts.launches += 1
        self.counts.bytes += size

    def _sparse_product(self, matrix: _SparseMatrix, dense: torch.Tensor) -> torch.Tensor:
        """The product with a sparse matrix: a row is read for each of its entries."""
        if not isinstance(dense, CardTensor):
            return _sparse_mm(matrix.on_cpu(), dense)
        result = CardTensor(_sparse_mm(matrix.on_cpu(), dense.stored))
        entries = len(matrix.values)
        self.launched(entries * (20 + 4 * dense.shape[1]) + size_of(result))
        return result


_sparse_coo, _sparse_mm = torch.sparse_coo_tensor, torch.sparse.mm


class _SparseMatrix:
    """A sparse matrix, for which torch has no tensors of other devices than its own."""

    def __init__(self, indices: torch.Tensor, values: torch.Tensor, size: Any, **settings: Any) -> None:
        if isinstance(indices, CardTensor) != isinstance(values, CardTensor):
            raise MixedDevicesError(f"indices and values of a sparse matrix in {_place()}")
        self.indices, self.values, self.size, self.settings = indices, values, size, settings

    def on_cpu(self) -> torch.Tensor:
        """As torch has it."""
        return _sparse_coo(unwrapped(self.indices), unwrapped(self.values), self.size, **self.settings)


def _choose_fused(card: PretendedCard, choose: Callable[..., Any], row: Kernel, tensor: torch.Tensor) -> Any:
    """What a row of the table gives where Triton is."""
    if row.fused is None or not isinstance(tensor, CardTensor) or tensor.dtype not in (torch.float32, torch.complex64):
        return choose(row, tensor)

    def call(*arguments: Any) -> Any:
        with torch.utils._python_dispatch._disable_current_modes():
            result = row.cpu(*unwrapped(arguments))
        tensors = [value for value in tree_leaves(arguments) if isinstance(value, torch.Tensor)]
        if not all(isinstance(value, CardTensor) for value in tensors):
            raise MixedDevicesError(f"arguments of a kernel in {_place()}")
        name = next(name for name, value in vars(table).items() if value is row)
        card.launched(_fused_traffic(name, arguments))
        if name == "SIGNIFICANT":
            card.counts.launches += LISTING - 1
            card.counts.waits[_place()] += 1
        card.take(result)
        return tree_map(_wrapped, result)

    return call


def _fused_traffic(name: str, arguments: tuple[Any, ...]) -> int:
    """Bytes that a kernel in Triton reads and writes: so many for a point of a slice, or for a pair of scores."""
    if name == "SIGNIFICANT":
        return PAIR_BYTES * arguments[0].numel()
    rotations = arguments[2][2] if name == "POSE_SCORES" else arguments[1 if name == "GATHER" else -3]
    frequencies = next(value for value in arguments if getattr(value, "shape", (0,))[-1] == 2 and value.dim() == 2)
    return POINT_BYTES[name] * len(rotations) * len(frequencies)


def _refuse_mixed(name: str, arguments: Any, values: list[Any], is_result_here: bool) -> None:
    """Raise where a card would: on tensors of two devices, unless one is a number, and on foreign generators."""
    foreign = [value for value in values if isinstance(value, torch.Tensor) and not isinstance(value, CardTensor)]
    if is_result_here and any(isinstance(value, torch.Generator) and value.device.type == "cpu" for value in values):
        raise MixedDevicesError(f"a generator of the CPU for {name} in {_place()}")
    if not any(isinstance(value, CardTensor) for value in values):
        return
    if name in TAKING_INDICES:
        if not isinstance(arguments[0], CardTensor):
            raise MixedDevicesError(f"indices on the card into a tensor of the CPU in {_place()}")
        foreign = [value for value in tree_leaves(arguments[2:]) if any(value is each for each in foreign)]
    if any(value.dim() for value in foreign):
        raise MixedDevicesError(f"tensors of two devices for {name} in {_place()}")


def _has_mask(name: str, arguments: Any) -> bool:
    """Whether indices are masks, whose true values have to be counted first."""
    return name in TAKING_INDICES and any(
        isinstance(value, torch.Tensor) and value.dtype == torch.bool for value in tree_leaves(arguments[1])
    )


def _counts_repeats(operation: Any, settings: dict[str, Any]) -> bool:
    """Whether numbers of repetitions have to be added up first."""
    return operation is torch.ops.aten.repeat_interleave.Tensor and settings.get("output_size") is None


def _traffic(name: str, tensors: list[torch.Tensor], result: Any) -> int:
    """Bytes that an operation reads and writes: all of its arguments and results, but of indexed tensors a part."""
    written = sum(size_of(value) for value in tree_leaves(result) if isinstance(value, torch.Tensor))
    if name in ("index", "index_select", "gather"):
        return 2 * written + sum(map(size_of, tensors[1:]))
    return written + sum(map(size_of, tensors))


def size_of(tensor: torch.Tensor) -> int:
    """Bytes of the elements of a tensor."""
    return tensor.numel() * tensor.element_size()


def unwrapped(value: Any) -> Any:
    """The same with values in main memory."""
    return tree_map(lambda each: each.stored if isinstance(each, CardTensor) else each, value)


def _wrapped(value: Any) -> Any:
    if isinstance(value, Entries):
        return Entries(*(_wrapped(getattr(value, each.name)) for each in fields(value)))
    is_plain = isinstance(value, torch.Tensor) and not isinstance(value, CardTensor)
    return CardTensor(value) if is_plain else value


def _place() -> str:
    """The line of the package that is being executed."""
    frame = sys._getframe(1)
    while frame is not None:
        if PACKAGE in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename.rpartition(PACKAGE)[2]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside the package"


class _Module(backend_registration._DummyBackendModule):
    """What torch and the package ask of a kind of device."""

    def mem_get_info(self, _device: object = None) -> tuple[int, int]:
        """Free and total bytes of the card."""
        return 70 * GIB, 80 * GIB

    def get_rng_state(self, _device: object = None) -> torch.Tensor:
        """The card has no generator of its own: numbers are drawn on the CPU, whose state torch keeps beside."""
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, _state: torch.Tensor, _device: object = None) -> None:
        """Do nothing."""


@cache
def _register() -> None:
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
