"""RDMs given by points in a space, of which sums over all pairs need no pair."""
