"""Labels from any ASE calculator: model potentials, and other codes by import path."""

import difflib
import importlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import get_calculator_class
from ase.calculators.calculator import names as ase_names  # type: ignore[attr-defined]

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError
from mlip_autopipec.oracle.base import OracleMaker, OracleResult
from mlip_autopipec.schemas import AtomicStructure, Fingerprint


@dataclass
class AseStaticMaker(OracleMaker):
    """Label with an ASE calculator.

    Parameters
    ----------
    name
        Name of the job.
    min_distance_ratio
        As in :class:`OracleMaker`.
    max_force
        As in :class:`OracleMaker`, in eV/Å.
    calculator
        Short name from ASE's registry (``"emt"``, ``"lj"``), or import path ``"package.module:Name"``.
    calculator_kwargs
        Arguments of the calculator, in its own units.
    require_stress
        Whether a periodic structure without stress is refused; if not, its label has none and says so.
    """

    name: str = "ase static"
    calculator: str = "emt"
    calculator_kwargs: dict[str, Any] = field(default_factory=dict)
    require_stress: bool = True

    def compute(self, structure: AtomicStructure, directory: Path) -> OracleResult:
        """Run the calculator on a structure.

        Parameters
        ----------
        structure
            The structure.
        directory
            Folder to work in, for calculators that write files.

        Returns
        -------
        OracleResult
            What it computed.
        """
        atoms = structure.to_ase()
        calculator = load_calculator(self.calculator, self.calculator_kwargs)
        if hasattr(calculator, "directory"):
            calculator.directory = str(directory)
        atoms.calc = calculator
        energy, forces = self._energy_and_forces(atoms, directory)
        stress, notes = self._stress(atoms, directory)
        return OracleResult(energy, forces, stress, self.fingerprint(), notes=notes)

    def _energy_and_forces(self, atoms: Atoms, directory: Path) -> tuple[float, Any]:
        # The free energy is the one whose derivative the forces are.
        consistent = "free_energy" in atoms.calc.implemented_properties
        try:
            return atoms.get_potential_energy(force_consistent=consistent), atoms.get_forces()
        except Exception as error:  # a calculator may raise anything
            raise self._failure(atoms, error, directory) from error

    def _stress(self, atoms: Atoms, directory: Path) -> tuple[Any, tuple[str, ...]]:
        if not all(atoms.pbc):
            return None, ("no stress: the structure is not periodic in all directions",)
        if "stress" not in atoms.calc.implemented_properties:
            if self.require_stress:
                raise CalculationError(
                    f"calculator {self.calculator!r} has no stress, which a periodic structure needs.",
                    hint="use another calculator, or set `require_stress: false` to train without stress.",
                    directory=directory,
                )
            return None, (f"no stress: calculator {self.calculator!r} has none",)
        try:
            return np.asarray(atoms.get_stress(voigt=False)), ()
        except Exception as error:  # a calculator may raise anything
            raise self._failure(atoms, error, directory) from error

    def _failure(self, atoms: Atoms, error: Exception, directory: Path) -> CalculationError:
        return CalculationError(
            f"calculator {self.calculator!r} failed on {atoms.get_chemical_formula()}: "
            f"{type(error).__name__}: {error}",
            hint="check that the calculator knows these elements and that its arguments are right.",
            directory=directory,
        )

    def fingerprint(self) -> Fingerprint:
        """Return the conditions of the labels.

        Returns
        -------
        Fingerprint
            Calculator, version of the package it comes from, and its arguments.
        """
        return Fingerprint(
            code=f"ase:{self.calculator}",
            version=package_version(self.calculator),
            settings={key: plain_value(value) for key, value in self.calculator_kwargs.items()},
        )

    def check(self, elements: Iterable[str]) -> None:  # noqa: ARG002 - a calculator does not list its elements
        """Raise if the calculator cannot be built.

        Parameters
        ----------
        elements
            Chemical symbols.
        """
        load_calculator(self.calculator, self.calculator_kwargs)


def load_calculator(name: str, arguments: dict[str, Any]) -> Any:
    """Build a calculator.

    Parameters
    ----------
    name
        Short name from ASE's registry, or ``"package.module:Name"``.
    arguments
        Its keyword arguments.

    Returns
    -------
    Any
        The calculator.

    Raises
    ------
    ConfigError
        The calculator does not accept the arguments.
    """
    factory = import_calculator(name) if ":" in name else registered_calculator(name)
    try:
        return factory(**arguments)
    except Exception as error:  # a constructor may raise anything
        raise ConfigError(
            f"calculator {name!r} cannot be built from {arguments!r}: {type(error).__name__}: {error}",
            hint="correct `calculator_kwargs`.",
        ) from error


def registered_calculator(name: str) -> Any:
    """Look up a calculator in ASE's registry.

    Parameters
    ----------
    name
        Short name.

    Returns
    -------
    Any
        The class.

    Raises
    ------
    ConfigError
        There is none of this name.
    MissingProgramError
        Its package is not installed.
    """
    if name not in ase_names:
        near = difflib.get_close_matches(name, ase_names, n=3) or ["emt", "lj", "tersoff"]
        raise ConfigError(
            f"calculator {name!r} is not in ASE's registry; the nearest names are {', '.join(near)}.",
            hint="give one of ASE's names, or an import path 'package.module:Name'.",
        )
    try:
        return get_calculator_class(name)
    except ImportError as error:
        raise MissingProgramError(
            f"calculator {name!r} cannot be imported: {error}.", hint="install the package it comes from."
        ) from error


def import_calculator(path: str) -> Any:
    """Import a calculator from any package.

    Parameters
    ----------
    path
        ``"package.module:Name"``.

    Returns
    -------
    Any
        The class, or a function that returns a calculator.

    Raises
    ------
    ConfigError
        The module or the name is not there.
    """
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"calculator {path!r} cannot be imported: {error}.",
            hint="give 'package.module:Name' of an installed package.",
        ) from error


def package_version(name: str) -> str:
    """Return the version of the package a calculator comes from.

    Parameters
    ----------
    name
        Short name or import path.

    Returns
    -------
    str
        The version, or "unknown" for a module that belongs to no installed package.
    """
    package = name.partition(":")[0].partition(".")[0] if ":" in name else "ase"
    try:
        distributions = importlib.metadata.packages_distributions().get(package, [package])
        return importlib.metadata.version(distributions[0])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def plain_value(value: Any) -> str | float | bool:
    """Return a value in the form a fingerprint stores.

    Parameters
    ----------
    value
        Argument of a calculator.

    Returns
    -------
    str | float | bool
        Itself if it is one of these, else its ``repr``.
    """
    return value if isinstance(value, str | float | bool | int) else repr(value)
