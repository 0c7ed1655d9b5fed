"""An oracle of one's own: a Morse potential, in the place where a DFT code would stand."""

from dataclasses import dataclass
from pathlib import Path

from ase.calculators.morse import MorsePotential

from mlip_autopipec.oracle import OracleMaker
from mlip_autopipec.oracle.base import OracleResult
from mlip_autopipec.schemas import AtomicStructure, Fingerprint


@dataclass
class MorseMaker(OracleMaker):
    """Label by a Morse potential.

    Parameters
    ----------
    name
        Name of the job.
    depth
        Depth of the well in eV.
    distance
        Distance of its bottom in Å.
    stiffness
        Decay times distance, dimensionless.
    min_distance_ratio
        See `OracleMaker`.
    max_force
        See `OracleMaker`.
    """

    name: str = "label by morse"
    depth: float = 0.34
    distance: float = 2.87
    stiffness: float = 3.9

    def compute(self, structure: AtomicStructure, directory: Path) -> OracleResult:
        """Compute energy, forces and stress; `directory` is where a program would write its files."""
        atoms = structure.to_ase()
        atoms.calc = MorsePotential(epsilon=self.depth, r0=self.distance, rho0=self.stiffness)
        return OracleResult(
            energy=atoms.get_potential_energy(),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(voigt=False) if atoms.pbc.all() else None,
            fingerprint=Fingerprint(
                code="morse",
                version="1",
                # whatever changes the numbers: labels of different settings never mix
                settings={"depth": self.depth, "distance": self.distance, "stiffness": self.stiffness},
            ),
        )
