"""Labels from any ASE calculator, without jobs and stores."""

from collections.abc import Iterable

from ase.calculators.calculator import Calculator

from mlip_autopipec.schemas import (
    CandidateStructure,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
)


def label_batch(
    candidates: Iterable[CandidateStructure], calculator: Calculator, *, prefix: str = "label"
) -> LabelBatchDoc:
    """Label structures one after the other.

    Parameters
    ----------
    candidates
        The structures.
    calculator
        Gives energy, forces and, for periodic structures, stress.
    prefix
        Begin of the labels' ids.

    Returns
    -------
    LabelBatchDoc
        The labels, in the order of the candidates.
    """
    fingerprint = Fingerprint(code=f"ase:{type(calculator).__name__.lower()}", version="test")
    labels = []
    for index, candidate in enumerate(candidates):
        atoms = candidate.structure.to_ase()
        atoms.calc = calculator
        label = LabelDoc(
            structure=candidate.structure,
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces().tolist(),
            stress=atoms.get_stress(voigt=False).tolist() if atoms.pbc.all() else None,
            fingerprint=fingerprint,
            wall_time=0.0,
        )
        labels.append(LabelledStructure.of(label, f"{prefix}-{index}", candidate))
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=0.0)
