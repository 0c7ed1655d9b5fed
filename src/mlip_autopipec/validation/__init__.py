"""Validation: whether the potential is as good as it should be."""

from mlip_autopipec.validation.base import above, check, worst
from mlip_autopipec.validation.defect import StackingFaultMaker, SurfaceMaker, VacancyMaker
from mlip_autopipec.validation.elastic import ElasticMaker
from mlip_autopipec.validation.eos import EosMaker, eos_structures, of_each_crystal, volumes_per_atom
from mlip_autopipec.validation.held_out import HeldOutMaker
from mlip_autopipec.validation.phonon import PhononMaker
from mlip_autopipec.validation.property import PropertyMaker
from mlip_autopipec.validation.stability import StabilityMaker

__all__ = [
    "ElasticMaker",
    "EosMaker",
    "HeldOutMaker",
    "PhononMaker",
    "PropertyMaker",
    "StabilityMaker",
    "StackingFaultMaker",
    "SurfaceMaker",
    "VacancyMaker",
    "above",
    "check",
    "eos_structures",
    "of_each_crystal",
    "volumes_per_atom",
    "worst",
]
