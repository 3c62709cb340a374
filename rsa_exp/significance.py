"""What is called significant, wherever it is marked or counted: tables, figures, reports."""

__all__ = ["ALPHA"]

ALPHA = 0.05
"""Of a false discovery rate (q) or a family-wise p value."""
