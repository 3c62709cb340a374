"""Experiment-tracked representational similarity analysis (RSA) of brains and deep networks.

>>> study = open_study({"1": "CSI1.h5", "2": "CSI2.h5"}, "ResNet50.h5")  # doctest: +SKIP
>>> result = analyse(study, subject="group", metric="corr")  # doctest: +SKIP
>>> figure = figures.heatmap(result)  # doctest: +SKIP

Everything is imported when it is first used, so that ``import rsa_exp`` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_exp import datasets, figures
    from rsa_exp.analysis.analyse import analyse
    from rsa_exp.analysis.result import Result
    from rsa_exp.analysis.settings import Inference
    from rsa_exp.analysis.similarity import similarity
    from rsa_exp.errors import InputError
    from rsa_exp.rdms.opening import open_study
    from rsa_exp.rdms.readers.in_memory import Arrays, Patterns
    from rsa_exp.rdms.study import Study
    from rsa_exp.stats.metrics.custom import register_metric
    from rsa_exp.stats.patterns.measurements import PatternOptions

    __version__: str

__all__ = [
    "Arrays", "Inference", "InputError", "PatternOptions", "Patterns", "Result", "Study",
    "__version__", "analyse", "datasets", "figures", "open_study", "register_metric", "similarity",
]  # fmt: skip

_MODULES = {
    "Arrays": "rdms.readers.in_memory",
    "Inference": "analysis.settings",
    "InputError": "errors",
    "PatternOptions": "stats.patterns.measurements",
    "Patterns": "rdms.readers.in_memory",
    "Result": "analysis.result",
    "Study": "rdms.study",
    "analyse": "analysis.analyse",
    "open_study": "rdms.opening",
    "register_metric": "stats.metrics.custom",
    "similarity": "analysis.similarity",
}
"""Module that each public name is defined in."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in {"datasets", "figures"}:
        return import_module(f"{__name__}.{name}")
    if name in _MODULES:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rsa-exp")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
