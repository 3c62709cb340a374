"""Studies to try things on, and the published ones.

>>> study = simulated(n_images=200)  # doctest: +SKIP
"""

from rsa_exp.datasets.catalogue import bold5000, simulated

__all__ = ["bold5000", "simulated"]
