"""What a run of `pacemaker` left behind: checked, given a core, written in all formats and compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace import (
    AcePotential,
    CoreSwitch,
    DesignMatrix,
    PotentialFiles,
    active_set_inverse,
    choose_core,
    function_counts,
    functions,
    grade,
    import_pyace,
    shortest_distances,
    write_active_set,
)
from mlip_autopipec.errors import FitError
from mlip_autopipec.training.pacemaker_data import row_name
from mlip_autopipec.training.pacemaker_start import function_keys

Array = NDArray[np.float64]

_EMBEDDINGS = ("FinnisSinclairShiftedScaled", "FinnisSinclair")  # any other name gives E = 0
_ENERGY_TOLERANCE = 1.0e-7  # eV/atom between .yaml and .yace
_FORCE_TOLERANCE = 1.0e-5  # eV/Å
_GAMMA_TOLERANCE = 1.0e-3  # relative; ill-conditioned radial bases are this good
_GAMMA_TRAINING = 1.01  # MaxVol stops at 1.001
_RESOLVED = 1.0e-3  # eV/atom; an error below this tells nothing of the functions


def check_counts(path: Path, given: Sequence[str], what: str) -> None:
    """Require that pacemaker used every structure it was given.

    Parameters
    ----------
    path
        The data set as pacemaker saved it, in the folder of the run.
    given
        Ids of the labels that were given.
    what
        What they are for, in words.

    Raises
    ------
    FitError
        Structures were dropped, or the file is missing.
    """
    import pandas as pd

    if not path.is_file():
        raise FitError(f"pacemaker left no {path.name}: what it was fitted to is unknown.")
    used = pd.read_pickle(path, compression="gzip")  # noqa: S301 - written by the program in our own folder
    if len(used) != len(given):
        names = set(used["name"]) if "name" in used else set()
        lost = [label for label in given if row_name(label) not in names]
        raise FitError(
            f"pacemaker used {len(used)} of {len(given)} {what} structures; dropped: {', '.join(lost[:5])}"
            f"{' …' if len(lost) > 5 else ''}.",
            hint="it drops structures with a lonely atom, and by weighting: energy those far above the hull; "
            "leave them out, or take weighting: importance.",
        )


def read_potential(path: Path, target: Any) -> Any:
    """Read the fitted functions and require that they are those asked for.

    Parameters
    ----------
    path
        ``output_potential.yaml``.
    target
        The functions asked for, as ``BBasisConfiguration``.

    Returns
    -------
    pyace.BBasisConfiguration
        The fitted functions.

    Raises
    ------
    FitError
        The file is missing or broken, a coefficient is not finite, or the functions are others.
    """
    if not path.is_file():
        raise FitError(f"pacemaker left no {path.name}.")
    try:
        config = import_pyace().BBasisConfiguration(str(path))
    except (RuntimeError, ValueError) as error:
        raise FitError(f"{path.name} of pacemaker cannot be read: {error}") from error
    if not np.isfinite(config.get_all_coeffs()).all():
        raise FitError(
            f"{path.name} of pacemaker holds coefficients that are not finite numbers.",
            hint="look for labels with extreme energies or forces, or for atoms that almost coincide.",
        )
    found, wanted = function_keys(config), function_keys(target)
    if found != wanted:
        raise FitError(
            f"{path.name} of pacemaker holds {len(found)} functions, {len(found - wanted)} of them others "
            f"than the {len(wanted)} asked for."
        )
    for block in config.funcspecs_blocks:
        if len(block.block_name.split()) == 1 and block.npoti not in _EMBEDDINGS:
            raise FitError(
                f"{path.name} has the embedding {block.npoti!r} for {block.block_name}: its energy is zero."
            )
    if not any(config.get_func_coeffs()):
        raise FitError(f"all coefficients in {path.name} are zero: nothing was fitted.")
    return config


def set_core(config: Any, structures: Sequence[Atoms], cutoff: float) -> dict[str, CoreSwitch]:
    """Let each pair go over to ZBL below its shortest training distance, so that its dimer energy rises.

    Parameters
    ----------
    config
        The fitted functions, whose bonds are changed.
    structures
        The training structures, which the core leaves untouched.
    cutoff
        Cut-off radius in Å.

    Returns
    -------
    dict
        Core switch by pair ``'A-B'``; pairs that never met begin at 0.7 of the sum of their covalent radii.

    Raises
    ------
    FitError
        No width makes the dimer energy of a pair rise monotonically.
    """
    pyace = import_pyace()
    pairs = sorted({_pair(b) for b in config.funcspecs_blocks if len(b.block_name.split()) <= 2})

    def with_core(core: Mapping[str, CoreSwitch]) -> Any:
        _apply(config, core)
        return pyace.ACEBBasisSet(config)

    return choose_core(with_core, pairs, shortest_distances(list(structures), cutoff))


def save_potential(config: Any, directory: Path) -> Path:
    """Write ``potential.yaml``.

    Parameters
    ----------
    config
        The fitted functions with their core.
    directory
        Where to write.

    Returns
    -------
    pathlib.Path
        The written file.
    """
    path = directory / "potential.yaml"
    if "user" in config.metadata:
        del config.metadata["user"]
    config.save(str(path))
    return path


def write_files(
    directory: Path, structures: Sequence[Atoms], energy_rmse: float
) -> tuple[PotentialFiles, dict[str, float]]:
    """Write ``potential.yace`` and ``potential.asi`` beside ``potential.yaml``, and read everything back.

    Parameters
    ----------
    directory
        Where ``potential.yaml`` is.
    structures
        The training structures; all their environments are candidates for the active set.
    energy_rmse
        Training error in eV/atom: what the data do not resolve is not counted as seen.

    Returns
    -------
    files
        The written files.
    differences
        Largest differences between them: energies [eV/atom], forces [eV/Å], gamma [relative].

    Raises
    ------
    FitError
        The files say different things, or a training environment is graded as extrapolation.
    """
    files = PotentialFiles(*(directory / f"potential.{suffix}" for suffix in ("yaml", "yace", "asi")))
    basis = import_pyace().ACEBBasisSet(str(files.yaml))
    basis.to_ACECTildeBasisSet().save_yaml(str(files.yace))
    design = DesignMatrix(basis)
    rows = [design.projections(atoms) for atoms in structures]
    floors = dict(zip(function_counts(basis), _floors(basis, energy_rmse), strict=True))
    inverses = {
        element: active_set_inverse(np.vstack([r[element] for r in rows if element in r]), floor)
        for element, floor in floors.items()
    }
    write_active_set(files.asi, inverses)
    return files, _compare(files, structures, rows, inverses)


def _compare(
    files: PotentialFiles,
    structures: Sequence[Atoms],
    rows: list[dict[str, Array]],
    inverses: dict[str, Array],
) -> dict[str, float]:
    from_yaml, from_yace = AcePotential(files.yaml, files.asi), AcePotential(files.yace)
    found = {"yace_energy": [0.0], "yace_force": [0.0], "asi_gamma": [0.0]}
    highest = 0.0
    for atoms, projections in zip(structures, rows, strict=True):
        mine, theirs = from_yaml.evaluate(atoms), from_yace.evaluate(atoms)
        expected = max(float(grade(projections[e], inverses[e]).max()) for e in projections)
        gamma = 0.0 if mine.gamma is None else float(mine.gamma.max())
        found["yace_energy"].append(float(abs(mine.energies.mean() - theirs.energies.mean())))
        found["yace_force"].append(float(np.abs(mine.forces - theirs.forces).max()))
        found["asi_gamma"].append(abs(gamma / expected - 1.0))
        highest = max(highest, gamma)
    worst = {key: max(values) for key, values in found.items()}
    limits = (_ENERGY_TOLERANCE, _FORCE_TOLERANCE, _GAMMA_TOLERANCE)
    for (key, value), limit in zip(worst.items(), limits, strict=True):
        if not value <= limit:
            raise FitError(f"the files of the potential differ from each other: {key} by {value:.2e}.")
    if not highest <= _GAMMA_TRAINING:
        raise FitError(f"gamma of a training environment is {highest:.4f}, at most 1.001 is possible.")
    return worst


def _floors(basis: Any, energy_rmse: float) -> list[Array]:
    """Smallest meaningful size of each function by element: noise over prior spread of its coefficient."""
    listed = functions(basis)
    coefficients = np.linalg.norm(np.reshape(basis.basis_coeffs, (len(listed), -1)), axis=1)
    degrees = np.array([sum(f.ns) + sum(f.ls) for f in listed], dtype=float) ** 2
    spread = float(np.sqrt(np.mean((coefficients * degrees) ** 2)))
    floors = max(energy_rmse, _RESOLVED) * degrees / spread
    ends = np.cumsum(list(function_counts(basis).values()))
    return np.split(floors, ends[:-1])


def _apply(config: Any, core: Mapping[str, CoreSwitch]) -> None:
    for block in config.funcspecs_blocks:
        if len(block.block_name.split()) > 2:
            continue
        switch = core[_pair(block)]
        block.inner_cutoff_type = "zbl"
        block.core_rep_parameters = [1.0, 1.0]
        block.r_in, block.delta_in = switch.r_in, switch.delta_in


def _pair(block: Any) -> str:
    names = sorted(block.block_name.split())
    return "-".join(names if len(names) == 2 else names * 2)
