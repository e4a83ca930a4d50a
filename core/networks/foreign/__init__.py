"""Checkpoints that other code wrote: read safely, renamed, and recognised.

A file goes through `read` (safetensors or a pickle), `state_dict_in` (its tensors) and `recognise`
or `fit` (an architecture of the registry, with the tensors under its names).
"""

from core.networks.foreign.reading import read
from core.networks.foreign.recognition import Fitted, fit, namesakes, recognise
from core.networks.foreign.state import Stored, state_dict_in

__all__ = ["Fitted", "Stored", "fit", "namesakes", "read", "recognise", "state_dict_in"]
