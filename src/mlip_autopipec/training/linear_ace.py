"""Linear ACE in seconds: the fit inside the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from ase import Atoms

from mlip_autopipec.ace import (
    SCAN_FROM,
    AcePotential,
    BasisSpec,
    CoreSwitch,
    PairBaseline,
    Posterior,
    PotentialFiles,
    RowScales,
    build_basis,
    choose_baseline,
    choose_core,
    compare_files,
    function_counts,
    lammps_lines,
    shortest_distances,
    write_potential,
)
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import (
    BaselineDoc,
    BasisTrial,
    CoreRepulsion,
    ErrorStatistics,
    ForceErrorCalibration,
    LabelBatchDoc,
    LinearFitReport,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.files import pack_file
from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.calibration import calibrate
from mlip_autopipec.training.dataset import TrainingSet, assemble
from mlip_autopipec.training.linear import (
    LinearFit,
    LinearProblem,
    expected_repulsion,
    fit_linear,
    linear_active_set,
    targets_of,
    tightened,
)
from mlip_autopipec.training.tuning import BasisTuner, basis_choice
from mlip_autopipec.training.weights import importance, noise_floor

_N_COMPARED = 5
_TIGHTNESS = (0.25, 1.0, 4.0, 16.0, 64.0)  # of what is expected below the shortest distance
_SPOILT = 3.0  # times the noise of the labels alone: the expectation would ruin the fit
_PRIOR_NAMES = ("rank 1", "rank 2", "rank 3", "rank 4", "rank 5", "radial degree", "angular degree")


@dataclass
class LinearAceFitMaker(FitMaker):
    """Fit a linear ACE to energies, forces and stresses, noise and prior chosen by the evidence.

    By default the potential goes over to ZBL below the shortest training distance of each pair, inside the
    potential file (so LAMMPS and python-ace see it alike); the switch leaves every training structure
    untouched. With a ``baseline`` the pair potential is subtracted from the labels instead (delta learning),
    and whoever uses the files adds it: :func:`mlip_autopipec.ace.load_potential` in Python,
    ``pair_style hybrid/overlay`` in LAMMPS.

    Parameters
    ----------
    name
        Name of the job.
    cutoff
        Cut-off radius in Å; where a tuner is given, what it starts from.
    n_functions
        Basis functions of each element, unless a tuner chooses.
    energy_sigma
        Standard deviation of an energy per atom relative to the other rows, in eV/atom.
    force_sigma
        Standard deviation of a force component, in eV/Å.
    stress_sigma
        Standard deviation of a stress component, in eV/Å^3 (0.001 is 0.16 GPa).
    energy_scale
        Energy above the convex hull, in eV/atom, at which all standard deviations double.
    label_noise
        Noise of the labels' force components, in eV/Å (`mlip-auto probe` measures it): the fit believes no
        smaller residual.
    label_noise_energy
        Noise of the labels' energies, in eV/atom, likewise: added to ``energy_sigma`` in quadrature.
    realign
        Whether labels of other conditions are shifted in E0 instead of refused.
    baseline
        ``"core"``: ZBL in the file; ``"zbl"`` or ``"lj"``: that pair potential under the ACE.
    baseline_reach
        End of the baseline over the shortest training distance of each pair, dimensionless.
    tuner
        Chooses radial family, cut-off, angular weight and size by the evidence; none to take what is given.
    error_level
        Share of the atoms whose force error shall lie below its estimate.
    error_groups
        Most groups of structures that are left out to calibrate the estimate.
    seed
        Seed of that choice.
    """

    name: str = "fit linear ace"
    cutoff: float = 5.0
    n_functions: int = 200
    energy_sigma: float = 0.001
    force_sigma: float = 0.05
    stress_sigma: float = 0.001
    energy_scale: float = 0.3
    label_noise: float = 0.0
    label_noise_energy: float = 0.0
    realign: bool = False
    baseline: Literal["core", "zbl", "lj"] = "core"
    baseline_reach: float = 1.1
    tuner: BasisTuner | None = None
    error_level: float = 0.9
    error_groups: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.baseline not in ("core", "zbl", "lj"):
            raise ConfigError(f"'baseline' must be core, zbl or lj, got {self.baseline!r}.")
        if not 0.0 < self.error_level < 1.0:
            raise ConfigError(f"'error_level' must lie between 0 and 1, got {self.error_level}.")
        for key, unit in (("label_noise", "eV/Å"), ("label_noise_energy", "eV/atom")):
            if getattr(self, key) < 0.0:
                raise ConfigError(f"{key!r} must not be negative, got {getattr(self, key)} {unit}.")

    def fit(
        self,
        batches: list[LabelBatchDoc],
        directory: Path,
        initial: PotentialDoc | None = None,  # noqa: ARG002 - a linear fit needs no start
    ) -> PotentialDoc:
        """Fit, write the files, read them back; see :class:`FitMaker`."""
        start = perf_counter()
        training = assemble(batches, self.cutoff, realign=self.realign)
        shortest = shortest_distances(training.structures, self.cutoff)
        baseline = self._baseline(training, shortest)
        problem = self._problem(training, shortest, baseline)
        fit, trials = self._solve(problem, training.elements)
        fit, core = _with_core(fit, problem, shortest, baseline)
        calibration = calibrate(
            problem, fit, level=self.error_level, n_groups=self.error_groups, seed=self.seed
        )
        files, differences = self._write(directory, fit, core, baseline, training.structures)
        uncertainty = self._write_posterior(directory, fit, calibration)
        potential = AcePotential(files.yaml, baseline=baseline)
        parity = ParityPoint.predict(potential, training.labels, training.e0)
        return PotentialDoc(
            elements=list(fit.spec.elements),
            files=[pack_file(path) for path in (files.yaml, files.yace, files.asi, uncertainty)],
            e0=training.e0,
            e0_source=training.e0_source,
            cutoff=fit.spec.cutoff,
            n_functions=function_counts(fit.basis),
            core=CoreRepulsion.of(core, SCAN_FROM),
            baseline=_baseline_doc(baseline, fit.spec.elements),
            fit=self._report(fit, calibration, trials),
            training_errors=ErrorStatistics.from_parity(parity),
            parity=parity,
            n_labels=len(training.labels) + len(training.excluded),
            excluded=training.excluded,
            realigned=training.realigned,
            file_differences=differences,
            versions={name: version(name) for name in ("python-ace", "mlip_autopipec", "numpy")},
            wall_time=perf_counter() - start,
        )

    @property
    def _believed_energy_sigma(self) -> float:
        return float(noise_floor(self.energy_sigma, self.label_noise_energy))

    def _baseline(self, training: TrainingSet, shortest: dict[str, float]) -> PairBaseline | None:
        if self.baseline == "core":
            return None
        return choose_baseline(self.baseline, list(training.elements), shortest, self.baseline_reach)

    def _problem(
        self, training: TrainingSet, shortest: dict[str, float], baseline: PairBaseline | None
    ) -> LinearProblem:
        pairs = BasisSpec(training.elements, self.cutoff, self.n_functions).pairs
        return LinearProblem(
            structures=training.structures,
            targets=targets_of(training, baseline),
            factors=importance(training, self.energy_scale),
            groups=[item.group or item.label_id for item in training.labels],
            scales=RowScales(self._believed_energy_sigma, self.force_sigma, self.stress_sigma),
            noise_floor=self.label_noise / self.force_sigma,
            expected=expected_repulsion(shortest, pairs, baseline),
        )

    def _solve(self, problem: LinearProblem, elements: tuple[str, ...]) -> tuple[LinearFit, list[BasisTrial]]:
        spec = BasisSpec(elements, self.cutoff, self.n_functions)
        if self.tuner is None:
            return fit_linear(problem, spec), []
        return self.tuner.tune(problem, spec)

    def _write(
        self,
        directory: Path,
        fit: LinearFit,
        core: dict[str, CoreSwitch],
        baseline: PairBaseline | None,
        structures: list[Atoms],
    ) -> tuple[PotentialFiles, dict[str, float]]:
        """Write potential and active set and hold the files against the rows they were made from."""
        active_set = linear_active_set(fit, structures, self._believed_energy_sigma)
        coefficients = fit.solution.coefficients
        files = write_potential(directory, fit.spec, core, coefficients, active_set, baseline)
        differences = compare_files(files, fit.design, coefficients, active_set, structures[:_N_COMPARED])
        return files, differences

    def _write_posterior(self, directory: Path, fit: LinearFit, calibration: ForceErrorCalibration) -> Path:
        path = directory / "potential.posterior.npz"
        noise = fit.solution.noise * self.force_sigma
        Posterior(fit.solution.covariance_factor, noise, calibration.scale, calibration.level).write(path)
        return path

    def _report(
        self, fit: LinearFit, calibration: ForceErrorCalibration, trials: list[BasisTrial]
    ) -> LinearFitReport:
        found = fit.solution
        return LinearFitReport(
            n_rows=fit.moments.n_rows,
            n_functions=len(found.coefficients),
            rank=found.rank,
            condition=found.condition,
            basis=basis_choice(fit.spec),
            prior=dict(zip(_PRIOR_NAMES, found.theta.tolist(), strict=True)),
            noise=found.noise,
            energy_noise=found.noise * self._believed_energy_sigma,
            force_noise=found.noise * self.force_sigma,
            stress_noise=found.noise * self.stress_sigma,
            log_evidence=found.log_evidence,
            effective_parameters=found.effective_parameters,
            evidence_converged=found.converged,
            force_error=calibration,
            trials=trials,
        )


def _core_of(
    fit: LinearFit, shortest: dict[str, float], baseline: PairBaseline | None
) -> dict[str, CoreSwitch]:
    """Find the core of a linear fit; see :func:`mlip_autopipec.ace.choose_core`."""

    def with_core(core: Mapping[str, CoreSwitch]) -> Any:
        basis = build_basis(fit.spec, core, 1.0 if baseline is None else 0.0)
        basis.basis_coeffs = fit.solution.coefficients
        return basis

    return choose_core(with_core, fit.spec.pairs, shortest, baseline)


def _with_core(
    fit: LinearFit, problem: LinearProblem, shortest: dict[str, float], baseline: PairBaseline | None
) -> tuple[LinearFit, dict[str, CoreSwitch]]:
    """Find a core that makes all dimers rise; if labels do not, expect them to, more and more strictly."""
    found = fit
    for tightness in _TIGHTNESS:
        try:
            return found, _core_of(found, shortest, baseline)
        except FitError:
            found = tightened(fit, problem, tightness)
            if found.solution.noise > _SPOILT * fit.solution.noise:
                raise
    return found, _core_of(found, shortest, baseline)


def _baseline_doc(baseline: PairBaseline | None, elements: Sequence[str]) -> BaselineDoc | None:
    if baseline is None:
        return None
    return BaselineDoc(**asdict(baseline), lammps=lammps_lines(baseline, list(elements)))
