"""What a run of eOn amounts to, as a document."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AceCalculator
from mlip_autopipec.dynamics.eon_confirm import ALIKE
from mlip_autopipec.dynamics.eon_forces import WatchedSearch
from mlip_autopipec.dynamics.eon_output import Process, State, Step, read_con, read_states, read_steps
from mlip_autopipec.dynamics.eon_run import EonRun
from mlip_autopipec.dynamics.eon_segment import Segment
from mlip_autopipec.dynamics.saddles import minimum_energy_path, without_drift
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    KmcEvent,
    KmcState,
    KmcStep,
    MinimumEnergyPath,
    PathPoint,
)


def kmc_states(run: EonRun, segment: Segment) -> list[KmcState]:
    """Read the states that were visited.

    Parameters
    ----------
    run
        The run.
    segment
        Which potential it has.

    Returns
    -------
    list[KmcState]
        Those of which an energy is known.
    """
    return [
        KmcState(
            id=f"{segment.generation}.{state.number}",
            generation=segment.generation,
            energy=state.energy,
            n_searches=len((state.folder / "search_results.txt").read_text().splitlines()) - 2,
            structure=AtomicStructure.from_ase(read_con(state.folder / "reactant.con")),
        )
        for state in read_states(run.folder)
        if state.energy is not None
    ]


def kmc_events(run: EonRun, segment: Segment, only: int | None = None) -> list[KmcEvent]:
    """Read the events of all states, and look at their saddles.

    Parameters
    ----------
    run
        The run.
    segment
        What is known from before.
    only
        Number of a state; none for all states.

    Returns
    -------
    list[KmcEvent]
        By state.
    """
    states = [state for state in read_states(run.folder) if only in (None, state.number)]
    return [_event(run, segment, state, process) for state in states for process in state.processes]


def _event(run: EonRun, segment: Segment, state: State, process: Process) -> KmcEvent:
    name = f"{segment.generation}.{state.number}"
    saddle = state.structure("saddle", process.number)
    graded = run.potential.evaluate(saddle)
    return KmcEvent(
        id=f"{name}.{process.number}",
        state=name,
        product_state=None if process.product is None else f"{segment.generation}.{process.product}",
        generation=segment.generation,
        found_in=segment.found_in(saddle),
        barrier=process.barrier,
        reverse_barrier=process.saddle_energy - process.product_energy,
        prefactor=process.prefactor,
        rate=process.rate,
        n_found=process.repeats + 1,
        n_negative_modes=run.negative_modes(state.folder / "procdata", process.number),
        gamma=float("nan") if graded.gamma is None else float(graded.gamma.max()),
        saddle=AtomicStructure.from_ase(saddle),
        product=AtomicStructure.from_ase(state.structure("product", process.number)),
        mode=[tuple(row) for row in state.mode(process.number).tolist()],
    )


def kmc_steps(run: EonRun, segment: Segment, events: Iterable[KmcEvent]) -> list[KmcStep]:
    """Read the trajectory.

    Parameters
    ----------
    run
        The run.
    segment
        What was before.
    events
        Its events.

    Returns
    -------
    list[KmcStep]
        In time order.
    """
    known = {event.id for event in events}
    return [_step(segment, step, known) for step in read_steps(run.folder)]


def _step(segment: Segment, step: Step, known: set[str]) -> KmcStep:
    state = f"{segment.generation}.{step.reactant}"
    event = f"{state}.{step.process}"
    return KmcStep(
        state=state,
        product_state=f"{segment.generation}.{step.product}",
        event=event if event in known else None,
        step_time=step.step_time,
        time=segment.time + step.time,
        barrier=step.barrier if event in known else 0.0,
        energy=step.energy,
    )


def kmc_frames(
    searches: Iterable[WatchedSearch], select: float, most: int, *, group: str, detail: str
) -> list[CandidateStructure]:
    """Choose the frames worth a label: where a search was ended by gamma, and the most uncertain of others.

    Parameters
    ----------
    searches
        What was watched.
    select
        Grade above which a frame of a search that was not ended is kept, MaxVol scale.
    most
        Number of frames at most; those that ended a search go first, then the largest grades.
    group
        Trajectory they belong to.
    detail
        Where they come from, for a reader.

    Returns
    -------
    list[CandidateStructure]
        The first is required, if it ended a search: without it the run could not go on.
    """
    found: list[tuple[bool, WatchedSearch]] = []
    for search in searches:
        ended = search.end is not None and search.end[0] == "gamma"
        if ended or (search.end is None and search.gamma_max > select):
            found.append((ended, search))
    found.sort(key=lambda pair: (not pair[0], -pair[1].gamma_max))
    frames = []
    for index, (ended, search) in enumerate(found[:most]):
        frame = search.top
        if frame is None:
            raise AssertionError("a search that has a grade has the frame of it")
        frames.append(
            CandidateStructure(
                structure=AtomicStructure.from_ase(frame.atoms),
                origin="kmc",
                detail=f"{detail}, search {search.task}, force call {frame.step}"
                + (", ended there" if ended else ""),
                gamma=frame.gamma,
                group=group,
                arm="kmc",
                required=ended and index == 0,
            )
        )
    return frames


def kmc_paths(
    run: EonRun, states: Sequence[KmcState], events: Iterable[KmcEvent], most: int
) -> list[MinimumEnergyPath]:
    """Relax the paths of the likeliest events, one of each barrier.

    Parameters
    ----------
    run
        The run.
    states
        Its states.
    events
        Its events.
    most
        Number of paths.

    Returns
    -------
    list[MinimumEnergyPath]
        Lowest barrier first.
    """
    minima: dict[str, Atoms] = {state.id: state.structure.to_ase() for state in states}
    chosen: list[KmcEvent] = []
    for event in sorted(events, key=lambda event: event.barrier):
        if all(abs(event.barrier - other.barrier) > ALIKE for other in chosen):
            chosen.append(event)
    paths = []
    for event in chosen[:most]:
        knots = [minima[event.state], event.saddle.to_ase(), event.product.to_ase()]
        path = minimum_energy_path(without_drift(knots), AceCalculator(run.potential))
        pairs = zip(path.distances.tolist(), path.energies.tolist(), strict=True)
        points = [PathPoint(distance=d, energy=e) for d, e in pairs]
        paths.append(MinimumEnergyPath(event=event.id, points=points, largest_force=path.largest_force))
    return paths


def outcomes(fates: Counter[str]) -> dict[str, int]:
    """Name how searches ended, most frequent first."""
    return dict(fates.most_common())


def neighbour_cutoff(atoms: Atoms) -> float:
    """Place the distance within which atoms are neighbours between the first two shells.

    Parameters
    ----------
    atoms
        The structure, a defect perhaps included.

    Returns
    -------
    float
        1.2 times the median of the atoms' nearest distances in Å.
    """
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    return float(1.2 * np.median(distances.min(axis=1)))
