"""Evidence: what criteria and recoveries need to know of training images, collected once."""

from core.evidence.evidence import Evidence, kept_identity, kept_saliency, local_evidence
from core.evidence.moments import Moments, collect
from core.evidence.reading import readers, readers_of
from core.evidence.saliency import InputSaliency, Saliency

__all__ = [
    "Evidence",
    "InputSaliency",
    "Moments",
    "Saliency",
    "collect",
    "kept_identity",
    "kept_saliency",
    "local_evidence",
    "readers",
    "readers_of",
]
