"""Validation as one flow: label once what all validators need, judge, sum up."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jobflow import Flow, Maker, job

from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    EosDoc,
    HeldOutDoc,
    LabelBatchDoc,
    SelectionDoc,
    StabilityDoc,
    ValidationDoc,
)
from mlip_autopipec.validation import EosMaker, HeldOutMaker, StabilityMaker, eos_structures, worst


@dataclass
class ValidationMaker(Maker):
    """Judge a potential against its oracle on structures that it was never trained on.

    Parameters
    ----------
    name
        Name of the flow.
    label_maker
        Labels what the validators need.
    held_out_maker
        Judges held-out errors.
    eos_maker
        Judges the equation of state.
    stability_maker
        Judges MD and dimers.
    perturbation_maker
        Makes the strained and rattled half of the held-out structures.
    n_held_out
        Number of held-out structures: half from the ends of walks, half strained and rattled crystals.
    seed
        Seed of the held-out structures; other than that of the training structures.
    """

    name: str = "validation"
    label_maker: LabelBatchMaker = field(default_factory=LabelBatchMaker)
    held_out_maker: HeldOutMaker = field(default_factory=HeldOutMaker)
    eos_maker: EosMaker = field(default_factory=EosMaker)
    stability_maker: StabilityMaker = field(default_factory=StabilityMaker)
    perturbation_maker: SeedStructuresMaker = field(default_factory=SeedStructuresMaker)
    n_held_out: int = 8
    seed: int = 90_001

    @property
    def n_walked(self) -> int:
        """Number of held-out structures that are taken from the ends of walks, if there are as many."""
        return (self.n_held_out + 1) // 2

    def make(
        self, potential: Any, structures: Any, finals: list[Any], earlier: list[Any] | None = None
    ) -> Flow:
        """Make the flow.

        Parameters
        ----------
        potential
            Reference to a :class:`PotentialDoc`.
        structures
            Crystals, or the reference to a list of them; the first is compressed, expanded and run in MD.
        finals
            Ends of walks, latest last.
        earlier
            References to the potentials of earlier generations, for the learning curve.

        Returns
        -------
        Flow
            Its output is a :class:`ValidationDoc`.
        """
        needed = self.plan(structures, finals)
        labels = self.label_maker.make(needed.output)
        held_out = self.held_out_maker.make(potential, labels.output, earlier)
        eos = self.eos_maker.make(potential, labels.output)
        stability = self.stability_maker.make(potential, structures[0])
        summary = summarise(held_out.output, eos.output, stability.output, labels.output)
        for member in (needed, held_out, eos, stability, summary):
            member.update_metadata({"stage": "validate"})
        labels.update_metadata({"stage": "validate"}, dynamic=True)
        return Flow(
            [needed, labels, held_out, eos, stability, summary], output=summary.output, name=self.name
        )

    @job(output_schema=SelectionDoc, data=["candidates"])
    def plan(
        self, structures: list[AtomicStructure], finals: list[AtomicStructure | CandidateStructure]
    ) -> SelectionDoc:
        """List what has to be labelled for the validation.

        Parameters
        ----------
        structures
            Crystals.
        finals
            Ends of walks, or small cells that stand for them, latest last.

        Returns
        -------
        SelectionDoc
            Held-out and strained structures.
        """
        walked = finals[::-1][: self.n_walked]
        pool = [
            candidate
            for structure in structures
            for candidate in self.perturbation_maker.perturbed(
                structure.to_ase(), np.random.default_rng(self.seed)
            )
        ]
        spread = np.linspace(0, len(pool) - 1, self.n_held_out - len(walked)).round().astype(int)
        held_out = [
            (s.detail, s.structure) if isinstance(s, CandidateStructure) else ("end of a walk", s)
            for s in [*walked, *(pool[i] for i in spread)]
        ]
        eos = eos_structures(structures[0], self.eos_maker.n_volumes, self.eos_maker.max_strain)
        chosen = [CandidateStructure(structure=s, origin="held_out", detail=d) for d, s in held_out] + eos
        return SelectionDoc(
            candidates=chosen,
            n_considered=len(chosen),
            n_duplicates=0,
            gain=[0.0] * len(chosen),
            n_functions=0,
        )


@job(output_schema=ValidationDoc, data=["held_out", "eos", "stability"])
def summarise(
    held_out: HeldOutDoc, eos: EosDoc, stability: StabilityDoc, labels: LabelBatchDoc
) -> ValidationDoc:
    """Sum all checks up.

    Parameters
    ----------
    held_out, eos, stability
        What the validators found.
    labels
        The labels they needed.

    Returns
    -------
    ValidationDoc
        All checks; the verdict is the worst of them.
    """
    checks = [*held_out.checks, *eos.checks, *stability.checks]
    return ValidationDoc(
        verdict=worst(checks),
        checks=checks,
        held_out=held_out,
        eos=eos,
        stability=stability,
        n_labels=labels.n_labels,
        wall_time=labels.wall_time,
    )
