"""The result of a sweep: tables over all runs, figures, what it says in words, and a report.

Pure: `summarise` takes what a caller read from disk and reads and writes nothing.
"""

from rsa_exp.summary.record import Picture, SweepRecord, SweepRun
from rsa_exp.summary.summary import Summary, summarise

__all__ = ["Picture", "Summary", "SweepRecord", "SweepRun", "summarise"]
