"""Methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from cryorbit.core.errors import InputError
from cryorbit.optim.adagrad import AdaGrad
from cryorbit.optim.anderson import Anderson
from cryorbit.optim.armijo import Armijo
from cryorbit.optim.em import EM
from cryorbit.optim.gradient_descent import GradientDescent
from cryorbit.optim.hessian_free import HessianFree
from cryorbit.optim.method import Method
from cryorbit.optim.momentum import Momentum, Nesterov
from cryorbit.optim.online_lbfgs import OnlineLBFGS
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.sag import SAG, SAGA
from cryorbit.optim.sem_vr import SEMVR
from cryorbit.optim.sem_vr_quasi_newton import SEMVRQuasiNewton
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.sgd import SGD
from cryorbit.optim.stochastic_em import StochasticEM
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.optim.svrg_subsampled_hessian import SVRGSubsampledHessian
from cryorbit.optim.tonga import Tonga

METHODS: Mapping[str, type[Method[Any]]] = MappingProxyType(
    {
        "gradient-descent": GradientDescent,
        "armijo": Armijo,
        "sgd": SGD,
        "momentum": Momentum,
        "nesterov": Nesterov,
        "adagrad": AdaGrad,
        "tonga": Tonga,
        "online-lbfgs": OnlineLBFGS,
        "hessian-free": HessianFree,
        "sag": SAG,
        "saga": SAGA,
        "preconditioned-sgd": PreconditionedSGD,
        "svrg": SVRG,
        "svrg-subsampled-hessian": SVRGSubsampledHessian,
        "svrg-quasi-newton": SVRGQuasiNewton,
        "em": EM,
        "stochastic-em": StochasticEM,
        "sem-vr": SEMVR,
        "sem-vr-statistics": SEMVRStatistics,
        "sem-vr-quasi-newton": SEMVRQuasiNewton,
        "anderson": Anderson,
    }
)


def find_method(name: str) -> type[Method[Any]]:
    """The method ``name``, or the class that ``module:Class`` names.

    Raises
    ------
    InputError
        If there is none, naming those there are.
    """
    if name in METHODS:
        return METHODS[name]
    module_name, _, class_name = name.partition(":")
    if class_name:
        try:
            method: type[Method[Any]] = getattr(import_module(module_name), class_name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"no method {name!r}: {error}", fix="give an importable module:Class") from error
        if not isinstance(method, type):
            raise InputError(f"{name!r} is not a class", fix="give an importable module:Class")
        missing = [part for part in ("init", "step") if not hasattr(method, part)]
        if missing:
            raise InputError(
                f"{name!r} is not a method: it has no {' and no '.join(missing)}",
                fix="give a class with `init` and `step`, as docs/optimise.md says",
            )
        return method
    raise InputError(f"no method {name!r}", fix=f"choose one of {', '.join(METHODS)}, or module:Class")
