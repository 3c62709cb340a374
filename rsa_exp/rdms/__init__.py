"""RDMs of subjects and models, aligned by image name."""
