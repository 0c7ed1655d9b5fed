"""From python-ace's basis set to the flat tables of the compiled kernel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace.basis import functions
from mlip_autopipec.ace.kernel import FunctionTable, RadialTable
from mlip_autopipec.ace.neighbours import bonds
from mlip_autopipec.errors import StructureError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_FIRST_KNOT = 2  # python-ace refuses distances below its first knot, 1e-3 Å

Channel = tuple[int, int]  # (n, l); l = -1 marks the bare g_n of rank 1


def channels(basis: Any) -> list[Channel]:
    """List the radial channels that the functions use.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.

    Returns
    -------
    list of tuple
        Pairs (n, l), sorted; l is -1 for the bare radial function of a rank-1 function.
    """
    used: set[Channel] = set()
    for f in functions(basis):
        used |= {(f.ns[0], -1)} if f.rank == 1 else set(zip(f.ns, f.ls, strict=True))
    return sorted(used)


def radial_table(basis: Any, used: Sequence[Channel]) -> RadialTable:
    """Tabulate the radial functions at the knots of python-ace's own splines.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.
    used
        The channels.

    Returns
    -------
    RadialTable
        Values, derivatives and mixing coefficients of every ordered pair.
    """
    radial, n_elements = basis.radial_functions, basis.nelements
    n_base, n_radial = basis.nradbase, basis.nradmax
    bonds = basis.map_bond_specifications
    cutoff = np.array([[bonds[i, j].rcut for j in range(n_elements)] for i in range(n_elements)])
    intervals = (cutoff / radial.deltaSplineBins).astype(int)
    step = cutoff / intervals
    values = np.zeros((n_elements, n_elements, int(intervals.max()) + 1, n_base, 2))
    mixing = np.zeros((n_elements, n_elements, len(used), n_base))
    for i, j in np.ndindex(n_elements, n_elements):
        for knot in range(_FIRST_KNOT, intervals[i, j]):
            radial.evaluate(knot * step[i, j], n_base, n_radial, i, j)
            values[i, j, knot, :, 0] = radial.gr
            values[i, j, knot, :, 1] = radial.dgr
        coefficients = np.asarray(bonds[i, j].radcoefficients)  # (n_radial, l, n_base)
        for c, (n, l) in enumerate(used):
            mixing[i, j, c] = np.eye(n_base)[n - 1] if l < 0 else coefficients[n - 1, l]
    return RadialTable(step, cutoff, values, mixing)


def function_table(basis: Any, used: Sequence[Channel]) -> FunctionTable:
    """Flatten the basis functions.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.
    used
        The channels.

    Returns
    -------
    FunctionTable
        All functions, in the order of :func:`~mlip_autopipec.ace.basis.functions`.
    """
    listed = functions(basis)
    number = {channel: c for c, channel in enumerate(used)}
    channel_l = np.array([max(l, 0) for _, l in used])
    channel_start = np.concatenate([[0], np.cumsum(channel_l + 1)[:-1]])
    most = max(f.rank for f in listed)
    entry_mu: list[int] = []
    entry_v: list[int] = []
    entry_range, combo_range = [0], [0]
    factor: list[list[int]] = []
    negative: list[list[int]] = []
    parity: list[list[float]] = []
    weight: list[float] = []
    for f in listed:
        keys = [(f.ns[0], -1)] if f.rank == 1 else list(zip(f.ns, f.ls, strict=True))
        entries: dict[tuple[int, int], int] = {}
        for ms, cg in zip(np.reshape(f.ms_combs, (-1, f.rank)), f.gen_cgs, strict=True):
            slots = [
                entries.setdefault((mu, int(channel_start[number[key]]) + abs(int(m))), len(entries))
                for mu, key, m in zip(f.mus, keys, ms, strict=True)
            ]
            padding = [0] * (most - f.rank)
            factor.append(slots + padding)
            negative.append([int(m < 0) for m in ms] + padding)
            parity.append([-1.0 if m < 0 and m % 2 else 1.0 for m in ms] + [1.0] * len(padding))
            weight.append(float(cg))
        entry_mu += [mu for mu, _ in entries]
        entry_v += [v for _, v in entries]
        entry_range.append(len(entry_mu))
        combo_range.append(len(weight))
    counts = np.bincount([f.mu0 for f in listed], minlength=basis.nelements)
    return FunctionTable(
        channel_l=channel_l,
        channel_start=channel_start,
        first=np.concatenate([[0], np.cumsum(counts)]),
        entry_range=np.array(entry_range),
        entry_mu=np.array(entry_mu),
        entry_v=np.array(entry_v),
        combo_range=np.array(combo_range),
        rank=np.array([f.rank for f in listed]),
        factor=np.array(factor),
        negative=np.array(negative),
        parity=np.array(parity),
        weight=np.array(weight),
    )


def neighbour_table(atoms: Atoms, elements: Sequence[str], cutoff: float) -> tuple[Ints, Ints, Ints, Array]:
    """List the bonds of a structure, sorted by centre and by element of the end.

    Parameters
    ----------
    atoms
        The structure; any periodicity and handedness.
    elements
        Chemical symbols in the order of the basis.
    cutoff
        Largest bond length in Å.

    Returns
    -------
    kinds
        Element index of each atom, shape ``(n_atoms,)``.
    ends
        Atom at the end of each bond, shape ``(n_bonds,)``.
    ranges
        First bond of each atom, shape ``(n_atoms + 1,)``.
    vectors
        From centre to end in Å, shape ``(n_bonds, 3)``.

    Raises
    ------
    StructureError
        An element is not in the basis, or a position is not finite.
    """
    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(elements))
    if unknown:
        raise StructureError(
            f"element {', '.join(unknown)} is not in the potential; known: {', '.join(elements)}."
        )
    kinds = np.array([list(elements).index(symbol) for symbol in symbols])
    i, j, _, vectors = bonds(atoms, cutoff)
    order = np.lexsort((j, kinds[j], i))
    ranges = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=len(atoms)))])
    return kinds, j[order], ranges, np.ascontiguousarray(vectors[order])
