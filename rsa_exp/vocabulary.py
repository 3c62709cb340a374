"""Names and numbers that several parts of the program share, each in one place.

Plain values without imports, so that ``--help`` needs no numerical library; tests compare
them with the registries that they name.
"""

__all__ = [
    "ALIGNMENTS", "ALPHA", "ATLASES", "BOOTSTRAPS", "CEILINGS", "CELL_KEYS", "COUNT_COLUMNS",
    "CROSS_VALIDATED", "DISTANCES", "FACT_COLUMNS", "FAMILIES", "FEW_IMAGES", "FEW_SUBJECTS",
    "FIGURE_NAMES", "FOLDS", "GROUP", "INFERENCE_COLUMNS", "JACKKNIFE", "JOINT", "MATCHES",
    "METRIC_NAMES", "MIN_DRAWS", "MIN_IMAGES", "MIN_PAIRS", "NOISES", "NUMBER_COLUMNS", "POOLED",
    "PRECISIONS", "ROI_FIELDS", "SINGLE_PRECISION", "WHITENED", "ZSCORES",
]  # fmt: skip

# Choices of settings.
METRIC_NAMES = (
    "corr", "cosine", "spearman", "rho-a", "tau-a", "tau-b", "corr_cov", "cosine_cov", "bures",
    "bures_metric", "neg_riem_dist",
)  # fmt: skip
SINGLE_PRECISION = ("corr", "cosine", "corr_cov", "cosine_cov")
"""Metrics for which float32 is safe."""
FIGURE_NAMES = (
    "heatmap", "bars", "profiles", "scatter", "radar", "surface", "rdms", "intervals",
    "comparisons", "best_layers", "permutation",
)  # fmt: skip
ALIGNMENTS = ("stem", "exact")
MATCHES = ("study", "subject")
"""Whose common images are used: of all subjects, or of each subject and the model."""
ATLASES = ("BOLD5000", "vcAtlas", "visfAtlas")
PRECISIONS = ("float64", "float32")
BOOTSTRAPS = ("auto", "images", "subjects", "dual", "jackknife", "none")
JACKKNIFE = "jackknife"
"""Leaving out each image once, in place of drawing images."""
CEILINGS = ("auto", "draws", "none")
FAMILIES = ("run", "sweep")
DISTANCES = (
    "correlation", "cosine", "euclidean", "mahalanobis", "crossnobis", "poisson", "poisson_cv",
)  # fmt: skip
"""Dissimilarities of response patterns, by rsatoolbox's names."""
WHITENED = ("mahalanobis", "crossnobis")
"""Distances that take the covariance of the noise into account."""
CROSS_VALIDATED = ("crossnobis", "poisson_cv")
"""Distances that are made of products of independent measurements."""
NOISES = ("none", "diag", "full", "shrinkage_eye", "shrinkage_diag")
"""Estimates of the covariance of the noise, by rsatoolbox's names."""
FOLDS = ("run", "session")
"""What measurements share that are not independent."""
ZSCORES = ("none", "run", "session", "all")
"""Over which rows each channel gets mean 0 and standard deviation 1."""

# Subjects that are made of others: never replications of them.
GROUP = "group"
"""The mean of all subjects' scores."""
JOINT = "joint"
"""The mean RDM of all subjects."""
POOLED = (GROUP, JOINT)

# Columns of tables of scores.
ROI_FIELDS = ("hemisphere", "region", "level")
"""What is known of an ROI besides its name."""
FACT_COLUMNS = (
    "study", "subject", "roi", *ROI_FIELDS, "model", "layer", "depth", "metric", "score",
    "n_images", "n_pairs",
)  # fmt: skip
"""Columns of a table of scores that are not of inference."""
CELL_KEYS = ("subject", "roi", "layer", "metric")
"""Columns that tell the cells of a table of scores apart."""
INFERENCE_COLUMNS = (
    "se", "ci_low", "ci_high", "ci_method", "p_zero", "p_perm", "p_fwe", "p_ceiling", "q",
    "n_tests", "ceiling_low", "ceiling_high", "se_jackknife", "score_perm",
)  # fmt: skip
"""What inference adds to a table of scores; empty where it was not asked for or is undefined."""
COUNT_COLUMNS = ("depth", "n_images", "n_pairs", "n_tests")
"""Columns of whole numbers."""
NUMBER_COLUMNS = (
    "score", *(name for name in INFERENCE_COLUMNS if name not in {"ci_method", "n_tests"}),
)  # fmt: skip
"""Columns that a run computes; floats."""

# Limits of what data can support.
ALPHA = 0.05
"""Below this a false discovery rate (q) or a family-wise p value is called significant."""
MIN_DRAWS = 20
"""Fewer bootstrap draws than these make no interval."""
MIN_IMAGES = 3
"""Three images make three pairs, the fewest on which a correlation is not always 1 or -1."""
MIN_PAIRS = 3
"""Fewer pairs than these carry no correlation: with two, every r is 1 or -1."""
FEW_SUBJECTS = 6
"""With fewer subjects than these, intervals are wide and tests over subjects have little power."""
FEW_IMAGES = 20
"""With fewer images than these, draws of images vary much, and many are undefined."""
