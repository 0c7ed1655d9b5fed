"""True errors of what each explorer found, measured before they are learned away."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jobflow import Maker, job

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import ArmError, ArmErrorsDoc, LabelBatchDoc, LabelledStructure, PotentialDoc


@dataclass
class ArmErrorMaker(Maker):
    r"""Compare the forces of the potential that had not seen these labels with the oracle's.

    An error counts as :math:`|\Delta F| / \sqrt{1 + F^2 / F_0^2}` with F the larger of the two forces:
    absolutely for the forces of a crystal that vibrates, relatively for large ones. So no structure counts
    for more than :math:`2 F_0`, however absurd it is or the potential's answer; a single surprise would
    otherwise draw all labels.

    Parameters
    ----------
    name
        Name of the job.
    force_scale
        :math:`F_0` in eV/Å: a large thermal force.
    """

    name: str = "measure arms"
    force_scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.force_scale > 0.0:
            raise ConfigError(f"'force_scale' must be positive, got {self.force_scale} eV/Å.")

    @job(output_schema=ArmErrorsDoc)
    def make(
        self, potential: PotentialDoc, batch: LabelBatchDoc, before: PotentialDoc | None = None
    ) -> ArmErrorsDoc:
        """Measure the explorers on the labels of a generation.

        Parameters
        ----------
        potential
            The potential that met the structures.
        batch
            Their labels, which it was not fitted to.
        before
            The potential of the generation before, for the fall of the error; none if there was none.

        Returns
        -------
        ArmErrorsDoc
            One entry for each explorer that had a label.
        """
        older = load_potential(before, Path.cwd()) if before else None
        return self.measure(load_potential(potential, Path.cwd()), batch, older)

    def measure(
        self, potential: AcePotential, batch: LabelBatchDoc, before: AcePotential | None = None
    ) -> ArmErrorsDoc:
        """Measure; what :meth:`make` does, without a workflow and with loaded potentials."""
        groups: dict[str, list[LabelledStructure]] = {}
        for item in batch.labels:
            if item.arm:
                groups.setdefault(item.arm, []).append(item)
        return ArmErrorsDoc(
            errors=[
                ArmError(
                    arm=arm,
                    n_labels=len(items),
                    force_error=self._error(potential, items),
                    force_error_before=self._error(before, items) if before else None,
                    wall_time=float(np.mean([item.label.wall_time for item in items])),
                )
                for arm, items in sorted(groups.items())
            ]
        )

    def _error(self, potential: AcePotential, items: list[LabelledStructure]) -> float:
        return float(np.mean([self._bounded_error(potential, item) for item in items]))

    def _bounded_error(self, potential: AcePotential, item: LabelledStructure) -> float:
        forces = np.array(item.label.forces)
        found = potential.evaluate(item.label.structure.to_ase(), gamma=False).forces
        larger = np.maximum(np.linalg.norm(forces, axis=1), np.linalg.norm(found, axis=1))
        weight = np.sqrt(1.0 + (larger / self.force_scale) ** 2)
        return float(np.mean(np.linalg.norm(found - forces, axis=1) / weight))
