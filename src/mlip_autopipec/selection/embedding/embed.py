"""Periodic embedding: the neighbourhood of an uncertain atom in a cell that an oracle can afford."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.optimize import FIRE
from numpy.typing import NDArray

from mlip_autopipec.ace import AceCalculator, AcePotential
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.selection.embedding.cut import Cut, cut_box, cut_crystal
from mlip_autopipec.selection.embedding.exchange import exchanged
from mlip_autopipec.selection.embedding.host import Host, crystal_cell, host_vectors
from mlip_autopipec.selection.embedding.judge import Embedding, EmbeddingRule, Judged, judge

Array = NDArray[np.float64]

_WIDTHS = (1.0, 2.0)  # of the buffer: what a narrow one refuses a wide one may accept
_STEPS_BETWEEN = 5  # steps of the relaxation between two looks
_LONGEST_STEP = 0.05  # Å; of an atom in one step of the relaxation


def embed(
    whole: Judged,
    start: Atoms | None,
    potential: AcePotential,
    r_in: Mapping[str, float],
    rule: EmbeddingRule,
) -> list[Embedding]:
    """Try to put the neighbourhood of the most uncertain atom into a small periodic cell.

    First with lattice vectors of the host, where its crystal survives: a narrow buffer, then a wide one, each
    with elements exchanged in the buffer where it is refused without; then in the densest box.

    Parameters
    ----------
    whole
        The whole cell.
    start
        The same atoms when the walk began, from which the lattice is known; none if it is not.
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.
    rule
        How, and what is good enough.

    Returns
    -------
    list[Embedding]
        What was tried; the last one is accepted or none is. Empty where no cell is small enough, or the
        whole is periodic in fewer than two directions, so that there is nothing to make smaller.
    """
    if whole.atoms.pbc.sum() < 2:
        return []
    core = float(potential.basis.cutoffmax)
    host, centre = Host.of(whole.atoms, core), int(np.argmax(whole.gamma))
    vectors = None if start is None else host_vectors(host, start)
    most_atoms = int(rule.largest_share * len(whole.atoms))
    tried: list[Embedding] = []
    for cut in _cuts(
        host, centre, vectors, [2.0 * (core + w * rule.buffer) for w in _WIDTHS], most_atoms, core
    ):
        tried.append(settled(cut, whole, potential, r_in, rule))
        if not tried[-1].accepted and cut.kind == "crystal" and len(set(cut.atoms.symbols)) > 1:
            other = exchanged(cut, whole, potential, r_in, rule)
            if other is not cut:
                tried.append(settled(other, whole, potential, r_in, rule))
        if tried[-1].accepted:
            break
    return tried


def _cuts(
    host: Host,
    centre: int,
    vectors: Array | None,
    separations: Sequence[float],
    most_atoms: int,
    core: float,
) -> Iterator[Cut]:
    """Cut cells by the host's lattice, the smallest first, and at last a box; none too large."""
    for separation in separations:
        cell = None
        if vectors is not None:
            cell = crystal_cell(host, centre, vectors, separation, most_atoms)
        if cell is not None:
            yield cut_crystal(host, centre, cell, core)
    box = cut_box(host, centre, separations[0], core)
    if len(box.atoms) <= most_atoms:
        yield box


def settled(
    cut: Cut, whole: Judged, potential: AcePotential, r_in: Mapping[str, float], rule: EmbeddingRule
) -> Embedding:
    """Relax the outer buffer of a small cell by the potential, no further than it takes to be accepted.

    What is not relaxed keeps its thermal displacements, and the forces on the core with them.

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
        How, and what is good enough.

    Returns
    -------
    Embedding
        The first state that is accepted, or else the last one, in which the potential failed or the
        relaxation ended.
    """
    frozen = cut.distance < float(potential.basis.cutoffmax) + rule.frozen
    found = judge(cut, whole, potential, r_in, rule)
    moving = cut.atoms.copy()
    moving.set_constraint(FixAtoms(mask=frozen))
    moving.calc = AceCalculator(potential)
    try:
        with FIRE(moving, logfile=None, maxstep=_LONGEST_STEP) as optimizer:
            for step, _ in enumerate(optimizer.irun(fmax=rule.force_tolerance, steps=rule.relax_steps)):
                if found.accepted:
                    break
                if step and (step % _STEPS_BETWEEN == 0 or step == rule.relax_steps):
                    small = cut.atoms.copy()
                    small.positions = moving.positions
                    found = judge(replace(cut, atoms=small), whole, potential, r_in, rule)
    except CalculationError as error:
        return replace(found, refusal=found.refusal or str(error))
    return found
