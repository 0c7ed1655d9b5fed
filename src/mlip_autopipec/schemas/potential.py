"""A fitted potential and how well it fits."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray
from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.files import unpack_file
from mlip_autopipec.schemas.fit import GivenPotentialReport, LinearFitReport, PacemakerFitReport
from mlip_autopipec.schemas.label import EnergyShift, LabelledStructure
from mlip_autopipec.schemas.structure import FileData, Origin

if TYPE_CHECKING:  # the documents are read where the potential's own libraries are not needed
    from mlip_autopipec.ace import AcePotential, CoreSwitch


class ParityPoint(Document):
    """One structure in the parity plots."""

    label_id: str = Field(description="Id of the label.")
    origin: Origin = Field(description="How the structure was made.")
    n_atoms: int = Field(description="Number of atoms [1].")
    energy_reference: float = Field(description="Energy per atom by the oracle, relative to E0 [eV/atom].")
    energy_predicted: float = Field(description="Energy per atom by the potential, relative to E0 [eV/atom].")
    forces_reference: list[float] = Field(
        description="Force components by the oracle [eV/Å], shape (3 n_atoms,)."
    )
    forces_predicted: list[float] = Field(description="Force components by the potential [eV/Å], same shape.")
    stress_reference: list[float] | None = Field(
        None, description="Stress by the oracle, Voigt order xx yy zz yz xz xy [eV/Å^3], shape (6,)."
    )
    stress_predicted: list[float] | None = Field(
        None, description="Stress by the potential, Voigt order xx yy zz yz xz xy [eV/Å^3], shape (6,)."
    )

    @classmethod
    def predict(
        cls, potential: "AcePotential", labelled: Iterable[LabelledStructure], e0: dict[str, float]
    ) -> list[Self]:
        """Evaluate labelled structures.

        Parameters
        ----------
        potential
            The potential.
        labelled
            The labels.
        e0
            Energy of each element's free atom in eV.

        Returns
        -------
        list[ParityPoint]
            Prediction beside label.
        """
        points = []
        for item in labelled:
            atoms = item.label.structure.to_ase()
            found = potential.evaluate(atoms, gamma=False)
            stress = (
                full_3x3_to_voigt_6_stress(-found.virial / atoms.get_volume()) if atoms.pbc.all() else None
            )
            points.append(cls.from_prediction(item, e0, float(found.energies.sum()), found.forces, stress))
        return points

    @classmethod
    def from_prediction(
        cls,
        labelled: LabelledStructure,
        e0: dict[str, float],
        energy: float,
        forces: NDArray[np.float64],
        stress: NDArray[np.float64] | None,
    ) -> Self:
        """Set a prediction against its label.

        Parameters
        ----------
        labelled
            The labelled structure.
        e0
            Energy of each element's free atom in eV.
        energy
            Predicted energy of the cell without E0 in eV.
        forces
            Predicted forces in eV/Å, shape ``(n_atoms, 3)``.
        stress
            Predicted stress in eV/Å^3, Voigt order, shape ``(6,)``; ignored where the label has none.

        Returns
        -------
        ParityPoint
            Both, side by side.
        """
        label = labelled.label
        n_atoms = label.structure.n_atoms
        reference = label.energy - sum(e0[symbol] for symbol in label.structure.symbols)
        both = label.stress is not None and stress is not None
        return cls(
            label_id=labelled.label_id,
            origin=labelled.origin,
            n_atoms=n_atoms,
            energy_reference=reference / n_atoms,
            energy_predicted=energy / n_atoms,
            forces_reference=np.ravel(label.forces).tolist(),
            forces_predicted=np.ravel(forces).tolist(),
            stress_reference=full_3x3_to_voigt_6_stress(label.stress).tolist() if both else None,
            stress_predicted=np.ravel(stress).tolist() if both and stress is not None else None,
        )


class ErrorStatistics(Document):
    """Differences between potential and oracle over a group of structures."""

    n_structures: int = Field(description="Number of structures [1].")
    energy_rmse: float = Field(description="Root mean square error of the energy per atom [eV/atom].")
    energy_mae: float = Field(description="Mean absolute error of the energy per atom [eV/atom].")
    force_rmse: float = Field(description="Root mean square error of the force components [eV/Å].")
    force_mae: float = Field(description="Mean absolute error of the force components [eV/Å].")
    force_max: float = Field(description="Largest error of a force component [eV/Å].")
    stress_rmse: float | None = Field(
        None, description="Root mean square error of the stress components, where labelled [eV/Å^3]."
    )

    @classmethod
    def from_parity(cls, points: Sequence[ParityPoint]) -> "ErrorStatistics":
        """Summarise the differences of some structures.

        Parameters
        ----------
        points
            At least one structure.

        Returns
        -------
        ErrorStatistics
            Errors over all of them.

        Raises
        ------
        ValueError
            There is no structure, so there is no error to speak of.
        """
        if not points:
            raise ValueError("errors need at least one structure, got none.")
        energy = np.array([p.energy_predicted - p.energy_reference for p in points])
        forces = np.concatenate([np.subtract(p.forces_predicted, p.forces_reference) for p in points])
        stress = [
            np.subtract(p.stress_predicted, p.stress_reference)
            for p in points
            if p.stress_predicted is not None and p.stress_reference is not None
        ]
        return cls(
            n_structures=len(points),
            energy_rmse=float(np.sqrt(np.mean(energy**2))),
            energy_mae=float(np.mean(np.abs(energy))),
            force_rmse=float(np.sqrt(np.mean(forces**2))),
            force_mae=float(np.mean(np.abs(forces))),
            force_max=float(np.max(np.abs(forces))),
            stress_rmse=float(np.sqrt(np.mean(np.square(stress)))) if stress else None,
        )


class CoreRepulsion(Document):
    """The ZBL core inside the potential file: below `r_in` each atom's energy goes over to ZBL."""

    r_in: dict[str, float] = Field(
        description="Where it begins, per pair 'A-B': shortest training distance [Å]."
    )
    delta_in: dict[str, float] = Field(description="Width of the switch, per pair 'A-B' [Å].")
    scan_from: float = Field(description="Smallest distance of the dimer scan that showed it monotonic [Å].")

    @classmethod
    def of(cls, core: "Mapping[str, CoreSwitch]", scan_from: float) -> Self:
        """Put core switches into a document.

        Parameters
        ----------
        core
            Core switch by pair.
        scan_from
            Smallest distance of the dimer scan in Å.

        Returns
        -------
        CoreRepulsion
            The document.
        """
        return cls(
            r_in={pair: switch.r_in for pair, switch in core.items()},
            delta_in={pair: switch.delta_in for pair, switch in core.items()},
            scan_from=scan_from,
        )


