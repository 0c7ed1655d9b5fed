"""The short range: a ZBL core inside the potential file that atoms cannot fall through."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace.baseline import PairBaseline, unseen_distance
from mlip_autopipec.ace.basis import CoreSwitch, import_pyace
from mlip_autopipec.ace.environment import environment
from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]

SCAN_FROM = 0.4
"""Smallest distance of the dimer scan in Å."""

RISES_BELOW = 0.9
"""Of ``r_in``: below it a dimer's energy has to rise all the way in; above may lie a shallow well."""

_SCAN_STEP = 0.01
_WELL = 1.0  # eV; deeper than this below the energy at r_in is a hole, not the bottom of a bond
_MARGIN = 1.0e-6  # Å; keeps rounding from switching the closest training pair
_WIDTHS = (0.25, 0.35, 0.15, 0.45, 0.1, 0.6)  # of r_in; tried in this order


def dimer_scan(energy: Callable[[Atoms], float], pair: str, distances: Array) -> Array:
    """Compute the energy of a dimer over distance.

    Parameters
    ----------
    energy
        Gives the energy of a structure in eV.
    pair
        Chemical symbols as ``'A-B'``.
    distances
        In Å, shape ``(n,)``.

    Returns
    -------
    numpy.ndarray
        Energies in eV, shape ``(n,)``.
    """
    symbols = pair.split("-")
    dimers = [Atoms(symbols, positions=[[0.0, 0.0, 0.0], [0.0, 0.0, distance]]) for distance in distances]
    return np.array([energy(dimer) for dimer in dimers])


def choose_core(
    with_core: Callable[[Mapping[str, CoreSwitch]], Any],
    pairs: Sequence[str],
    shortest: Mapping[str, float],
    baseline: PairBaseline | None = None,
) -> dict[str, CoreSwitch]:
    """Choose where each pair goes over to ZBL, so that its dimer energy rises all the way in.

    The switch begins at the shortest distance in the training set, so no training structure is touched by
    it; its width is the first of a few for which the dimer energy rises monotonically from 0.9 of it to
    ``SCAN_FROM``, over no well of more than 1 eV. This is checked on the evaluated potential, not assumed.

    Parameters
    ----------
    with_core
        Gives the potential with a core, as ``ACEBBasisSet``; one for several densities is as good.
    pairs
        All pairs ``'A-B'`` (sorted symbols).
    shortest
        Shortest training distance in Å by pair ``'A-B'``; for pairs that never met, 0.7 of the sum of the
        covalent radii is taken.
    baseline
        The pair potential under the ACE; then the ACE is switched off and the baseline is what remains.

    Returns
    -------
    dict
        Core switch by pair.

    Raises
    ------
    FitError
        No width makes the dimer energy of a pair monotonic.
    """
    r_in = {pair: shortest.get(pair, unseen_distance(pair)) - _MARGIN for pair in pairs}
    chosen: dict[str, CoreSwitch] = {}
    falling = list(pairs)
    for width in _WIDTHS:
        tried = {pair: CoreSwitch(r_in[pair], width * r_in[pair]) for pair in falling}
        chosen |= tried
        falling = falling_pairs(with_core(chosen), tried, baseline)
        if not falling:
            return chosen
    raise FitError(
        f"no core makes the dimer energy of {', '.join(falling)} rise monotonically below "
        f"{', '.join(f'{RISES_BELOW * r_in[pair]:.2f} Å' for pair in falling)}.",
        hint="label dimers of these elements at short distances (generation: dimer_distances).",
    )


def falling_pairs(
    basis: Any, core: Mapping[str, CoreSwitch], baseline: PairBaseline | None = None
) -> list[str]:
    """List the pairs whose dimer energy falls below 0.9 ``r_in``, or by more than 1 eV above.

    Parameters
    ----------
    basis
        The potential with its core, as ``ACEBBasisSet``.
    core
        Core switch of each pair that is looked at.
    baseline
        The pair potential under the ACE.

    Returns
    -------
    list[str]
        Pairs ``'A-B'``; empty if all rise monotonically.
    """
    pyace = import_pyace()
    evaluator = pyace.ACEBEvaluator(basis)  # the calculator does not keep it alive
    calculator = pyace.ACECalculator(evaluator)

    def energy(atoms: Atoms) -> float:
        calculator.compute(environment(atoms, basis), compute_projections=False)
        added = 0.0 if baseline is None else float(baseline.evaluate(atoms)[0].sum())
        return float(calculator.energy) + added

    falling = []
    for pair, switch in core.items():
        distances = np.arange(SCAN_FROM, switch.r_in, _SCAN_STEP)
        energies = dimer_scan(energy, pair, distances)
        rising = (np.diff(energies[distances < RISES_BELOW * switch.r_in]) < 0.0).all()
        if not (rising and energies.min() > energies[-1] - _WELL):
            falling.append(pair)
    return falling
