"""Recovery: regaining accuracy after pruning."""
