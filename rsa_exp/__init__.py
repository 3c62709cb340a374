"""Experiment-tracked representational similarity analysis (RSA) of brains and deep networks."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rsa-exp")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