class BaselineDoc(Document):
    """A pair potential under the ACE: subtracted from the labels, added by whoever uses the files."""

    kind: Literal["zbl", "lj"] = Field(description="'zbl' (screened nuclear repulsion) or 'lj' (WCA form).")
    inner: dict[str, float] = Field(
        description="Per pair 'A-B': where ZBL's switch begins, or sigma of LJ [Å]."
    )
    outer: dict[str, float] = Field(description="Per pair 'A-B': where it is zero from on [Å].")
    epsilon: dict[str, float] | None = Field(None, description="Per pair 'A-B': depth of LJ [eV].")
    lammps: list[str] = Field(description="The pair_style and pair_coeff lines of LAMMPS, ACE included.")


class PotentialDoc(Document):
    """A potential: its files and everything needed to judge and use it."""

    schema_version: Literal[1] = 1
    elements: list[str] = Field(description="Elements, alphabetically.")
    files: list[FileData] = Field(repr=False, description="potential.yaml, potential.yace and potential.asi.")
    e0: dict[str, float] = Field(description="Energy of each element's free atom, to be added per atom [eV].")
    e0_source: str = Field(description="How E0 was obtained.")
    cutoff: float = Field(description="Largest cut-off radius [Å].")
    n_functions: dict[str, int] = Field(description="Basis functions of each element [1].")
    core: CoreRepulsion = Field(description="Short-range repulsion.")
    gamma_scale: Literal["pace-maxvol-linear"] = Field(
        "pace-maxvol-linear", description="Scale of the extrapolation grade: 1 = inside the active set."
    )
    baseline: BaselineDoc | None = Field(
        None,
        description="Pair potential to be added to the files' (delta learning); none if they are whole.",
    )
    fit: LinearFitReport | PacemakerFitReport | GivenPotentialReport = Field(
        discriminator="method", description="What the solver reported."
    )
    training_errors: ErrorStatistics = Field(description="Errors on the training set.")
    parity: list[ParityPoint] = Field(repr=False, description="Training set point by point.")
    n_labels: int = Field(description="Number of labelled structures it was fitted to [1].")
    excluded: list[str] = Field(
        default_factory=list, description="Labels that were set aside, with the reason, one line each."
    )
    realigned: list[EnergyShift] = Field(
        default_factory=list, description="Labels of other conditions and how their E0 was shifted."
    )
    file_differences: dict[str, float] = Field(
        description="Largest |difference| of energies [eV/atom] and forces [eV/Å] after reading back."
    )
    versions: dict[str, str] = Field(description="Versions of the programs that made it.")
    wall_time: float = Field(description="Wall time of the fit [s].")

    def write(self, directory: Path) -> Path:
        """Write the potential's files into a folder and return the `.yaml`, else the `.yace`."""
        written = {path.suffix: path for path in (unpack_file(file, directory) for file in self.files)}
        return written.get(".yaml") or written[".yace"]
