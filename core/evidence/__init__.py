"""Evidence: what criteria and recoveries need to know of training images, collected once."""

from core.evidence.evidence import Evidence, local_evidence
from core.evidence.moments import Moments, collect

__all__ = ["Evidence", "Moments", "collect", "local_evidence"]
