"""A potential as files, and its evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from mlip_autopipec.ace.baseline import BaselineRecord, PairBaseline
from mlip_autopipec.ace.basis import import_pyace
from mlip_autopipec.ace.environment import environment
from mlip_autopipec.ace.uncertainty import ForceErrorModel, Posterior
from mlip_autopipec.errors import CalculationError, FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """What a potential says of a structure, without E0.

    Parameters
    ----------
    energies
        Atomic energies in eV, shape ``(n_atoms,)``.
    forces
        In eV/Å, shape ``(n_atoms, 3)``.
    virial
        Sum of ``r (x) F`` with sign such that stress = -virial / V, in eV, shape ``(3, 3)``.
    gamma
        Extrapolation grades, MaxVol scale, shape ``(n_atoms,)``; none where no active set was loaded.
    shortest
        Shortest distance of each pair ``'A-B'`` within the cut-off, in Å.
    """

    energies: Array
    forces: Array
    virial: Array
    gamma: Array | None
    shortest: dict[str, float]


class AcePotential:
    """Evaluates a ``.yaml`` (with gamma) or ``.yace`` potential by python-ace, and adds its baseline.

    With a baseline the energy is ``f E_ace + E_baseline``, where f is the core switch in the file. Such a
    file must be written with a core of zero strength (``core-repulsion: [0, ...]``): the baseline takes its
    place, and both together would count the repulsion twice.

    Parameters
    ----------
    path
        The potential file.
    active_set
        The ``.asi`` file; a ``.yaml`` without it gives no gamma.
    baseline
        Pair potential to be added to the energy of the file (delta learning); gamma does not see it.

    Raises
    ------
    FitError
        A file is missing or broken, or is of another kind.
    """

    def __init__(
        self, path: Path, active_set: Path | None = None, baseline: PairBaseline | None = None
    ) -> None:
        self.baseline = baseline
        self.has_gamma = active_set is not None
        try:
            self.basis, self._evaluator = _load(path, active_set)
        except (ValueError, RuntimeError, OSError) as error:
            raise FitError(f"potential {str(path)!r} cannot be loaded: {error}") from error
        # The calculator does not keep its evaluator alive; without the attribute it would crash.
        self._calculator = import_pyace().ACECalculator(self._evaluator)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols the potential knows."""
        return list(self.basis.elements_name)

    def evaluate(self, atoms: Atoms, *, gamma: bool = True) -> Evaluation:
        """Evaluate a structure.

        Parameters
        ----------
        atoms
            The structure.
        gamma
            Whether to compute the extrapolation grade, where an active set was loaded.

        Returns
        -------
        Evaluation
            Energies, forces, virial and grades.

        Raises
        ------
        CalculationError
            The result is not finite, or two atoms are closer than the potential is defined for.
        """
        graded = gamma and self.has_gamma
        try:
            env = environment(atoms, self.basis)
            self._calculator.compute(env, compute_projections=graded)
        except (ValueError, RuntimeError) as error:
            raise CalculationError(f"the potential cannot be evaluated: {error}") from error
        xx, yy, zz, xy, xz, yz = self._calculator.virial
        energies = np.array(self._calculator.energies, dtype=float)
        forces = np.array(self._calculator.forces, dtype=float)
        virial = -np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=float)
        if self.baseline is not None:
            added = self.baseline.evaluate(atoms)
            energies, forces, virial = energies + added[0], forces + added[1], virial + added[2]
        result = Evaluation(
            energies=energies,
            forces=forces,
            virial=virial,
            gamma=np.array(self._calculator.gamma_grade, dtype=float) if graded else None,
            shortest=self._shortest(env),
        )
        arrays = [result.energies, result.forces, result.virial]
        if result.gamma is not None:
            arrays.append(result.gamma)
        if not all(np.isfinite(a).all() for a in arrays):
            raise CalculationError(f"the potential gives numbers that are not finite for {atoms!r}.")
        return result

    def _shortest(self, env: Any) -> dict[str, float]:
        names = self.elements
        found = env.get_minimal_nn_distance_per_bond()
        return {"-".join(sorted((names[i], names[j]))): float(d) for (i, j), d in found.items()}


