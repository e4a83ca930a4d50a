"""Labels that run through a network beside its numbers; `core.networks.flow` is the entrance."""
