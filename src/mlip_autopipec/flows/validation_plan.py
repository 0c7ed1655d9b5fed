"""What the oracle is asked for a validation, and what that costs: plain functions."""

from collections.abc import Sequence

import numpy as np

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.oriented import conventional
from mlip_autopipec.numerics import fit_birch_murnaghan
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    CheckCost,
    CheckKind,
    LabelBatchDoc,
)
from mlip_autopipec.validation import PropertyMaker, of_each_crystal, volumes_per_atom
from mlip_autopipec.validation.base import of_origin


def checked_kinds(checks: Sequence[str], known: Sequence[str]) -> None:
    """Refuse checks that there are not.

    Parameters
    ----------
    checks
        What was asked for.
    known
        What there is.

    Raises
    ------
    ConfigError
        A check is unknown or asked for twice.
    """
    wrong = [name for name in checks if name not in known]
    if wrong or len(set(checks)) < len(checks):
        raise ConfigError(
            f"'checks' must name each of {', '.join(known)} once at most, got {', '.join(checks)}.",
            hint="held-out errors, equation of state and stability are always checked.",
        )


def equilibrium(structure: AtomicStructure, batch: LabelBatchDoc) -> AtomicStructure:
    """Give a crystal the volume of least energy by the oracle.

    Parameters
    ----------
    structure
        The crystal.
    batch
        Labels of equations of state; those of the first crystal count.

    Returns
    -------
    AtomicStructure
        Its conventional cell, at that volume; its shape and the places of its atoms are as given. Not the
        primitive one: its k-points would be others than those of the cells that were learned.
    """
    first = of_each_crystal(batch)[0]
    volumes = volumes_per_atom(first)
    energies = np.array([item.label.energy / item.label.structure.n_atoms for item in first])
    atoms = conventional(structure.to_ase())
    ratio = fit_birch_murnaghan(volumes, energies).v0 * len(atoms) / atoms.get_volume()
    atoms.set_cell(atoms.cell.array * ratio ** (1.0 / 3.0), scale_atoms=True)
    return AtomicStructure.from_ase(atoms)


def asked_cells(
    makers: Sequence[PropertyMaker], crystal: AtomicStructure, batch: LabelBatchDoc, max_cost: int
) -> tuple[list[CandidateStructure], list[CheckCost]]:
    """Choose which checks the oracle is asked for.

    Parameters
    ----------
    makers
        The checks, the most important first.
    crystal
        What they are about.
    batch
        Labels that are there already, for the time of one.
    max_cost
        Atoms of all labels together.

    Returns
    -------
    candidates
        What is to be labelled.
    costs
        Of all checks, also of those that are not asked for.
    """
    chosen: list[CandidateStructure] = []
    costs = []
    left = max_cost
    for maker in makers:
        cells = maker.cells(crystal.to_ase())
        sizes = [cell.structure.n_atoms for cell in cells]
        asked = bool(cells) and sum(sizes) <= left
        if asked:
            chosen += cells
            left -= sum(sizes)
        reason = (
            "" if asked or not cells else f"{sum(sizes)} atoms, {left} of {max_cost} were left (max_cost)"
        )
        costs.append(
            CheckCost(
                kind=maker.kind,
                n_labels=len(cells),
                n_atoms=sum(sizes),
                estimated_time=_time(sizes, batch),
                asked=asked,
                reason=reason,
            )
        )
    return chosen, costs


def _time(sizes: Sequence[int], batch: LabelBatchDoc) -> float | None:
    """Scale the time of known labels: plane waves cost the cube of the atoms, but need fewer k-points."""
    known = [item.label for item in of_origin(batch, "eos")]
    if not known:
        return None
    each = float(np.median([label.wall_time / label.structure.n_atoms**2 for label in known]))
    return each * sum(size**2 for size in sizes)


def kinds_of(checks: Sequence[CheckKind | None]) -> list[CheckKind]:
    """Return the validators that some checks belong to, each once, in their order."""
    return [kind for kind in dict.fromkeys(checks) if kind is not None]
