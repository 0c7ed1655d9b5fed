"""The part of a kinetic Monte Carlo trajectory that one potential walks: how it begins, and is kept.

Energies of two potentials cannot stand in one table. So a new potential gets an eOn folder of its own, which
begins in the last state of the one before; events that were known are searched again from their saddles, and
those that are still there are handed to eOn's server.
"""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from mlip_autopipec.dynamics.eon_input import write_con
from mlip_autopipec.dynamics.eon_output import read_con
from mlip_autopipec.dynamics.eon_run import GOOD, EonRun
from mlip_autopipec.schemas import (
    AtomicStructure,
    FileData,
    KmcDoc,
    KmcEvent,
    PotentialDoc,
    RecheckedEvent,
)
from mlip_autopipec.schemas.files import pack_file, unpack_file, write_atomic

_SEGMENT = "segment.json"
_ARCHIVE = "eon.tar.gz"
_LEFT_BEHIND = ("own", "client", "akmc.log", "pr.log", "potential")
_SAME_SADDLE = 0.1  # Å, eOn's own
_SAME_BARRIER = 1.0e-3  # eV


@dataclass(frozen=True)
class Known:
    """A saddle of an earlier potential that is one of this potential, too."""

    found_in: int
    positions: list[list[float]]


@dataclass(frozen=True)
class Segment:
    """What a run must know of the runs before it.

    Parameters
    ----------
    generation
        Number of the potential.
    time
        Simulated time before it in s.
    rechecked
        Events that were searched again.
    known
        Saddles among them that are still there.
    """

    generation: int = 0
    time: float = 0.0
    rechecked: tuple[RecheckedEvent, ...] = ()
    known: tuple[Known, ...] = ()

    def found_in(self, saddle: Atoms) -> int:
        """Say with which potential a saddle was found first.

        Parameters
        ----------
        saddle
            The saddle.

        Returns
        -------
        int
            Number of the potential.
        """
        for known in self.known:
            moved, lengths = find_mic(saddle.positions - known.positions, saddle.cell, pbc=True)
            if len(moved) and lengths.max() < _SAME_SADDLE:
                return known.found_in
        return self.generation

    def write(self, folder: Path) -> None:
        """Keep it in the folder of the run: a run that has it has begun."""
        content = {
            "generation": self.generation,
            "time": self.time,
            "rechecked": [event.model_dump() for event in self.rechecked],
            "known": [{"found_in": k.found_in, "positions": k.positions} for k in self.known],
        }
        write_atomic(folder / _SEGMENT, json.dumps(content))

    @classmethod
    def read(cls, folder: Path) -> "Segment | None":
        """Read it; none if the run has not begun."""
        path = folder / _SEGMENT
        if not path.exists():
            return None
        content = json.loads(path.read_text())
        return cls(
            generation=content["generation"],
            time=content["time"],
            rechecked=tuple(RecheckedEvent(**event) for event in content["rechecked"]),
            known=tuple(Known(**known) for known in content["known"]),
        )


def potential_hash(potential: PotentialDoc) -> str:
    """Tell potentials apart.

    Parameters
    ----------
    potential
        The potential.

    Returns
    -------
    str
        Hash of its files, 16 hexadecimal digits.
    """
    hashes = sorted(file.sha256 for file in potential.files if file.name.endswith((".yaml", ".asi")))
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


def begin(
    run: EonRun, structure: AtomicStructure, previous: KmcDoc | None, potential: str, max_recheck: int
) -> Segment | None:
    """Take up a run where it was cut off or ended, or begin a new one.

    Parameters
    ----------
    run
        Its folder, perhaps not there yet.
    structure
        Where the trajectory starts.
    previous
        The run before, if there was one.
    potential
        Hash of the potential.
    max_recheck
        Events of earlier potentials that are searched again, at most.

    Returns
    -------
    Segment or None
        What is known from before; none if the way to the first minimum was too uncertain.
    """
    again = previous is not None and previous.potential == potential
    if Segment.read(run.folder) is None and again and previous is not None and previous.restart is not None:
        run.folder.mkdir(parents=True, exist_ok=True)
        unpack_folder(previous.restart, run.folder)
    run.prepare()
    if (kept := Segment.read(run.folder)) is not None:
        return kept
    generation = 0 if previous is None else previous.generation + (0 if again else 1)
    minimum = run.relax(structure if previous is None else previous.final)
    if minimum is None:
        return None
    write_con(run.folder / "pos.con", minimum)
    segment = Segment(generation, previous.time if previous else 0.0)
    if previous is not None:
        segment = _rechecked(run, segment, previous, max_recheck)
    segment.write(run.folder)
    return segment


def to_recheck(previous: KmcDoc, most: int) -> list[KmcEvent]:
    """Choose events to be searched again: all of the last state first, one of each barrier elsewhere.

    Parameters
    ----------
    previous
        The run before.
    most
        Number of events at most.

    Returns
    -------
    list[KmcEvent]
        Likeliest first, those of the last state before all others.
    """
    last = previous.steps[-1].product_state if previous.steps else None
    events = sorted(previous.of_generation(), key=lambda event: event.barrier)
    if last is None and events:
        last = f"{previous.generation}.0"
    here = [event for event in events if event.state == last]
    seen = [event.barrier for event in here]
    chosen = list(here)
    for event in events:
        if event.state != last and all(abs(event.barrier - b) > _SAME_BARRIER for b in seen):
            chosen.append(event)
            seen.append(event.barrier)
    return chosen[:most]


def _rechecked(run: EonRun, segment: Segment, previous: KmcDoc, most: int) -> Segment:
    states = {state.id: state.structure for state in previous.states}
    last = previous.steps[-1].product_state if previous.steps else f"{previous.generation}.0"
    checked: list[RecheckedEvent] = []
    known: list[Known] = []
    jobs: list[Path] = []
    for number, event in enumerate(to_recheck(previous, most)):
        job, found = run.search_again(
            f"again-{number}", states[event.state], event.saddle, np.array(event.mode)
        )
        good = found.get("termination_reason") == GOOD
        checked.append(
            RecheckedEvent(
                event=event.id,
                found_in=event.found_in,
                barrier_before=event.barrier,
                barrier_after=float(found["barrier_reactant_to_product"]) if good else None,
                outcome=str(found.get("termination_reason_text", "")).replace("_", " "),
            )
        )
        if good and event.state == last:
            jobs.append(job)
            known.append(Known(event.found_in, read_con(job / "saddle.con").positions.tolist()))
    run.hand_in(jobs)
    return Segment(segment.generation, segment.time, tuple(checked), tuple(known))


def pack_folder(folder: Path, directory: Path) -> FileData:
    """Pack eOn's folder, without what only this machine or this attempt needs.

    Parameters
    ----------
    folder
        The run.
    directory
        Where the archive is written.

    Returns
    -------
    FileData
        The archive.
    """
    path = directory / _ARCHIVE
    with tarfile.open(path, "w:gz") as archive:
        for item in sorted(folder.iterdir()):
            if not item.name.startswith(_LEFT_BEHIND):
                archive.add(item, arcname=item.name)
    return pack_file(path)


def unpack_folder(file: FileData, folder: Path) -> None:
    """Unpack eOn's folder.

    Parameters
    ----------
    file
        The archive.
    folder
        Where.
    """
    path = unpack_file(file, folder)
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        archive.extractall(folder, filter="data")
    path.unlink()
