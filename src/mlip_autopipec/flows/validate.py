"""Validation as one flow: label once what all validators need, judge, sum up."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jobflow import Flow, Job, Maker, job

from mlip_autopipec.flows.validation_plan import asked_cells, checked_kinds, equilibrium
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.generation.oriented import conventional
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    CheckCost,
    CheckKind,
    DefectDoc,
    ElasticDoc,
    EosDoc,
    HeldOutDoc,
    LabelBatchDoc,
    PhononDoc,
    PropertyPlanDoc,
    SelectionDoc,
    SkippedCheck,
    StabilityDoc,
    ValidationDoc,
)
from mlip_autopipec.validation import (
    ElasticMaker,
    EosMaker,
    HeldOutMaker,
    PhononMaker,
    PropertyMaker,
    StabilityMaker,
    StackingFaultMaker,
    SurfaceMaker,
    VacancyMaker,
    eos_structures,
    worst,
)

Property = ElasticDoc | PhononDoc | DefectDoc


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
    elastic_maker, phonon_maker, vacancy_maker, stacking_fault_maker, surface_maker
        Judge properties of the first crystal, at the oracle's equilibrium volume.
    perturbation_maker
        Makes the strained and rattled half of the held-out structures.
    checks
        Properties that are judged, beside held-out errors, equation of state and stability.
    max_cost
        Atoms of all labels together that the oracle may be asked for to judge properties. The checks are
        taken in their order; what does not fit is judged by the potential alone.
    n_phases
        Number of crystals, the first ones, whose equations of state are judged [1].
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
    elastic_maker: ElasticMaker = field(default_factory=ElasticMaker)
    phonon_maker: PhononMaker = field(default_factory=PhononMaker)
    vacancy_maker: VacancyMaker = field(default_factory=VacancyMaker)
    stacking_fault_maker: StackingFaultMaker = field(default_factory=StackingFaultMaker)
    surface_maker: SurfaceMaker = field(default_factory=SurfaceMaker)
    perturbation_maker: SeedStructuresMaker = field(default_factory=SeedStructuresMaker)
    checks: tuple[CheckKind, ...] = ("elastic", "phonon", "vacancy", "stacking_fault")
    max_cost: int = 1000
    n_phases: int = 3
    n_held_out: int = 8
    seed: int = 90_001

    def __post_init__(self) -> None:
        checked_kinds(self.checks, [maker.kind for maker in self._all_properties])

    @property
    def n_walked(self) -> int:
        """Number of held-out structures that are taken from the ends of walks, if there are as many."""
        return (self.n_held_out + 1) // 2

    @property
    def _all_properties(self) -> tuple[PropertyMaker, ...]:
        return (
            *(self.elastic_maker, self.phonon_maker, self.vacancy_maker),
            *(self.stacking_fault_maker, self.surface_maker),
        )

    @property
    def property_makers(self) -> list[PropertyMaker]:
        """Makers of the properties that are judged and can be on this machine, in the order of `checks`."""
        known = {maker.kind: maker for maker in self._all_properties}
        return [known[kind] for kind in self.checks if known[kind].missing() is None]

    @property
    def not_installed(self) -> list[SkippedCheck]:
        """Properties that should be judged and cannot be on this machine, each with the reason."""
        found = [(m.kind, m.missing()) for m in self._all_properties if m.kind in self.checks]
        return [SkippedCheck(kind=kind, reason=reason) for kind, reason in found if reason is not None]

    def phases(self, structures: Sequence[AtomicStructure]) -> list[AtomicStructure]:
        """Choose the crystals whose equations of state are judged: the first, and others that are periodic.

        Parameters
        ----------
        structures
            All crystals.

        Returns
        -------
        list[AtomicStructure]
            At most `n_phases` of them.
        """
        first, *others = structures
        return [first, *(s for s in others if all(s.pbc))][: max(self.n_phases, 1)]

    def most_labels(self, structures: Sequence[AtomicStructure]) -> int:
        """Say how many labels a validation takes at the most.

        Parameters
        ----------
        structures
            The crystals.

        Returns
        -------
        int
            Held-out structures, volumes and the cells of those properties that `max_cost` allows.
        """
        nothing = LabelBatchDoc(labels=[], failed=[], n_labels=0, wall_time=0.0)
        crystal = AtomicStructure.from_ase(conventional(structures[0].to_ase()))
        chosen, _ = asked_cells(self.property_makers, crystal, nothing, self.max_cost)
        return self.n_held_out + len(self.phases(structures)) * self.eos_maker.n_volumes + len(chosen)

    def make(
        self, potential: Any, structures: Any, finals: list[Any], earlier: list[Any] | None = None
    ) -> Flow:
        """Make the flow.

        Parameters
        ----------
        potential
            Reference to a :class:`PotentialDoc`.
        structures
            Crystals, or the reference to a list of them. The first `n_phases` are compressed and expanded;
            the first is run in MD, and it is the one whose properties are judged.
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
        made = [needed, labels, held_out, eos, stability]
        properties: list[Job] = []
        batches, costs = [labels], None
        if self.property_makers:
            planned: Any = self.plan_properties(structures, labels.output)
            # Labels that fail leave their check without the oracle; they are no reason to give up.
            lenient = replace(self.label_maker, lenient=True)
            asked: Any = lenient.make(planned.output.selection)
            crystal, batch = planned.output.crystal, asked.output
            properties = [maker.make(potential, crystal, batch) for maker in self.property_makers]
            made += [planned, asked, *properties]
            batches.append(asked)
            costs = planned.output.costs
        summary = summarise(
            [held_out.output, eos.output, stability.output],
            [work.output for work in properties],
            [batch.output for batch in batches],
            [batch.uuid for batch in batches],
            costs,
            self.not_installed,
        )
        for member in (*made, summary):
            member.update_metadata({"stage": "validate"}, dynamic=member in batches)
        return Flow([*made, summary], output=summary.output, name=self.name)

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
        ends = [
            (s.detail, s.structure, "md") if isinstance(s, CandidateStructure) else ("end of a walk", s, "md")
            for s in walked
        ]
        made = [(pool[i].detail, pool[i].structure, pool[i].origin) for i in spread]
        held_out = [
            CandidateStructure(structure=s, origin="held_out", detail=detail, arm=origin)
            for detail, s, origin in [*ends, *made]
        ]
        eos_maker, phases = self.eos_maker, self.phases(structures)
        eos = eos_structures(phases, eos_maker.n_volumes, eos_maker.max_strain)
        return SelectionDoc.of([*held_out, *eos])

    @job(output_schema=PropertyPlanDoc, data=["selection"])
    def plan_properties(self, structures: list[AtomicStructure], batch: LabelBatchDoc) -> PropertyPlanDoc:
        """List what the oracle is asked for the properties, and what that costs.

        Parameters
        ----------
        structures
            Crystals; the first counts.
        batch
            Labels of its equation of state, which gives the volume and the time of a label.

        Returns
        -------
        PropertyPlanDoc
            The crystal and the structures.
        """
        crystal = equilibrium(structures[0], batch)
        chosen, costs = asked_cells(self.property_makers, crystal, batch, self.max_cost)
        return PropertyPlanDoc(crystal=crystal, selection=SelectionDoc.of(chosen), costs=costs)


