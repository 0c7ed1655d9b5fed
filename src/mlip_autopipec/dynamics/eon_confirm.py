"""The lowest barriers of a state are put to the oracle: which, as what labels, and what came of it.

The grade γ says how far an environment is from those that were learned, and nothing of what the basis cannot
represent. So the minimum and the saddle of such an event are labelled before a step is taken over it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

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
    LabelDoc,
    LabelWeights,
    RecheckedEvent,
)

ALIKE = 1.0e-3  # eV; events of one state over barriers of one height are one kind
_ENERGY_SIGMA = 1.0e-3  # eV/atom; that of the fits, in whose units labels weigh


@dataclass(frozen=True)
class Asked:
    """What the oracle was asked for.

    Parameters
    ----------
    barriers
        Its answers, in time order.
    saddles
        Saddles of their events by name.
    labels
        All labels by the digest of their structure.
    """

    barriers: list[ConfirmedBarrier]
    saddles: Mapping[str, AtomicStructure]
    labels: Mapping[str, LabelDoc]

    @classmethod
    def of(
        cls,
        previous: KmcDoc | None,
        batches: Iterable[LabelBatchDoc],
        rechecked: Iterable[RecheckedEvent],
    ) -> Self:
        """Gather it.

        Parameters
        ----------
        previous
            The run before.
        batches
            All labels.
        rechecked
            Its events, searched again.

        Returns
        -------
        Asked
            Nothing before the second run.
        """
        labels = {item.label.structure.digest: item.label for batch in batches for item in batch.labels}
        if previous is None:
            return cls([], {}, labels)
        barriers = confirmed_by(previous, labels, rechecked)
        names = {barrier.event for barrier in barriers}
        saddles = {event.id: event.saddle for event in previous.events if event.id in names}
        return cls(barriers, saddles, labels)


def lowest(events: Iterable[KmcEvent], most: int) -> list[KmcEvent]:
    """Choose one event of each of the lowest barriers.

    Parameters
    ----------
    events
        Events of one state.
    most
        Number of kinds; events over equal barriers are one kind.

    Returns
    -------
    list[KmcEvent]
        Lowest barrier first.
    """
    chosen: list[KmcEvent] = []
    for event in sorted(events, key=lambda event: event.barrier):
        if not chosen or event.barrier - chosen[-1].barrier > ALIKE:
            chosen.append(event)
    return chosen[:most]


def unconfirmed(events: Iterable[KmcEvent], asked: Asked, tolerance: float, most: int) -> list[KmcEvent]:
    """Choose the events that the oracle has to be asked for.

    Parameters
    ----------
    events
        The lowest events of a state.
    asked
        What it was asked for.
    tolerance
        Difference between its barrier and the potential's that is tolerated in eV.
    most
        Times that it is asked for one kind of event.

    Returns
    -------
    list[KmcEvent]
        Those whose last answer the potential does not give, unless it was asked often enough, or for this
        very saddle.
    """
    wanted = []
    for event in events:
        saddle = event.saddle.to_ase()
        answers = [c for c in asked.barriers if same_shape(asked.saddles[c.event].to_ase(), saddle)]
        last = answers[-1].oracle_barrier if answers else None
        agrees = last is not None and abs(event.barrier - last) <= tolerance
        if not agrees and len(answers) < most and event.saddle.digest not in asked.labels:
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
    previous: KmcDoc, labels: Mapping[str, LabelDoc], rechecked: Iterable[RecheckedEvent]
) -> list[ConfirmedBarrier]:
    """Compare the barriers of a run with the labels it asked for.

    Parameters
    ----------
    previous
        The run.
    labels
        Labels by the digest of their structure.
    rechecked
        Its events, searched again with the potential that was fitted to these.

    Returns
    -------
    list[ConfirmedBarrier]
        All that was asked for so far.
    """
    minima = {state.id: state.structure for state in previous.states}
    events = {event.id: event for event in previous.events}
    after = {event.event: event.barrier_after for event in rechecked}
    found = list(previous.confirmed)
    for name in previous.to_confirm:
        event = events[name]
        pair = [labels.get(structure.digest) for structure in (minima[event.state], event.saddle)]
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
