"""RDM files on disk: reading, aligning by image name, and the simulated study."""

from rsa_exp.data.alignment import Alignment, LabelledFile, align
from rsa_exp.data.rdm_file import RdmFile
from rsa_exp.data.simulated import simulate_study
from rsa_exp.data.study import Study

__all__ = ["Alignment", "LabelledFile", "RdmFile", "Study", "align", "simulate_study"]
