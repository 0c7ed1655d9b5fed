"""Validation of a potential against its oracle."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document, Migration
from mlip_autopipec.schemas.potential import ErrorStatistics, ParityPoint
from mlip_autopipec.schemas.structure import AtomicStructure, SelectionDoc

Verdict = Literal["pass", "warn", "fail"]

CheckKind = Literal[
    "held_out", "eos", "stability", "elastic", "phonon", "vacancy", "stacking_fault", "surface"
]
"""Validators; `validation.checks` names those that run beside the first three, which always do."""

Tensor = list[list[float]]


class Check(Document):
    """One number held against a limit."""

    name: str = Field(description="What was checked.")
    kind: CheckKind | None = Field(None, description="Which validator asked.")
    value: float = Field(description="What was found, in `unit`.")
    reference: float | None = Field(
        None, description="What the oracle says, in `unit`; none if it has no say."
    )
    limit: float | None = Field(
        description="Largest value, or difference from the reference, that passes, in `unit`; none: no limit."
    )
    least: bool = Field(False, description="Whether the limit is the smallest value that passes instead.")
    unit: str = Field(description="Unit of value, reference and limit.")
    verdict: Verdict = Field(description="Judgement.")
    reason: str = Field(description="The judgement in words.")


class EosFit(Document):
    """Parameters of a Birch-Murnaghan equation of state."""

    v0: float = Field(description="Equilibrium volume [Å^3/atom].")
    e0: float = Field(description="Energy at v0, relative to free atoms [eV/atom].")
    b0: float = Field(description="Bulk modulus at v0 [GPa].")
    b0_prime: float = Field(description="Pressure derivative of the bulk modulus [1].")


def _one_curve(eos: dict[str, Any]) -> dict[str, Any]:
    """Make version 2 of version 1, which knew the first crystal alone."""
    curve = {key: value for key, value in eos.items() if key in EosCurve.model_fields}
    return {**{key: value for key, value in eos.items() if key not in curve}, "curves": [curve]}


class EosCurve(Document):
    """Energy of a crystal against volume by oracle and potential, from the same structures and fit."""

    formula: str = Field(description="What was strained.")
    phase: str = Field("", description="Composition and space group; empty in documents of version 1.")
    volumes: list[float] = Field(description="Volumes [Å^3/atom].")
    energies_reference: list[float] = Field(description="Energies by the oracle relative to E0 [eV/atom].")
    energies_predicted: list[float] = Field(description="Energies by the potential relative to E0 [eV/atom].")
    reference: EosFit = Field(description="Fit to the oracle.")
    predicted: EosFit | None = Field(description="Fit to the potential; none if its energy has no minimum.")


class EosDoc(Document):
    """Equations of state of the given crystals."""

    schema_version: Literal[2] = 2
    migrations: ClassVar[dict[int, Migration]] = {1: _one_curve}
    curves: list[EosCurve] = Field(description="The first crystal's, then those of the others.")
    notes: list[str] = Field(
        default_factory=list, description="Crystals whose energy has no minimum by the oracle."
    )
    checks: list[Check] = Field(description="Judgements.")


class ElasticDoc(Document):
    """Elastic constants by oracle and potential, from the same strains; Voigt's order xx yy zz yz xz xy."""

    schema_version: Literal[1] = 1
    formula: str = Field(description="What was strained.")
    strain: float = Field(description="Size of the strains [1].")
    n_cells: int = Field(description="Structures that were evaluated [1].")
    residual_stress: Tensor = Field(
        description="Stress of the crystal by the potential [eV/Å^3], shape (3, 3)."
    )
    constants: list[str] = Field(description="Independent constants, such as '11'.")
    tensor_predicted: Tensor = Field(description="Constants by the potential [GPa], shape (6, 6).")
    tensor_reference: Tensor | None = Field(None, description="Constants by the oracle [GPa], shape (6, 6).")
    bulk_modulus: float = Field(description="By the potential, Voigt-Reuss-Hill [GPa].")
    bulk_modulus_reference: float | None = Field(None, description="By the oracle [GPa].")
    shear_modulus: float = Field(description="By the potential, Voigt-Reuss-Hill [GPa].")
    shear_modulus_reference: float | None = Field(None, description="By the oracle [GPa].")
    lowest_eigenvalue: float = Field(
        description="Of the tensor in Kelvin's notation; positive: stable [GPa]."
    )
    lowest_eigenvalue_reference: float | None = Field(None, description="By the oracle [GPa].")
    checks: list[Check] = Field(description="Judgements.")


