"""All families of structures by name, which is also the origin of what they make."""

from mlip_autopipec.generation.alloys import alloy
from mlip_autopipec.generation.defects import antisite, interstitial, vacancy
from mlip_autopipec.generation.disorder import liquid, random_crystal
from mlip_autopipec.generation.planes import stacking_fault, surface
from mlip_autopipec.generation.variant import Family
from mlip_autopipec.schemas import Origin

FAMILIES: dict[Origin, Family] = {
    "vacancy": vacancy,
    "interstitial": interstitial,
    "antisite": antisite,
    "surface": surface,
    "stacking_fault": stacking_fault,
    "alloy": alloy,
    "random_crystal": random_crystal,
    "liquid": liquid,
}
"""Makers of one structure each from a crystal that is periodic in three dimensions."""