@job(output_schema=ValidationDoc, data=["held_out", "eos", "stability", "phonon"])
def summarise(
    always: list[HeldOutDoc | EosDoc | StabilityDoc],
    properties: list[Property],
    batches: list[LabelBatchDoc],
    batch_ids: list[str],
    costs: list[CheckCost] | None,
    skipped: list[SkippedCheck],
) -> ValidationDoc:
    """Sum all checks up.

    Parameters
    ----------
    always
        Held-out errors, equation of state and stability, in this order.
    properties
        What was found of the crystal's properties.
    batches
        The labels that were needed.
    batch_ids
        Ids of the jobs that gathered them.
    costs
        What each property was to cost.
    skipped
        Checks that could not run.

    Returns
    -------
    ValidationDoc
        All checks; the verdict is the worst of them.
    """
    held_out, eos, stability = always
    checks = [check for doc in (held_out, eos, stability, *properties) for check in doc.checks]
    empty = [
        SkippedCheck(kind=doc.kind, reason=f"{doc.formula} has none that is known")
        for doc in properties
        if isinstance(doc, DefectDoc) and not doc.energies
    ]
    return ValidationDoc(
        verdict=worst(checks),
        checks=checks,
        held_out=held_out,
        eos=eos,
        stability=stability,
        elastic=_first(properties, ElasticDoc),
        phonon=_first(properties, PhononDoc),
        defects=[doc for doc in properties if isinstance(doc, DefectDoc) and doc.energies],
        skipped=[*skipped, *empty],
        costs=costs or [],
        batches=batch_ids,
        n_labels=sum(batch.n_labels for batch in batches),
        wall_time=sum(batch.wall_time for batch in batches),
    )


def _first(properties: Sequence[Property], kind: type[Any]) -> Any:
    return next((doc for doc in properties if isinstance(doc, kind)), None)