class PhononDoc(Document):
    """Phonons by oracle and potential, from the same supercell; imaginary frequencies are negative."""

    schema_version: Literal[1] = 1
    formula: str = Field(description="Primitive cell.")
    supercell: tuple[int, int, int] = Field(description="Repeats of the primitive cell [1].")
    n_cells: int = Field(description="Displaced supercells [1].")
    displacement: float = Field(description="Displacement of an atom [Å].")
    distances: list[float] = Field(description="Length of the path so far, with 2 pi [1/Å].")
    segment_ends: list[tuple[str, str]] = Field(description="Points of high symmetry of each segment.")
    n_points: int = Field(description="Wave vectors of a segment [1].")
    bands_predicted: Tensor = Field(
        repr=False, description="By the potential [THz], shape (n_points, n_bands)."
    )
    bands_reference: Tensor | None = Field(None, repr=False, description="By the oracle [THz], same shape.")
    dos_frequency: list[float] = Field(repr=False, description="Frequencies of the potential's DOS [THz].")
    dos_predicted: list[float] = Field(
        repr=False, description="States by the potential [1/THz/primitive cell]."
    )
    dos_frequency_reference: list[float] | None = Field(
        None, repr=False, description="Frequencies of the oracle's DOS [THz]."
    )
    dos_reference: list[float] | None = Field(
        None, repr=False, description="States by the oracle [1/THz/primitive cell]."
    )
    lowest: float = Field(description="Lowest frequency by the potential [THz].")
    lowest_reference: float | None = Field(None, description="Lowest frequency by the oracle [THz].")
    rms_error: float | None = Field(None, description="Root mean square difference of the bands [THz].")
    checks: list[Check] = Field(description="Judgements.")


class DefectEnergy(Document):
    """Energy of one defect; of a vacancy in a compound with the missing atom free."""

    name: str = Field(description="The defect.")
    unit: str = Field(description="eV, or J/m^2 of a plane.")
    n_atoms: int = Field(description="Atoms of the cell [1].")
    predicted: float = Field(description="By the potential, atoms not relaxed, in `unit`.")
    reference: float | None = Field(None, description="By the oracle, same cell, in `unit`.")
    relaxed: float | None = Field(
        None, description="By the potential after relaxing the atoms, in `unit`; none if that did not end."
    )


class DefectDoc(Document):
    """Energies of defects of one kind."""

    schema_version: Literal[1] = 1
    kind: CheckKind = Field(description="Which kind.")
    formula: str = Field(description="The crystal.")
    energies: list[DefectEnergy] = Field(description="The energies.")
    checks: list[Check] = Field(description="Judgements.")


class CheckCost(Document):
    """What it takes to ask the oracle for a check, said before it is asked."""

    kind: CheckKind = Field(description="The check.")
    n_labels: int = Field(description="Labels it needs [1].")
    n_atoms: int = Field(description="Atoms of these labels together [1].")
    estimated_time: float | None = Field(
        None, description="Wall time by the labels so far, squared in the atoms [s]; none without any."
    )
    asked: bool = Field(description="Whether the oracle is asked.")
    reason: str = Field("", description="Why not.")


class PropertyPlanDoc(Document):
    """What the oracle is asked for the properties of the crystal."""

    schema_version: Literal[1] = 1
    crystal: AtomicStructure = Field(description="The crystal at the oracle's equilibrium volume.")
    selection: SelectionDoc = Field(description="What is labelled.")
    costs: list[CheckCost] = Field(description="What each check costs.")


