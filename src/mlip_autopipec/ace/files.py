"""Write a linear potential in all its formats and prove that they say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace.active_set import grade, write_active_set
from mlip_autopipec.ace.baseline import PairBaseline
from mlip_autopipec.ace.basis import BasisSpec, CoreSwitch, build_basis
from mlip_autopipec.ace.design import DesignMatrix
from mlip_autopipec.ace.potential import AcePotential
from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]

_ENERGY_TOLERANCE = 1.0e-7  # eV/atom; python-ace's radial splines differ by up to 5e-10
_FORCE_TOLERANCE = 1.0e-5  # eV/Å
_GAMMA_TOLERANCE = 1.0e-5  # relative


@dataclass(frozen=True)
class PotentialFiles:
    """Paths of a potential: B-basis, C-tilde basis for LAMMPS, inverse of the active set."""

    yaml: Path
    yace: Path
    asi: Path


def write_potential(
    directory: Path,
    spec: BasisSpec,
    core: Mapping[str, CoreSwitch],
    coefficients: Array,
    active_set: Mapping[str, Array],
    baseline: PairBaseline | None = None,
) -> PotentialFiles:
    """Write ``potential.yaml``, ``potential.yace`` and ``potential.asi``.

    Parameters
    ----------
    directory
        Where to write; it must exist.
    spec
        The basis.
    core
        Core switch of each pair.
    coefficients
        One per function in eV, shape ``(n_functions,)``.
    active_set
        Inverse of the active set by element.
    baseline
        The pair potential under the ACE; the file then holds no repulsion of its own.

    Returns
    -------
    PotentialFiles
        The written files.

    Raises
    ------
    FitError
        A coefficient is not finite, or the number of coefficients is wrong.
    """
    basis = build_basis(spec, core, 1.0 if baseline is None else 0.0)
    if len(coefficients) != len(basis.basis_coeffs) or not np.isfinite(coefficients).all():
        raise FitError(f"{len(basis.basis_coeffs)} finite coefficients are needed, got {coefficients}.")
    basis.basis_coeffs = coefficients
    files = PotentialFiles(*(directory / f"potential.{suffix}" for suffix in ("yaml", "yace", "asi")))
    basis.save(str(files.yaml))
    basis.to_ACECTildeBasisSet().save_yaml(str(files.yace))
    write_active_set(files.asi, active_set)
    return files


def compare_files(
    files: PotentialFiles,
    design: DesignMatrix,
    coefficients: Array,
    active_set: Mapping[str, Array],
    structures: Sequence[Atoms],
) -> dict[str, float]:
    """Read each file back and compare it with the linear model it was written from.

    Parameters
    ----------
    files
        The written files.
    design
        The linear model's rows.
    coefficients
        One per function in eV.
    active_set
        Inverse of the active set by element.
    structures
        Where to compare; all distances must lie outside the core switch.

    Returns
    -------
    dict
        Largest differences: ``yaml_energy`` and ``yace_energy`` [eV/atom], ``yaml_force`` and
        ``yace_force`` [eV/Å], ``asi_gamma`` [relative].

    Raises
    ------
    FitError
        A difference exceeds the accuracy of the formats.
    """
    from_yaml, from_yace = AcePotential(files.yaml, files.asi), AcePotential(files.yace)
    worst = dict.fromkeys(("yaml_energy", "yace_energy", "yaml_force", "yace_force", "asi_gamma"), 0.0)
    for atoms in structures:
        block = design.block(atoms, stress=False)
        energy, forces = block.energy @ coefficients, (block.forces @ coefficients).reshape(-1, 3)
        for name, potential in (("yaml", from_yaml), ("yace", from_yace)):
            found = potential.evaluate(atoms)
            _raise_to(worst, f"{name}_energy", abs(found.energies.mean() - energy))
            _raise_to(worst, f"{name}_force", np.abs(found.forces - forces).max())
            if found.gamma is not None:
                rows = design.projections(atoms)
                expected = max(grade(rows[e], active_set[e]).max() for e in rows)
                _raise_to(worst, "asi_gamma", abs(found.gamma.max() / expected - 1.0))
    limits = {"energy": _ENERGY_TOLERANCE, "force": _FORCE_TOLERANCE, "gamma": _GAMMA_TOLERANCE}
    for key, value in worst.items():
        if not value <= limits[key.split("_")[1]]:
            raise FitError(f"the written potential differs from the fitted one: {key} by {value:.2e}.")
    return worst


def _raise_to(worst: dict[str, float], key: str, value: float) -> None:
    worst[key] = max(worst[key], float(value)) if np.isfinite(value) else float("nan")
