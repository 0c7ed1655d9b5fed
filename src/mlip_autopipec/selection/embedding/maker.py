"""The job that makes the frames of large walks small enough for the oracle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms
from jobflow import Maker, job

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    EmbeddedCell,
    EmbeddingDoc,
    LabelWeights,
    PotentialDoc,
)
from mlip_autopipec.selection.embedding.embed import embed
from mlip_autopipec.selection.embedding.judge import (
    Embedding,
    EmbeddingRule,
    core_weights,
    gamma_excess,
    judged,
)


@dataclass
class EmbeddingMaker(Maker):
    """Put the surroundings of the most uncertain atom of each large frame into a small periodic cell.

    Parameters
    ----------
    name
        Name of the job.
    rule
        How small cells are made, and which of them are good enough.
    embed_above
        Number of atoms up to which a frame is labelled whole.
    largest_whole
        Number of atoms above which no frame is labelled whole, even if no small cell is good enough: then the
        one whose gamma is too large by least takes its place, forces only.
    """

    name: str = "embed"
    rule: EmbeddingRule = field(default_factory=EmbeddingRule)
    embed_above: int = 100
    largest_whole: int = 1000

    def __post_init__(self) -> None:
        if self.largest_whole < self.embed_above:
            raise ConfigError(
                f"'largest_whole' must not be below 'embed_above' ({self.embed_above} atoms), "
                f"got {self.largest_whole} atoms."
            )
        if self.embed_above < 1:
            raise ConfigError(f"'embed_above' must be at least 1, got {self.embed_above} atoms.")

    @job(output_schema=EmbeddingDoc, data=["candidates"])
    def make(
        self,
        potential: PotentialDoc,
        frames: list[list[CandidateStructure | AtomicStructure]],
        starts: list[int],
        crystals: list[AtomicStructure],
    ) -> EmbeddingDoc:
        """Make the frames of some walks small.

        Parameters
        ----------
        potential
            The potential that walked.
        frames
            Frames of each walk; bare structures are ends of walks, to be held out.
        starts
            Index of the crystal where each walk began.
        crystals
            The crystals, before they were repeated.

        Returns
        -------
        EmbeddingDoc
            Small cells, and what became of the others.
        """
        walks = [
            (_candidate(frame), crystals[start])
            for walk, start in zip(frames, starts, strict=True)
            for frame in walk
        ]
        return self.embed(potential, walks, Path.cwd())

    def embed(
        self,
        potential: PotentialDoc,
        frames: Sequence[tuple[CandidateStructure, AtomicStructure]],
        directory: Path,
    ) -> EmbeddingDoc:
        """Embed; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        potential
            The potential that walked.
        frames
            Frames, each with the crystal where its walk began, before it was repeated.
        directory
            Where the potential's files are written.

        Returns
        -------
        EmbeddingDoc
            Small cells, and what became of the others.
        """
        begin = perf_counter()
        ace = load_potential(potential, directory)
        large = [frame for frame in frames if frame[0].structure.n_atoms > self.embed_above]
        found = [self.small_cell(frame, crystal, potential, ace) for frame, crystal in large]
        refused = [
            (frame, tried) for (frame, _), (small, tried) in zip(large, found, strict=True) if small is None
        ]
        small = [frame for frame, _ in frames if frame.structure.n_atoms <= self.embed_above]
        embedded = [candidate for candidate, _ in found if candidate is not None]
        whole = [frame for frame, _ in refused if frame.required and not frame.audit]
        met = [frame for frame, _ in refused if frame.origin != "held_out" and not frame.audit]
        if not (small or embedded or whole) and met:
            whole = [max(met, key=lambda frame: frame.gamma or 0.0)]
        # A selection by information alone would prefer the other large ones, whatever they cost.
        return EmbeddingDoc(
            candidates=[*small, *embedded, *whole],
            cells=[cell for _, tried in found for cell in tried],
            n_small=len(small),
            n_embedded=len(embedded),
            forced=[
                f"{_why(frame, tried)}; {frame.structure.n_atoms} atoms are too many for a label"
                for (frame, _), (candidate, tried) in zip(large, found, strict=True)
                if candidate is not None and not any(cell.accepted for cell in tried)
            ],
            whole=[_why(frame, tried) for frame, tried in refused if frame in whole],
            dropped=[_why(frame, tried) for frame, tried in refused if frame not in whole],
            wall_time=perf_counter() - begin,
        )

    def small_cell(
        self,
        frame: CandidateStructure,
        crystal: AtomicStructure,
        potential: PotentialDoc,
        ace: AcePotential,
    ) -> tuple[CandidateStructure | None, list[EmbeddedCell]]:
        """Make one frame small.

        Parameters
        ----------
        frame
            The frame.
        crystal
            Where its walk began, before it was repeated.
        potential
            The potential that walked.
        ace
            The same, loaded.

        Returns
        -------
        candidate
            The small cell; none if no cell was good enough.
        cells
            What was tried.
        """
        atoms = frame.structure.to_ase()
        r_in = potential.core.r_in
        whole = judged(atoms, ace, r_in)
        tried = embed(whole, _start(crystal, len(atoms)), ace, r_in, self.rule)
        records = [self._record(found, frame, int(whole.gamma.argmax())) for found in tried]
        taken = self._taken(tried, len(atoms))
        if taken is None:
            return None, records
        found, record = tried[taken], records[taken]
        forces = core_weights(found.distance, float(ace.basis.cutoffmax))
        candidate = frame.model_copy(
            update={
                "structure": AtomicStructure.from_ase(found.atoms),
                "detail": f"{frame.detail}, {record.n_atoms} of {record.n_host} atoms ({record.kind})",
                "weights": LabelWeights(forces=forces.tolist(), energy=record.energy_counts),
            }
        )
        return candidate, records

    def _taken(self, tried: Sequence[Embedding], n_host: int) -> int | None:
        """Which cell takes the place of the whole one; none if that can be labelled and all are refused."""
        if tried and tried[-1].accepted:
            return len(tried) - 1
        if n_host <= self.largest_whole:
            return None
        excess = {k: gamma_excess(cell, n_host, self.rule) for k, cell in enumerate(tried)}
        least = min(excess, key=lambda k: excess[k], default=None)
        return least if least is not None and np.isfinite(excess[least]) else None

    def _record(self, found: Embedding, frame: CandidateStructure, atom: int) -> EmbeddedCell:
        sane = found.accepted and found.kind == "crystal" and found.gamma_buffer <= self.rule.buffer_gamma
        return EmbeddedCell(
            kind=found.kind,
            detail=frame.detail,
            atom=atom,
            n_atoms=len(found.atoms),
            n_core=found.n_core,
            n_host=frame.structure.n_atoms,
            separation=found.separation,
            descriptor_difference=found.descriptor_difference,
            gamma=found.gamma,
            gamma_host=found.gamma_host,
            gamma_core=found.gamma_core,
            gamma_core_host=found.gamma_core_host,
            gamma_buffer=found.gamma_buffer,
            gamma_buffer_host=found.gamma_buffer_host,
            smallest_distance=found.smallest_distance,
            smallest_distance_host=found.smallest_distance_host,
            energy_counts=sane,
            refusal=found.refusal,
        )


def _candidate(frame: CandidateStructure | AtomicStructure) -> CandidateStructure:
    if isinstance(frame, CandidateStructure):
        return frame
    return CandidateStructure(structure=frame, origin="held_out", detail="end of a walk")


def _start(crystal: AtomicStructure, n_atoms: int) -> Atoms | None:
    """Repeat a crystal as walks do; none if the walk cannot have begun so."""
    start = crystal.repeated(n_atoms)
    return start.to_ase() if start.n_atoms == n_atoms else None


def _why(frame: CandidateStructure, tried: Sequence[EmbeddedCell]) -> str:
    reasons = [f"{cell.kind} of {cell.n_atoms} atoms: {cell.refusal}" for cell in tried]
    return f"{frame.detail}: {'; '.join(reasons) or 'no cell is small enough'}"
