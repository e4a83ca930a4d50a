"""What makes a measurement the same measurement."""

import json
from dataclasses import asdict, dataclass, fields, replace

from core.errors import InputError
from core.specs.point import UNPRUNED
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import PRECISIONS

ALGORITHM = 1
"""Raised whenever pruning, recovery or evaluation would give other counts for the same settings."""


@dataclass(frozen=True)
class Key:
    """Same key on the same device and library versions, same counts, bitwise.

    The spec is kept in canonical form. Raises InputError for a ratio that is not in hundredths, or
    a precision that was not resolved.
    """

    checkpoint: str  # fingerprint of the baseline's tensors
    spec: PruningSpec
    recovery: Recovery
    data: str  # fingerprint of the data set
    subset: int  # test images
    subset_seed: int  # of their draw; 0 for the whole test set
    precision: str  # "fp32" or "bf16"
    algorithm: int = ALGORITHM
    architecture: str = "resnet18"  # Network.identity: what decides besides the tensors

    def __post_init__(self) -> None:
        if abs(100 * self.spec.ratio - round(100 * self.spec.ratio)) > 1e-9:
            raise InputError(
                f"Results are kept for ratios in hundredths, not for {self.spec.ratio!r}."
            )
        if self.precision not in PRECISIONS:
            raise InputError(
                f"A result has the precision {' or '.join(PRECISIONS)}, not {self.precision!r}."
            )
        spec = replace(self.spec, ratio=round(self.spec.ratio, 2)).canonical()
        object.__setattr__(self, "spec", UNPRUNED if spec.is_identity else spec)

    @property
    def hundredths(self) -> int:
        """The ratio as a whole number, so that it can be compared exactly."""
        return round(100 * self.spec.ratio)

    @property
    def settings(self) -> str:
        """Canonical JSON of all of the spec but the ratio.

        What is at its default is left out, so that a setting that is added later changes no key.
        """
        defaults = {field.name: field.default for field in fields(PruningSpec)}
        named = {
            name: value
            for name, value in asdict(self.spec).items()
            if name != "ratio" and value != defaults[name]
        }
        return json.dumps(named, sort_keys=True, separators=(",", ":"))

    @property
    def recovery_settings(self) -> str:
        return json.dumps(self.recovery.to_json(), sort_keys=True, separators=(",", ":"))
