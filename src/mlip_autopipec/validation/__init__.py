"""Validation: whether the potential is as good as it should be."""

from mlip_autopipec.validation.base import check, worst
from mlip_autopipec.validation.eos import EosMaker, eos_structures
from mlip_autopipec.validation.held_out import HeldOutMaker
from mlip_autopipec.validation.stability import StabilityMaker

__all__ = ["EosMaker", "HeldOutMaker", "StabilityMaker", "check", "eos_structures", "worst"]
