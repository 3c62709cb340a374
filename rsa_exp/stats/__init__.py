"""Arrays in, arrays out: similarity of RDMs, bootstraps, permutations, noise ceilings, tests."""
