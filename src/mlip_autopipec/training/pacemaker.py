"""Non-linear ACE by the program `pacemaker`: for the last fraction of the error, outside the loop."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Literal

import numpy as np

from mlip_autopipec.ace import SCAN_FROM, AcePotential, function_counts
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.process import Executable
from mlip_autopipec.schemas import (
    CoreRepulsion,
    ErrorStatistics,
    LabelBatchDoc,
    PacemakerFitReport,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.files import pack_file
from mlip_autopipec.training import pacemaker_input as asked
from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.dataset import TrainingSet, assemble, importance
from mlip_autopipec.training.pacemaker_data import write_dataset
from mlip_autopipec.training.pacemaker_log import RunOutcome, clear, remarks, run
from mlip_autopipec.training.pacemaker_programs import (
    PACEMAKER_HINT,
    missing_for_tensorpot,
    pacemaker_executable,
)
from mlip_autopipec.training.pacemaker_result import (
    check_counts,
    read_potential,
    save_potential,
    set_core,
    write_files,
)
from mlip_autopipec.training.pacemaker_start import starting_basis, target_basis
from mlip_autopipec.training.split import group_split

_PYACE_LIMIT = 400  # structures x functions; numerical gradients need an evaluation for each parameter
_USED_TRAINING, _USED_TEST = "fitting_data_info.pckl.gzip", "test_data_info.pckl.gzip"


@dataclass
class PacemakerFitMaker(FitMaker):
    """Fit a non-linear ACE (several densities per atom) to energies and forces by `pacemaker`.

    Stresses are not fitted; pacemaker has no term for them. Below the shortest training distance of each
    pair the potential goes over to ZBL inside the potential file, as that of the linear fit does. Whatever
    pacemaker reports is checked against the file it wrote, evaluated by python-ace.

    Parameters
    ----------
    name
        Name of the job.
    cutoff
        Cut-off radius of every bond in Å.
    n_functions
        Largest number of basis functions per element. A potential to start from brings its own, unless
        they are all among these.
    fs_parameters
        Weight and exponent of each density in the Finnis-Sinclair embedding, dimensionless.
    radial_basis
        Radial basis: ``'SBessel'``, ``'ChebExpCos'`` or ``'ChebPow'``.
    nradmax_by_orders
        Number of radial functions by body order, from two bodies on.
    lmax_by_orders
        Largest angular momentum by body order, from two bodies on.
    kappa
        Share of the forces in the loss, dimensionless, or ``'auto'`` (by the variances of the labels). The
        default balances errors of about 1 meV/atom and 20 meV/Å for cells of a few atoms; more gives up
        energies for forces.
    l1_coeffs
        Strength of the L1 regularisation, in pacemaker's own unit.
    l2_coeffs
        Strength of the L2 regularisation, in pacemaker's own unit.
    weighting
        ``'uniform'``, ``'importance'`` (as in the linear fit, by ``energy_scale``) or ``'energy'``
        (pacemaker's EnergyBasedWeightingPolicy; an error if it drops structures).
    energy_scale
        Energy above the most stable structure, in eV/atom, at which standard deviations double, for
        ``weighting='importance'``.
    optimizer
        ``'BFGS'`` or ``'L-BFGS-B'``.
    max_iterations
        Largest number of iterations, of each ladder step.
    ladder_step
        Functions added at a time, as a number or a fraction of those there are; none for all at once.
    ladder_type
        Order in which they are added: ``'body_order'`` or ``'power_order'``.
    test_fraction
        Share of the structures that are only predicted, dimensionless; whole groups go together.
    seed
        Seed of the split, of pacemaker and of the small coefficients in a start file.
    evaluator
        Back end: ``'tensorpot'`` (TensorFlow), ``'pyace'`` (numerical gradients, tiny cases only) or
        ``'auto'``: tensorpot where it is installed.
    batch_size
        Structures that TensorFlow evaluates at once.
    n_threads
        Threads of TensorFlow; as many as it likes if none.
    command
        Command of pacemaker; by default that of the machine settings, else that of
        ``mlip-auto setup pacemaker``, else that beside this Python.
    timeout
        Wall-time limit of the program in s; none if None.
    realign
        Whether labels of other conditions are shifted in E0 instead of refused.
    """

    name: str = "fit pacemaker"
    cutoff: float = 5.0
    n_functions: int = 200
    fs_parameters: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0, 0.5])
    radial_basis: str = "SBessel"
    nradmax_by_orders: list[int] = field(default_factory=lambda: [12, 8, 5, 3])
    lmax_by_orders: list[int] = field(default_factory=lambda: [0, 6, 4, 2])
    kappa: float | str = 0.01
    l1_coeffs: float = 1.0e-8
    l2_coeffs: float = 1.0e-8
    weighting: str = "uniform"
    energy_scale: float = 0.3
    optimizer: str = "BFGS"
    max_iterations: int = 500
    ladder_step: float | None = None
    ladder_type: str = "power_order"
    test_fraction: float = 0.0
    seed: int = 0
    evaluator: str = "auto"
    batch_size: int = 100
    n_threads: int | None = None
    command: str | None = None
    timeout: float | None = 86400.0
    realign: bool = False

    def fit(
        self, batches: list[LabelBatchDoc], directory: Path, initial: PotentialDoc | None = None
    ) -> PotentialDoc:
        """Write the input, run pacemaker, check and write the potential; see :class:`FitMaker`."""
        begin = perf_counter()
        choice = self._choice(initial)
        training = assemble(batches, self.cutoff, realign=self.realign)
        fitted, tested = self._split(training)
        shape = self._shape(training, fitted)
        basis, started, warm = self._start(shape, initial)
        executable = pacemaker_executable(self.command)
        evaluator = self._evaluator(executable, len(fitted) * basis.total_number_of_functions)
        clear(directory)
        self._write_data(directory, training, fitted, tested)
        (directory / asked.INPUT).write_text(self._input(shape, choice, evaluator, bool(tested)))
        if warm:
            basis.save(str(directory / asked.START))
        outcome = run(executable, directory, asked.arguments(warm=warm), self.timeout, self.n_threads)
        _check_data(directory, training, fitted, tested)
        config = read_potential(directory / asked.OUTPUT, basis)
        structures = [training.structures[i] for i in fitted]
        core = set_core(config, structures, self.cutoff)
        potential = AcePotential(save_potential(config, directory))
        parity = ParityPoint.predict(potential, [training.labels[i] for i in fitted], training.e0)
        test = ParityPoint.predict(potential, [training.labels[i] for i in tested], training.e0)
        errors = ErrorStatistics.from_parity(parity)
        files, differences = write_files(directory, structures, errors.energy_rmse)
        return PotentialDoc(
            elements=list(shape.elements),
            files=[pack_file(path) for path in (files.yaml, files.yace, files.asi)],
            e0=training.e0,
            e0_source=training.e0_source,
            cutoff=self.cutoff,
            n_functions=function_counts(potential.basis),
            core=CoreRepulsion.of(core, SCAN_FROM),
            fit=self._report(outcome, evaluator, started, parity, test, potential),
            training_errors=errors,
            parity=parity,
            n_labels=len(fitted) + len(training.excluded),
            excluded=[*training.excluded, *_set_aside(training, tested)],
            realigned=training.realigned,
            file_differences=differences,
            versions=_versions(config),
            wall_time=perf_counter() - begin,
        )

    def _choice(self, initial: PotentialDoc | None) -> asked.FitChoice:
        if self.evaluator not in ("auto", "tensorpot", "pyace"):
            raise ConfigError(f"'evaluator' must be auto, tensorpot or pyace, got {self.evaluator!r}.")
        if initial is not None and self.ladder_step is not None:
            raise ConfigError(
                f"'ladder_step' must be none for a fit that starts from a potential, got {self.ladder_step}.",
                hint="a ladder begins with no function and would silently forget the start: leave one out.",
            )
        return asked.FitChoice(
            kappa=self.kappa,
            l1=self.l1_coeffs,
            l2=self.l2_coeffs,
            weighting=self.weighting,
            optimizer=self.optimizer,
            max_iterations=self.max_iterations,
            ladder_step=self.ladder_step,
            ladder_type=self.ladder_type,
        )

    def _split(self, training: TrainingSet) -> tuple[list[int], list[int]]:
        test = group_split([item.group for item in training.labels], self.test_fraction, self.seed)
        return np.flatnonzero(~test).tolist(), np.flatnonzero(test).tolist()

    def _shape(self, training: TrainingSet, fitted: list[int]) -> asked.PotentialShape:
        elements = sorted({s for i in fitted for s in training.structures[i].get_chemical_symbols()})
        untaught = sorted(set(training.elements) - set(elements))
        if untaught:
            raise FitError(
                f"no structure that is fitted holds {', '.join(untaught)}; fitted: {', '.join(elements)}.",
                hint="label structures with this element, or lower 'test_fraction'.",
            )
        return asked.PotentialShape(
            elements=tuple(elements),
            cutoff=self.cutoff,
            n_functions=self.n_functions,
            fs_parameters=tuple(self.fs_parameters),
            radial_basis=self.radial_basis,
            nradmax_by_orders=tuple(self.nradmax_by_orders),
            lmax_by_orders=tuple(self.lmax_by_orders),
        )

    def _evaluator(self, executable: Executable, size: int) -> Literal["tensorpot", "pyace"]:
        missing = missing_for_tensorpot(executable) if self.evaluator != "pyace" else "not asked for"
        if missing is None:
            return "tensorpot"
        if self.evaluator == "tensorpot":
            raise ConfigError(
                f"'evaluator' tensorpot needs {missing}, which {executable.command!r} does not have.",
                hint=PACEMAKER_HINT,
            )
        if size > _PYACE_LIMIT:
            raise ConfigError(
                f"'evaluator' pyace takes numerical gradients, an evaluation of all structures for each "
                f"parameter: structures x functions must be at most {_PYACE_LIMIT}, got {size} "
                f"(tensorpot: {missing}).",
                hint=PACEMAKER_HINT,
            )
        return "pyace"

    def _write_data(
        self, directory: Path, training: TrainingSet, fitted: list[int], tested: list[int]
    ) -> None:
        if self.weighting == "energy" and any(item.weights is not None for item in training.labels):
            raise ConfigError(
                "'weighting' energy leaves the weights to pacemaker, but labels bring weights of their own.",
                hint="take weighting: importance.",
            )
        factors = importance(training, self.energy_scale) if self.weighting == "importance" else None
        for name, chosen in ((asked.TRAINING_DATA, fitted), (asked.TEST_DATA, tested)):
            if chosen:
                write_dataset(directory / name, training, chosen, self.cutoff, factors)

    def _input(
        self, shape: asked.PotentialShape, choice: asked.FitChoice, evaluator: str, tested: bool
    ) -> str:
        content = asked.input_dict(
            shape, choice, evaluator=evaluator, batch_size=self.batch_size, seed=self.seed, tested=tested
        )
        return asked.input_text(content)

    def _start(self, shape: asked.PotentialShape, initial: PotentialDoc | None) -> tuple[Any, str, bool]:
        """Return the functions to fit, what they start from in words, and whether that needs a start file."""
        if initial is None:
            ladder = "" if self.ladder_step is None else f", by a ladder in {self.ladder_type}"
            return target_basis(shape), f"zero{ladder}", False
        if initial.baseline is not None:
            return target_basis(shape), "zero: the initial potential needs its baseline", False
        with TemporaryDirectory() as scratch:
            basis, reason = starting_basis(initial.write(Path(scratch)), shape, self.seed)
        if reason is not None:
            return basis, f"zero: the initial potential cannot be used, it has {reason}", False
        n_initial, n_all = sum(initial.n_functions.values()), basis.total_number_of_functions
        text = f"the initial potential ({initial.fit.method}, {n_initial} of {n_all} functions)"
        if initial.fit.method == "linear-ace" and shape.n_densities > 1:
            text += " in the first density, small random numbers (seeded) in the others"
        return basis, text, True

    def _report(
        self,
        outcome: RunOutcome,
        evaluator: Literal["tensorpot", "pyace"],
        started: str,
        parity: list[ParityPoint],
        test: list[ParityPoint],
        potential: AcePotential,
    ) -> PacemakerFitReport:
        errors = ErrorStatistics.from_parity(test) if test else None
        return PacemakerFitReport(
            evaluator=evaluator,
            n_functions=sum(function_counts(potential.basis).values()),
            n_parameters=outcome.n_parameters,
            n_iterations=outcome.n_iterations,
            converged=outcome.converged,
            loss=outcome.loss,
            kappa=_kappa(self.kappa) if outcome.kappa is None else outcome.kappa,
            started_from=started,
            n_structures=len(parity),
            n_test=len(test),
            test_energy_rmse=errors.energy_rmse if errors else None,
            test_force_rmse=errors.force_rmse if errors else None,
            warnings=[*outcome.warnings, *remarks(outcome, ErrorStatistics.from_parity(parity).energy_rmse)],
        )


def _kappa(asked_for: float | str) -> float | Literal["auto"]:
    return "auto" if isinstance(asked_for, str) else asked_for


def _check_data(directory: Path, training: TrainingSet, fitted: list[int], tested: list[int]) -> None:
    for name, chosen, what in ((_USED_TRAINING, fitted, "training"), (_USED_TEST, tested, "test")):
        if chosen:
            check_counts(directory / name, [training.labels[i].label_id for i in chosen], what)


def _set_aside(training: TrainingSet, tested: list[int]) -> list[str]:
    items = [training.labels[i] for i in tested]
    return [f"{item.label_id} ({item.label.structure.formula}): test structure" for item in items]


def _versions(config: object) -> dict[str, str]:
    metadata = dict(getattr(config, "metadata", {}).items())
    said = {
        "pacemaker": metadata.get("pacemaker_version"),
        "tensorpotential": metadata.get("tensorpot_version"),
    }
    mine = {name: version(name) for name in ("python-ace", "mlip_autopipec", "numpy")}
    return mine | {key: str(value) for key, value in said.items() if value}