class SkippedCheck(Document):
    """A check that did not run."""

    kind: CheckKind = Field(description="The check.")
    reason: str = Field(description="Why.")


class LearningPoint(Document):
    """Errors of one generation's potential on the held-out structures."""

    n_labels: int = Field(description="Labels it was fitted to [1].")
    energy_rmse: float = Field(description="Root mean square error of the energy per atom [eV/atom].")
    force_rmse: float = Field(description="Root mean square error of the force components [eV/Å].")
    method: Literal["linear-ace", "pacemaker", "given"] = Field(
        "linear-ace", description="How it was fitted."
    )


class HeldOutDoc(Document):
    """Errors on structures that were never trained on."""

    schema_version: Literal[1] = 1
    errors: ErrorStatistics = Field(description="Errors over all of them.")
    by_origin: dict[str, ErrorStatistics] = Field(
        default_factory=dict, description="Errors by explorer: md, strain, rattle."
    )
    parity: list[ParityPoint] = Field(repr=False, description="Point by point.")
    learning_curve: list[LearningPoint] = Field(
        default_factory=list, description="Errors of all potentials of the campaign on the same structures."
    )
    checks: list[Check] = Field(description="Judgements.")


class StabilityDoc(Document):
    """Short constant-energy MD and dimer scans with the potential alone."""

    schema_version: Literal[1] = 1
    n_atoms: int = Field(description="Atoms of the MD cell [1].")
    n_steps: int = Field(description="Steps of the MD run [1].")
    timestep: float = Field(description="Time step [fs].")
    temperature: float = Field(
        description="Temperature of the initial velocities, halved by equipartition [K]."
    )
    energy_drift: float = Field(
        description="Drift: |slope of the total energy| times the duration [eV/atom]."
    )
    gamma_max: float | None = Field(
        description="Largest extrapolation grade, MaxVol scale; none without an active set [1]."
    )
    lost_atoms: int = Field(description="Atoms lost [1].")
    pressure: float = Field(0.0, description="Pressure that the crystal was brought to before [GPa].")
    bears_pressure: float | None = Field(
        None,
        description="Largest pressure on the way of even compression before the crystal gives way, or at the "
        "end of the scan [GPa]; none for what is not periodic.",
    )
    time: list[float] = Field(description="Times [fs].")
    total_energy: list[float] = Field(description="Total energy relative to the start [eV/atom].")
    dimer_distances: list[float] = Field(description="Distances of the dimer scan [Å].")
    dimer_energies: dict[str, list[float]] = Field(
        description="Energy of each pair 'A-B' relative to E0 [eV]."
    )
    checks: list[Check] = Field(description="Judgements.")


class ValidationDoc(Document):
    """All checks of a potential and the verdict."""

    schema_version: Literal[1] = 1
    verdict: Verdict = Field(description="The worst of all checks.")
    checks: list[Check] = Field(description="All checks.")
    held_out: HeldOutDoc = Field(description="Held-out errors.")
    eos: EosDoc = Field(description="Equation of state.")
    stability: StabilityDoc = Field(description="MD and dimers.")
    elastic: ElasticDoc | None = Field(None, description="Elastic constants.")
    phonon: PhononDoc | None = Field(None, description="Phonons.")
    defects: list[DefectDoc] = Field(default_factory=list, description="Vacancies, faults, surfaces.")
    skipped: list[SkippedCheck] = Field(default_factory=list, description="Checks that did not run.")
    costs: list[CheckCost] = Field(default_factory=list, description="What it took to ask the oracle.")
    batches: list[str] = Field(default_factory=list, description="Ids of the jobs that gathered its labels.")
    n_labels: int = Field(description="Labels spent on validation [1].")
    wall_time: float = Field(description="Summed wall time of the oracle for it [s].")
