"""Arrays in, arrays out: the similarity of representational dissimilarity matrices (RDMs)."""

from rsa_exp.stats.metrics import METRICS, Metric
from rsa_exp.stats.similarity import Similarity, similarity

__all__ = ["METRICS", "Metric", "Similarity", "similarity"]
