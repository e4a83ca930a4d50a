"""The key that identifies a measurement."""

import json
from dataclasses import asdict, dataclass, fields, replace

from core.errors import InputError
from core.specs.point import UNPRUNED
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import CRITERIA, PRECISIONS

ALGORITHM = 1
"""Increase it when pruning, recovery or evaluation changes the counts for the same settings."""


@dataclass(frozen=True)
class Key:
    """Everything that determines a result.

    On the same device and library versions, the same key gives exactly the same counts. The spec is
    stored in canonical form. Raises InputError for a ratio that is not in hundredths, or for an
    unresolved precision ("auto").
    """

    checkpoint: str  # fingerprint of the baseline's tensors
    spec: PruningSpec
    recovery: Recovery
    data: str  # fingerprint of the data set
    subset: int  # test images
    subset_seed: int  # for drawing them; 0 for the whole test set
    precision: str  # "fp32" or "bf16"
    algorithm: int = ALGORITHM
    architecture: str = "resnet18"  # Network.identity: what determines outputs besides tensors
    evidence: str = ""  # Saliency.identity, where the criterion looks at training images

    def __post_init__(self) -> None:
        if abs(100 * self.spec.ratio - round(100 * self.spec.ratio)) > 1e-9:
            raise InputError(
                f"Results are stored for ratios in hundredths, not for {self.spec.ratio!r}."
            )
        if self.precision not in PRECISIONS:
            raise InputError(
                f"The precision of a result is {' or '.join(PRECISIONS)}, not {self.precision!r}."
            )
        spec = replace(self.spec, ratio=round(self.spec.ratio, 2)).canonical()
        object.__setattr__(self, "spec", UNPRUNED if spec.is_identity else spec)
        if not CRITERIA[self.spec.criterion].needs_images:
            object.__setattr__(self, "evidence", "")

    @property
    def hundredths(self) -> int:
        """The ratio in hundredths, as an integer that can be compared exactly."""
        return round(100 * self.spec.ratio)

    @property
    def settings(self) -> str:
        return settings_of(self.spec, self.evidence)

    @property
    def recovery_settings(self) -> str:
        return json.dumps(self.recovery.to_json(), sort_keys=True, separators=(",", ":"))


def settings_of(spec: PruningSpec, evidence: str = "") -> str:
    """Return canonical JSON of a spec without the ratio, with the evidence if there is some.

    Defaults are left out, so adding a setting later does not change existing keys.
    """
    defaults = {field.name: field.default for field in fields(PruningSpec)}
    named = {
        name: value
        for name, value in asdict(spec).items()
        if name != "ratio" and value != defaults[name]
    }
    if evidence:
        named["evidence"] = evidence
    return json.dumps(named, sort_keys=True, separators=(",", ":"))
