"""What to compute next: crystals by composition, and structures of many families made from them."""

from mlip_autopipec.generation.families import FAMILIES
from mlip_autopipec.generation.kmc_cells import DefectCellMaker
from mlip_autopipec.generation.prototypes import Prototype, prototypes
from mlip_autopipec.generation.search import PerturbationMaker
from mlip_autopipec.generation.seeds import SeedStructuresMaker
from mlip_autopipec.generation.variant import Variant, variants

__all__ = [
    "FAMILIES",
    "DefectCellMaker",
    "PerturbationMaker",
    "Prototype",
    "SeedStructuresMaker",
    "Variant",
    "prototypes",
    "variants",
]
