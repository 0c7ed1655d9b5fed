"""Exchange of elements in the buffer of a small cell, where the seam puts unlikely neighbours together."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.selection.embedding.cut import Cut
from mlip_autopipec.selection.embedding.judge import EmbeddingRule, Judged, allowed_gamma, judged

_NEIGHBOURS = 6  # of an atom that is too uncertain: with any of them the exchange may be


def exchanged(
    cut: Cut,
    whole: Judged,
    potential: AcePotential,
    r_in: Mapping[str, float],
    rule: EmbeddingRule,
) -> Cut:
    """Exchange atoms of two elements in the outer buffer until no gamma is too large.

    A random alloy has no lattice that repeats its elements, so that across the seam of a small cell
    neighbours meet that the large one may not have. An exchange is kept if it lowers the largest gamma, over
    what is allowed for buffer and core; core, composition and positions stay.

    Parameters
    ----------
    cut
        The small cell.
    whole
        The whole cell.
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.
    rule
        How often to try, and what is good enough.

    Returns
    -------
    Cut
        The best cell found; the same object if none is better.
    """
    inside = cut.distance < float(potential.basis.cutoffmax)
    most = np.where(inside, *allowed_gamma(whole.gamma[cut.index], inside, rule))
    free = np.flatnonzero(cut.distance >= float(potential.basis.cutoffmax) + rule.frozen)
    rng = np.random.default_rng(0)
    found, excess = cut, judged(cut.atoms, potential, r_in).gamma / most
    for _ in range(rule.exchanges):
        numbers = found.atoms.numbers
        if excess.max() <= 1.0 or len(set(numbers[free])) < 2:
            break
        away = found.atoms.get_distances(int(excess.argmax()), free, mic=True)
        one = rng.choice(free[np.argsort(away, kind="stable")[:_NEIGHBOURS]])
        other = rng.choice(free[numbers[free] != numbers[one]])
        atoms = found.atoms.copy()
        atoms.numbers[[one, other]] = numbers[[other, one]]
        trial = judged(atoms, potential, r_in).gamma / most
        if trial.max() < excess.max():
            found, excess = replace(found, atoms=atoms), trial
    return found
