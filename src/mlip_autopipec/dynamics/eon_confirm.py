"""Barriers that carry the rate are put to the oracle: which, as what labels, and what came of it.

The grade γ says how far an environment is from those that were learned, and nothing of what the basis cannot
represent. So the minimum and the saddle of such an event are labelled before a step is taken over it.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mlip_autopipec.dynamics.saddles import same_shape
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    ConfirmedBarrier,
    KmcDoc,
    KmcEvent,
    KmcState,
    LabelBatchDoc,
    LabelWeights,
    RecheckedEvent,
)

ALIKE = 1.0e-3  # eV; events of one state over barriers of one height are one kind
_ENERGY_SIGMA = 1.0e-3  # eV/atom; that of the fits, in whose units labels weigh


def carriers(events: Iterable[KmcEvent], share: float) -> list[KmcEvent]:
    """Choose the kinds of events that make up the rate out of a state.

    Parameters
    ----------
    events
        Events of one state.
    share
        Share of the total rate that they have to make up, dimensionless; 0 for none.

    Returns
    -------
    list[KmcEvent]
        One of each kind (equal barriers), the kind with the largest rate first.
    """
    kinds: list[list[KmcEvent]] = []
    for event in sorted(events, key=lambda event: event.barrier):
        if kinds and abs(event.barrier - kinds[-1][0].barrier) < ALIKE:
            kinds[-1].append(event)
        else:
            kinds.append([event])
    kinds.sort(key=_rate, reverse=True)
    total = sum(map(_rate, kinds))
    chosen: list[KmcEvent] = []
    made_up = 0.0
    for kind in kinds:
        if made_up >= share * total:
            break
        chosen.append(kind[0])
        made_up += _rate(kind)
    return chosen


def _rate(kind: Sequence[KmcEvent]) -> float:
    return sum(event.rate for event in kind)


def unconfirmed(
    events: Iterable[KmcEvent],
    confirmed: Sequence[ConfirmedBarrier],
    saddles: Mapping[str, AtomicStructure],
    tolerance: float,
    most: int,
) -> list[KmcEvent]:
    """Choose the events that the oracle has to be asked for.

    Parameters
    ----------
    events
        Events that carry the rate.
    confirmed
        What it was asked for, in time order.
    saddles
        Saddles of these by event.
    tolerance
        Difference between its barrier and the potential's that is tolerated in eV.
    most
        Times that it is asked for one kind of event.

    Returns
    -------
    list[KmcEvent]
        Those whose last answer the potential does not give, unless it was asked often enough.
    """
    wanted = []
    for event in events:
        saddle = event.saddle.to_ase()
        asked = [c for c in confirmed if same_shape(saddles[c.event].to_ase(), saddle)]
        known = asked[-1].oracle_barrier if asked else None
        agrees = known is not None and abs(event.barrier - known) <= tolerance
        if not agrees and len(asked) < most:
            wanted.append(event)
    return wanted


def frames_to_confirm(
    events: Iterable[KmcEvent], states: Iterable[KmcState], tolerance: float, group: str
) -> list[CandidateStructure]:
    """Make the labels that confirm barriers: of each saddle, and once of the state that it leads out of.

    Parameters
    ----------
    events
        The events.
    states
        States, theirs among them.
    tolerance
        What the barrier is needed to in eV: the energies count as if the whole cell's were known to it.
    group
        Trajectory they belong to.

    Returns
    -------
    list[CandidateStructure]
        All of them required.
    """
    minima = {state.id: state.structure for state in states}
    found: dict[str, CandidateStructure] = {}
    for event in events:
        for what, structure in (("state", minima[event.state]), ("saddle", event.saddle)):
            n_atoms = structure.n_atoms
            factor = max(1.0, (n_atoms * _ENERGY_SIGMA / tolerance) ** 2)
            found[structure.digest] = CandidateStructure(
                structure=structure,
                origin="kmc",
                detail=f"{what} of event {event.id}, a barrier of {event.barrier:.3f} eV to be confirmed",
                gamma=event.gamma if what == "saddle" else None,
                group=group,
                arm="kmc",
                required=True,
                weights=LabelWeights(forces=[1.0] * n_atoms, energy=True, energy_factor=factor),
            )
    return list(found.values())


def confirmed_by(
    previous: KmcDoc, labels: LabelBatchDoc | None, rechecked: Iterable[RecheckedEvent]
) -> list[ConfirmedBarrier]:
    """Compare the barriers of a run with the labels it asked for.

    Parameters
    ----------
    previous
        The run.
    labels
        The labels.
    rechecked
        Its events, searched again with the potential that was fitted to these.

    Returns
    -------
    list[ConfirmedBarrier]
        All that was asked for so far.
    """
    if labels is None:
        return previous.confirmed
    known = {item.label.structure.digest: item.label for item in labels.labels}
    minima = {state.id: state.structure for state in previous.states}
    events = {event.id: event for event in previous.events}
    after = {event.event: event.barrier_after for event in rechecked}
    found = list(previous.confirmed)
    for name in previous.to_confirm:
        event = events[name]
        pair = [known.get(structure.digest) for structure in (minima[event.state], event.saddle)]
        ends = [label for label in pair if label is not None]
        complete = len(ends) == len(pair)
        found.append(
            ConfirmedBarrier(
                event=name,
                generation=event.generation,
                barrier=event.barrier,
                oracle_barrier=ends[1].energy - ends[0].energy if complete else None,
                largest_force=float(np.abs([end.forces for end in ends]).max()) if complete else None,
                barrier_after=after.get(name),
            )
        )
    return found
