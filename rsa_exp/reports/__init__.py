"""A sweep as one result: tables over its runs, figures, sentences, and an HTML report."""
