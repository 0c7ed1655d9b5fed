"""Errors on structures that were never trained on."""

from dataclasses import dataclass
from pathlib import Path

from jobflow import Maker, job

from mlip_autopipec.ace import load_potential
from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import (
    ErrorStatistics,
    HeldOutDoc,
    LabelBatchDoc,
    LabelledStructure,
    LearningPoint,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.validation.base import check, of_origin


@dataclass
class HeldOutMaker(Maker):
    """Compare potential and oracle on held-out structures.

    Parameters
    ----------
    name
        Name of the job.
    max_energy_rmse
        Largest root mean square error of the energy that passes, in eV/atom.
    max_force_rmse
        Largest root mean square error of a force component that passes, in eV/Å.
    """

    name: str = "validate held-out errors"
    max_energy_rmse: float = 0.005
    max_force_rmse: float = 0.1

    @job(output_schema=HeldOutDoc, data=["parity"])
    def make(
        self, potential: PotentialDoc, batch: LabelBatchDoc, earlier: list[PotentialDoc] | None = None
    ) -> HeldOutDoc:
        """Compare on the held-out labels of a batch.

        Parameters
        ----------
        potential
            The potential.
        batch
            Labels; those of origin ``held_out`` count.
        earlier
            Potentials of earlier generations, for the learning curve.

        Returns
        -------
        HeldOutDoc
            Errors and verdicts.
        """
        held_out = of_origin(batch, "held_out")
        if not held_out:
            raise FitError("no held-out structure has a label, so no error can be stated.")
        every = [*(earlier or []), potential]
        parities = [ParityPoint.predict(load_potential(p, Path.cwd()), held_out, p.e0) for p in every]
        points, errors = parities[-1], ErrorStatistics.from_parity(parities[-1])
        return HeldOutDoc(
            errors=errors,
            by_origin=_by_origin(held_out, points),
            parity=points,
            learning_curve=[_point(p, found) for p, found in zip(every, parities, strict=True)],
            checks=[
                check(
                    "held-out energy RMSE",
                    errors.energy_rmse,
                    self.max_energy_rmse,
                    "eV/atom",
                    kind="held_out",
                ),
                check("held-out force RMSE", errors.force_rmse, self.max_force_rmse, "eV/Å", kind="held_out"),
            ],
        )


def _by_origin(held_out: list[LabelledStructure], points: list[ParityPoint]) -> dict[str, ErrorStatistics]:
    groups: dict[str, list[ParityPoint]] = {}
    for item, point in zip(held_out, points, strict=True):
        groups.setdefault(item.arm or item.origin, []).append(point)
    return {name: ErrorStatistics.from_parity(group) for name, group in groups.items()}


def _point(potential: PotentialDoc, points: list[ParityPoint]) -> LearningPoint:
    errors = ErrorStatistics.from_parity(points)
    return LearningPoint(
        n_labels=potential.n_labels,
        energy_rmse=errors.energy_rmse,
        force_rmse=errors.force_rmse,
        method=potential.fit.method,
    )
