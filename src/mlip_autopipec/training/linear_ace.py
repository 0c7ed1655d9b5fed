"""Linear ACE in seconds: the fit inside the loop."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.ace import (
    SCAN_FROM,
    BasisSpec,
    CoreSwitch,
    DesignBlock,
    DesignMatrix,
    RowScales,
    build_basis,
    choose_core,
    compare_files,
    function_counts,
    shortest_distances,
    write_potential,
)
from mlip_autopipec.numerics import EvidenceFit
from mlip_autopipec.schemas import (
    CoreRepulsion,
    ErrorStatistics,
    LabelBatchDoc,
    LinearFitReport,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.files import pack_file
from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.dataset import TrainingSet, assemble, importance
from mlip_autopipec.training.linear import fit_linear, linear_active_set

_N_COMPARED = 5


@dataclass
class LinearAceFitMaker(FitMaker):
    """Fit a linear ACE to energies, forces and stresses by evidence-tuned ridge regression.

    Below the shortest training distance of each pair the potential goes over to ZBL (inside the potential
    file, so LAMMPS and python-ace see it alike); the switch leaves every training structure untouched.

    Parameters
    ----------
    name
        Name of the job.
    cutoff
        Cut-off radius in Å.
    n_functions
        About how many basis functions per element.
    energy_sigma
        Standard deviation of an energy per atom relative to the other rows, in eV/atom.
    force_sigma
        Standard deviation of a force component, in eV/Å.
    stress_sigma
        Standard deviation of a stress component, in eV/Å^3 (0.003 is 0.5 GPa).
    energy_scale
        Energy above the most stable structure, in eV/atom, at which all standard deviations double.
    """

    name: str = "fit linear ace"
    cutoff: float = 5.0
    n_functions: int = 200
    energy_sigma: float = 0.001
    force_sigma: float = 0.05
    stress_sigma: float = 0.003
    energy_scale: float = 0.3

    def fit(
        self,
        batches: list[LabelBatchDoc],
        directory: Path,
        initial: PotentialDoc | None = None,  # noqa: ARG002 - a linear fit needs no start
    ) -> PotentialDoc:
        """Fit, write the files, read them back; see :class:`FitMaker`."""
        start = perf_counter()
        training = assemble(batches, self.cutoff)
        spec = BasisSpec(training.elements, self.cutoff, self.n_functions)
        scales = RowScales(self.energy_sigma, self.force_sigma, self.stress_sigma)
        basis = build_basis(spec)
        design = DesignMatrix(basis)
        blocks = [
            design.block(atoms, stress=item.label.stress is not None)
            for atoms, item in zip(training.structures, training.labels, strict=True)
        ]
        fit = fit_linear(basis, blocks, training, scales, importance(training, self.energy_scale))
        active_set = linear_active_set(basis, design, training, fit, self.energy_sigma)
        core = choose_core(spec, fit.coefficients, shortest_distances(training.structures, self.cutoff))
        files = write_potential(directory, spec, core, fit.coefficients, active_set)
        differences = compare_files(
            files, design, fit.coefficients, active_set, training.structures[:_N_COMPARED]
        )
        parity = _parity(training, blocks, fit.coefficients)
        return PotentialDoc(
            elements=list(spec.elements),
            files=[pack_file(path) for path in (files.yaml, files.yace, files.asi)],
            e0=training.e0,
            e0_source=training.e0_source,
            cutoff=self.cutoff,
            n_functions=function_counts(basis),
            core=_core_repulsion(core),
            fit=_report(fit, blocks),
            training_errors=ErrorStatistics.from_parity(parity),
            parity=parity,
            n_labels=len(training.labels) + len(training.excluded),
            excluded=training.excluded,
            file_differences=differences,
            versions={name: version(name) for name in ("python-ace", "mlip_autopipec", "numpy")},
            wall_time=perf_counter() - start,
        )


def _parity(
    training: TrainingSet, blocks: list[DesignBlock], coefficients: NDArray[np.float64]
) -> list[ParityPoint]:
    return [
        ParityPoint.from_prediction(
            item,
            training.e0,
            float(block.energy @ coefficients) * len(atoms),
            block.forces @ coefficients,
            None if block.stress is None else block.stress @ coefficients,
        )
        for item, atoms, block in zip(training.labels, training.structures, blocks, strict=True)
    ]


def _core_repulsion(core: dict[str, CoreSwitch]) -> CoreRepulsion:
    return CoreRepulsion(
        r_in={pair: switch.r_in for pair, switch in core.items()},
        delta_in={pair: switch.delta_in for pair, switch in core.items()},
        scan_from=SCAN_FROM,
    )


def _report(fit: EvidenceFit, blocks: list[DesignBlock]) -> LinearFitReport:
    rows = sum(1 + len(b.forces) + (0 if b.stress is None else 6) for b in blocks)
    return LinearFitReport(
        n_rows=rows,
        n_functions=len(fit.coefficients),
        rank=fit.rank,
        condition=fit.condition,
        prior_precision=fit.prior_precision,
        noise=fit.noise,
        log_evidence=fit.log_evidence,
        effective_parameters=fit.effective_parameters,
        evidence_converged=fit.converged,
    )
