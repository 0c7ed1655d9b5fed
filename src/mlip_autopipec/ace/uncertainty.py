"""How far a force may be off: the posterior of the linear fit, calibrated, as a file beside the potential."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace.basis import import_pyace
from mlip_autopipec.ace.design import DesignMatrix
from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]
_KEYS = ("covariance_factor", "force_noise", "scale", "level")


@dataclass(frozen=True)
class Posterior:
    """What is left unknown by the labels.

    Parameters
    ----------
    covariance_factor
        U with posterior covariance ``U @ U.T`` of the coefficients, in eV, upper triangular, shape
        ``(n_functions, n_functions)``.
    force_noise
        Standard deviation of a force component that no coefficients explain, in eV/Å.
    scale
        Calibration factor on the standard deviation, dimensionless.
    level
        Share of atoms whose force error lies below the scaled standard deviation, dimensionless.
    """

    covariance_factor: Array
    force_noise: float
    scale: float
    level: float

    def write(self, path: Path) -> None:
        """Write an ``.npz`` file; the factor in single precision, which costs the estimate no digit.

        Parameters
        ----------
        path
            The file.
        """
        with path.open("wb") as stream:
            np.savez_compressed(
                stream,
                allow_pickle=False,
                covariance_factor=self.covariance_factor.astype(np.float32),
                force_noise=self.force_noise,
                scale=self.scale,
                level=self.level,
            )

    @classmethod
    def read(cls, path: Path) -> "Posterior":
        """Read what :meth:`write` wrote.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Posterior
            The posterior.

        Raises
        ------
        FitError
            The file is missing or broken.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
                factor, *numbers = (np.asarray(found[key], dtype=float) for key in _KEYS)
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise FitError(f"posterior {str(path)!r} cannot be read: {error}") from error
        size = len(np.atleast_1d(factor))
        if factor.shape != (size, size) or any(number.shape for number in numbers):
            shapes = [array.shape for array in (factor, *numbers)]
            raise FitError(
                f"posterior {str(path)!r} holds arrays of shapes {shapes}, not a matrix and numbers."
            )
        if not all(np.isfinite(array).all() for array in (factor, *numbers)):
            raise FitError(f"posterior {str(path)!r} holds numbers that are not finite.")
        return cls(factor, *(float(number) for number in numbers))


class ForceErrorModel:
    """Estimates the error of each force of a linear potential.

    Parameters
    ----------
    path
        The potential's ``.yaml`` file.
    posterior
        The posterior of the fit that made it.

    Raises
    ------
    FitError
        They do not belong together.
    """

    def __init__(self, path: Path, posterior: Posterior) -> None:
        basis: Any = import_pyace().ACEBBasisSet(str(path))
        self._design = DesignMatrix(basis)
        self.posterior = posterior
        if self._design.n_functions != len(posterior.covariance_factor):
            raise FitError(
                f"the posterior has {len(posterior.covariance_factor)} coefficients, "
                f"the potential {self._design.n_functions} functions.",
                hint="take both files from the same fit.",
            )

    def force_errors(self, atoms: Atoms) -> Array:
        """Bound the length of each atom's force error at the calibrated level.

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        numpy.ndarray
            In eV/Å, shape ``(n_atoms,)``.
        """
        return self.posterior.scale * self.force_deviations(atoms)

    def force_deviations(self, atoms: Atoms) -> Array:
        """Give the standard deviation of each atom's force, noise included (not calibrated).

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        numpy.ndarray
            Root of the sum over the three components in eV/Å, shape ``(n_atoms,)``.
        """
        rows = self._design.block(atoms, stress=False).forces
        spread = np.square(rows @ self.posterior.covariance_factor).sum(axis=1).reshape(-1, 3).sum(axis=1)
        return np.asarray(np.sqrt(spread + 3.0 * self.posterior.force_noise**2))

    def energy_error(self, atoms: Atoms) -> float:
        """Posterior standard deviation of the energy, from the coefficients alone (not calibrated).

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        float
            In eV/atom.
        """
        row = self._design.block(atoms, stress=False).energy
        return float(np.linalg.norm(row @ self.posterior.covariance_factor))
