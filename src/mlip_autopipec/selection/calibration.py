"""Gamma in units of error: what grades meant, by the labels of what was met."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jobflow import Maker, job
from numpy.typing import NDArray

from mlip_autopipec.ace import AcePotential, ForceErrorModel, load_error_model, load_potential
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.numerics import conformal_quantile, error_curve, share_interval
from mlip_autopipec.schemas import (
    ErrorLimit,
    GammaCalibrationDoc,
    LabelBatchDoc,
    LabelledStructure,
    PotentialDoc,
)

Array = NDArray[np.float64]

_FEWEST, _FEWEST_ATOMS = 3, 20  # structures and atoms, before an estimate is believed
_SMALLEST = 1.0e-6  # of a standard deviation in eV/Å, to divide by


@dataclass
class GammaCalibrationMaker(Maker):
    """Set the true force errors of newly labelled frames against the grades they were met with.

    The potential is the one that walked, so it has not seen these labels: its errors are honest and for free.
    Frames judged certain but labelled all the same (audits) tell how many bad ones are let through.

    Parameters
    ----------
    name
        Name of the job.
    level
        Share of the atoms whose error shall lie below its quantile, dimensionless.
    tolerated_error
        Force error that is still good enough, in eV/Å.
    max_atoms
        Most atoms that are kept, the latest.
    n_recent
        Structures, the latest, by which the estimate of force errors is scaled: older ones were met by
        potentials that were wrong in another way.
    """

    name: str = "calibrate gamma"
    level: float = 0.9
    tolerated_error: float = 0.1
    max_atoms: int = 20_000
    n_recent: int = 8

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise ConfigError(f"'level' must lie between 0 and 1, got {self.level}.")
        if not self.tolerated_error > 0.0:
            raise ConfigError(f"'tolerated_error' must be positive, got {self.tolerated_error} eV/Å.")
        if self.n_recent < _FEWEST:
            raise ConfigError(f"'n_recent' must be at least {_FEWEST}, got {self.n_recent}.")

    @job(output_schema=GammaCalibrationDoc, data=["gamma", "force_error", "ratios"])
    def make(
        self, potential: PotentialDoc, batch: LabelBatchDoc, previous: GammaCalibrationDoc | None = None
    ) -> GammaCalibrationDoc:
        """Add the labels of a generation.

        Parameters
        ----------
        potential
            The potential that met the structures.
        batch
            Their labels, which it was not fitted to.
        previous
            What earlier generations taught.

        Returns
        -------
        GammaCalibrationDoc
            All together.
        """
        ace, errors = load_potential(potential, Path.cwd()), load_error_model(potential, Path.cwd())
        return self.calibrate(ace, batch, previous, errors)

    def calibrate(
        self,
        potential: AcePotential,
        batch: LabelBatchDoc,
        previous: GammaCalibrationDoc | None = None,
        errors: ForceErrorModel | None = None,
    ) -> GammaCalibrationDoc:
        """Calibrate; what :meth:`make` does, without a workflow and with a loaded potential."""
        met = [item for item in batch.labels if item.origin in ("md", "kmc")]
        pairs = [grades_and_errors(potential, item) for item in met]
        ratios = [] if previous is None else previous.ratios
        if errors is not None:
            ratios = [*ratios, *(_ratios(errors, item, e) for item, (_, e) in zip(met, pairs, strict=True))]
        ratios = ratios[-self.n_recent :]
        missed = [
            item.label_id
            for item, (_, error) in zip(met, pairs, strict=True)
            if item.audit and error.max() > self.tolerated_error
        ]
        rmse = [float(np.sqrt(np.mean(error**2) / 3.0)) for _, error in pairs]
        control = [e for e, item in zip(rmse, met, strict=True) if item.control]
        chosen = [e for e, item in zip(rmse, met, strict=True) if not (item.control or item.audit)]
        n_audited, n_structures = sum(item.audit for item in met), len(met)
        if previous is not None:
            pairs.insert(0, (np.array(previous.gamma), np.array(previous.force_error)))
            missed = [*previous.missed, *missed]
            chosen, control = [*previous.chosen_errors, *chosen], [*previous.control_errors, *control]
            n_audited, n_structures = n_audited + previous.n_audited, n_structures + previous.n_structures
        pairs.append((np.empty(0), np.empty(0)))  # so that there is something to join
        gamma, error = (np.concatenate(column)[-self.max_atoms :] for column in zip(*pairs, strict=True))
        curve = error_curve(gamma, error, self.level)
        return GammaCalibrationDoc(
            level=self.level,
            tolerated_error=self.tolerated_error,
            gamma=gamma.tolist(),
            force_error=error.tolist(),
            n_structures=n_structures,
            edges=[] if curve is None else curve.edges.tolist(),
            quantiles=[] if curve is None else curve.quantiles.tolist(),
            counts=[] if curve is None else curve.counts.astype(int).tolist(),
            threshold=None if curve is None else curve.threshold(self.tolerated_error),
            ratios=ratios,
            limit=self._limit(ratios),
            chosen_errors=chosen,
            control_errors=control,
            n_audited=n_audited,
            missed=missed,
            missed_share=share_interval(len(missed), n_audited),
        )

    def _limit(self, ratios: list[list[float]]) -> ErrorLimit | None:
        """Say by how much the estimate is too small, once there is enough to say so."""
        atoms = np.concatenate([*ratios, []])
        if len(ratios) < _FEWEST or len(atoms) < _FEWEST_ATOMS:
            return None
        scale = conformal_quantile(atoms, self.level)
        return ErrorLimit(scale=scale, tolerated_error=self.tolerated_error) if np.isfinite(scale) else None


def _ratios(model: ForceErrorModel, item: LabelledStructure, error: Array) -> list[float]:
    """Divide true errors by their standard deviations."""
    deviations = np.maximum(model.force_deviations(item.label.structure.to_ase()), _SMALLEST)
    ratios: list[float] = (error / deviations).tolist()
    return ratios


def grades_and_errors(potential: AcePotential, item: LabelledStructure) -> tuple[Array, Array]:
    """Grade the atoms of a labelled structure and compute the errors of their forces.

    Parameters
    ----------
    potential
        A potential with its active set.
    item
        A label it has not seen.

    Returns
    -------
    gamma
        MaxVol scale, shape ``(n_atoms,)``.
    error
        Length of the difference of forces in eV/Å, shape ``(n_atoms,)``.
    """
    found = potential.evaluate(item.label.structure.to_ase())
    if found.gamma is None:
        raise ConfigError("a calibration of gamma needs a potential with its active set.")
    return found.gamma, np.linalg.norm(found.forces - np.array(item.label.forces), axis=1)
