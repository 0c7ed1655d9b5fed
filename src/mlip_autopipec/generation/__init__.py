"""What to compute first: crystals by composition, and perturbed structures made from them."""

from mlip_autopipec.generation.prototypes import Prototype, prototypes
from mlip_autopipec.generation.seeds import SeedStructuresMaker

__all__ = ["Prototype", "SeedStructuresMaker", "prototypes"]
