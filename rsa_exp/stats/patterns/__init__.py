"""From response patterns (measurements x channels) to RDMs: arrays in, arrays out."""