def _load(path: Path, active_set: Path | None) -> tuple[Any, Any]:
    """Return basis and evaluator of a potential file."""
    pyace = import_pyace()
    kinds = (path.suffix, active_set and active_set.suffix)
    if kinds not in ((".yaml", None), (".yaml", ".asi"), (".yace", None)):
        raise FitError(f"a potential must be .yaml (with or without .asi) or .yace alone, got {path.name!r}.")
    for file in (path, active_set):
        if file is not None and not file.is_file():
            raise FitError(f"potential file {str(file)!r} is missing.")
    if path.suffix == ".yaml":
        basis = pyace.ACEBBasisSet(str(path))
        evaluator = pyace.ACEBEvaluator(basis)
        if active_set is not None:
            evaluator.load_active_set(str(active_set))
        return basis, evaluator
    basis = pyace.ACECTildeBasisSet(str(path))
    return basis, pyace.ACECTildeEvaluator(basis)


class PotentialRecord(Protocol):
    """What a document says of a potential; ``PotentialDoc`` does."""

    @property
    def baseline(self) -> BaselineRecord | None:
        """Its baseline."""

    def write(self, directory: Path) -> Path:
        """Write its files and return the one to load."""


def load_potential(record: PotentialRecord, directory: Path) -> AcePotential:
    """Write a potential's files and load it whole: active set and baseline included.

    Parameters
    ----------
    record
        The potential's document.
    directory
        Where its files are written; it must exist.

    Returns
    -------
    AcePotential
        The potential.

    Raises
    ------
    FitError
        A file is broken.
    """
    yaml = record.write(directory)
    baseline = None if record.baseline is None else PairBaseline.from_record(record.baseline)
    active_set = yaml.with_suffix(".asi")
    return AcePotential(yaml, active_set if active_set.is_file() else None, baseline)


def load_error_model(record: PotentialRecord, directory: Path) -> ForceErrorModel | None:
    """Write a potential's files and load what estimates its errors.

    Parameters
    ----------
    record
        The potential's document.
    directory
        Where its files are written; it must exist.

    Returns
    -------
    ForceErrorModel or None
        None if the potential came without a posterior, as one of pacemaker does.

    Raises
    ------
    FitError
        A file is broken.
    """
    yaml = record.write(directory)
    posterior = yaml.with_suffix(".posterior.npz")
    return ForceErrorModel(yaml, Posterior.read(posterior)) if posterior.is_file() else None


class AceCalculator(Calculator):
    """ASE calculator: energy with E0, forces, stress, atomic energies, gamma and, on request, force errors.

    ``results["gamma"]`` is there where the potential has an active set, ``results["force_error"]`` where
    `errors` is given: for each atom the length in eV/Å below which the error of its force lies with the
    probability the model was calibrated to, shape ``(n_atoms,)``.

    Parameters
    ----------
    potential
        The potential.
    e0
        Energy of each element's free atom in eV, added per atom; zero if not given.
    errors
        Estimates the force errors in every calculation. This costs the design rows of the structure and
        their product with the posterior, some three times the evaluation itself; none to save that.
    """

    implemented_properties = ["energy", "free_energy", "forces", "energies", "stress"]  # noqa: RUF012 - as in ASE

    def __init__(
        self,
        potential: AcePotential,
        e0: Mapping[str, float] | None = None,
        errors: ForceErrorModel | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.potential = potential
        self.e0 = dict(e0 or {})
        self.errors = errors

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute everything at once; see :class:`ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        structure: Atoms = self.atoms  # type: ignore[assignment]  # set by the line above
        found = self.potential.evaluate(structure)
        reference = np.array([self.e0.get(s, 0.0) for s in structure.get_chemical_symbols()])
        energies = found.energies + reference
        energy = float(energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies,
            "forces": found.forces,
        }
        if found.gamma is not None:
            self.results["gamma"] = found.gamma
        if self.errors is not None:
            self.results["force_error"] = self.errors.force_errors(structure)
        if structure.cell.rank == 3:
            stress = -found.virial / structure.get_volume()
            self.results["stress"] = stress.flat[[0, 4, 8, 5, 2, 1]]
