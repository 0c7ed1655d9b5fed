"""The closed loop: label → fit → explore → decide, until nothing uncertain is met."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference, Response, job

from mlip_autopipec.dynamics import EonKmcMaker, ExplorationMaker, LammpsMDMaker
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.conclusion import conclude, remedies, repaired
from mlip_autopipec.flows.kmc import kept_open, kmc_candidates, kmc_jobs
from mlip_autopipec.flows.loop_jobs import (
    calibration,
    embedding,
    explorers,
    labelling,
    slow_fit,
    tagged,
    walk,
    walked,
)
from mlip_autopipec.flows.policy import ExplorationPolicy, learned
from mlip_autopipec.flows.progress import LoopLimits, Outcome, advanced, audits, new_round
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.generation import DefectCellMaker, PerturbationMaker, SeedStructuresMaker
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import (
    ArmErrorsDoc,
    AtomicStructure,
    ErrorStatistics,
    ExplorationDoc,
    FailedLabel,
    PerturbationDoc,
    ValidationDoc,
    WorkflowState,
)
from mlip_autopipec.selection import (
    ArmErrorMaker,
    DOptimalSelectionMaker,
    EmbeddingMaker,
    GammaCalibrationMaker,
    SelectionMaker,
)
from mlip_autopipec.training import FitMaker, LinearAceFitMaker

# Arguments of `decide` that only a policy brings, and the stage of the job they come from.
_REPORTS = {"found": "search", "paid": "measure"}


@dataclass
class ActiveLearningMaker(Maker):
    """Learn a potential from nothing but crystals, an oracle, and what the walks find uncertain.

    Parameters
    ----------
    name
        Name of the flow.
    seed_maker
        Makes the structures of the first fit.
    selection_maker
        Chooses what is labelled.
    label_maker
        Labels what was chosen.
    fit_maker
        Fits, in seconds.
    final_fit_maker
        Fits once more at the end, and at milestones: slow and better; none to deliver the loop's own. The
        walks go on with the fast potential, which starts the slow one.
    exploration_maker
        Walks.
    embedding_maker
        Cuts small periodic cells for the oracle out of frames that are too large for it.
    calibration_maker
        Learns what gamma means in eV/Å from the labels of each generation.
    validation_maker
        Judges the potential in the end.
    perturbation_maker
        Looks for uncertain structures beside the walks, where the policy grants labels to them.
    arm_error_maker
        Measures how wrong the potential was about what each explorer found.
    kmc_maker
        Runs kinetic Monte Carlo beside the walks until it meets nothing uncertain; none to do without.
    kmc_cell_maker
        Makes the cell with a defect where that begins.
    policy
        Divides the labels between the walks and other explorers.
    limits
        When the loop ends.
    temperatures
        Temperatures of the walkers in K.
    n_steps
        Steps of each walk.
    n_initial
        Labels of the first fit, beyond which only required structures go.
    batch_size
        Labels of a later generation, likewise.
    audit_share
        Share of the labels that go to frames judged certain, to count those that were not.
    calibrated
        Whether a halt by gamma is lifted where all forces are estimated to be good enough, once enough labels
        have shown what the estimate is worth; else, and until then, every such halt is labelled.
    milestone_every
        Generations between two slow fits; 0 for the one at the end alone.
    seed
        Seed of all random choices of the loop.
    """

    name: str = "active learning"
    seed_maker: SeedStructuresMaker = field(default_factory=SeedStructuresMaker)
    selection_maker: SelectionMaker = field(default_factory=DOptimalSelectionMaker)
    label_maker: LabelBatchMaker = field(default_factory=LabelBatchMaker)
    fit_maker: FitMaker = field(default_factory=LinearAceFitMaker)
    final_fit_maker: FitMaker | None = None
    exploration_maker: ExplorationMaker = field(default_factory=LammpsMDMaker)
    embedding_maker: EmbeddingMaker = field(default_factory=EmbeddingMaker)
    calibration_maker: GammaCalibrationMaker = field(default_factory=GammaCalibrationMaker)
    validation_maker: ValidationMaker = field(default_factory=ValidationMaker)
    perturbation_maker: PerturbationMaker = field(default_factory=PerturbationMaker)
    arm_error_maker: ArmErrorMaker = field(default_factory=ArmErrorMaker)
    kmc_maker: EonKmcMaker | None = None
    kmc_cell_maker: DefectCellMaker = field(default_factory=DefectCellMaker)
    policy: ExplorationPolicy = field(default_factory=ExplorationPolicy)
    limits: LoopLimits = field(default_factory=LoopLimits)
    temperatures: tuple[float, ...] = (300.0, 600.0, 900.0)
    n_steps: int = 5000
    n_initial: int = 16
    batch_size: int = 4
    audit_share: float = 0.05
    calibrated: bool = True
    milestone_every: int = 0
    seed: int = 0

    def make(self, structures: list[AtomicStructure]) -> Flow:
        """Make the flow of a whole campaign.

        Parameters
        ----------
        structures
            Crystals to start from.

        Returns
        -------
        Flow
            Its output is a ``CampaignDoc``.
        """
        if not structures:
            raise ConfigError("active learning needs at least one structure to start from, got none.")
        seeds = self.seed_maker.make(structures)
        chosen = self.selection_maker.make(seeds.output.candidates, self.n_initial)
        labels = self.label_maker.make(chosen.output)
        fit = self.fit_maker.make([labels.output])
        state = WorkflowState(seeds=seeds.uuid, batches=[labels.uuid], potentials=[fit.uuid])
        begin = self.begin(state, seeds.output.reference, fit.output.training_errors)
        tagged(seeds, "seed", 0)
        tagged(chosen, "select", 0)
        tagged(labels, "label", 0, dynamic=True)
        tagged(fit, "fit", 0)
        tagged(begin, "decide", 0)
        return Flow([seeds, chosen, labels, fit, begin], output=begin.output, name=self.name)

    @job
    def begin(
        self, state: WorkflowState, structures: list[AtomicStructure], errors: ErrorStatistics
    ) -> Response[Flow]:
        """Send the first walkers out.

        Parameters
        ----------
        state
            The state with the first batch and the first potential.
        structures
            Where walkers start.
        errors
            Training errors of the first potential, which the walkers walk with.

        Returns
        -------
        Response
            The first exploration and the job that decides what comes next.
        """
        walkers = new_round(len(structures), self.temperatures, self.n_steps, 0, self.seed)
        state = state.model_copy(update={"walkers": walkers, "n_starts": len(structures)})
        return Response(replace=self._exploration(state, errors, OutputReference(state.batches[-1])))

    @job
    def decide(
        self,
        state: WorkflowState,
        errors: ErrorStatistics,
        runs: list[ExplorationDoc],
        run_ids: list[str],
        n_labels: int = 0,
        failed: list[FailedLabel] | None = None,
        found: PerturbationDoc | None = None,
        paid: ArmErrorsDoc | None = None,
    ) -> Response[Flow]:
        """Look at the walks of a generation and make the next, or end the loop.

        Parameters
        ----------
        state
            The state before.
        errors
            Training errors of the potential that walked.
        runs
            The walks.
        run_ids
            Their job ids.
        n_labels
            Labels bought in this generation.
        failed
            Labels that failed in it.
        found
            What was found beside the walks.
        paid
            True errors of what was labelled in it, by explorer.

        Returns
        -------
        Response
            The next generation, or validation and the final document.
        """
        tolerated = self.label_maker.max_failed_fraction
        outcome = Outcome(runs, run_ids, errors, n_labels, len(failed or []), failed is not None, tolerated)
        state = kept_open(advanced(state, outcome, self.limits), present=self.kmc_maker is not None)
        sizes = [run.final.n_atoms for run in runs] + [state.kmc_atoms]
        embed = max(sizes) > self.embedding_maker.embed_above
        if self.policy.active:
            state = state.model_copy(update={"arms": learned(state.arms, paid, state.generation)})
        if state.stop_reason is not None:
            return Response(replace=self._conclusion(state, embed=embed))
        state = state.model_copy(update={"generation": state.generation + 1})
        if all(walker.finished for walker in state.walkers):
            number = state.round + 1
            walkers = new_round(state.n_starts, self.temperatures, self.n_steps, number, self.seed)
            state = state.model_copy(update={"round": number, "walkers": walkers})
        # What could not be labelled is not asked for again: its walkers go elsewhere first.
        met = [] if outcome.stranded else list(zip(runs, run_ids, strict=True))
        uncertain = [uuid for run, uuid in met if run.halted and run.frames]
        beside = state.search if found and found.candidates else None
        rare = kmc_candidates(state)
        if not uncertain and beside is None and not rare:
            return Response(replace=self._exploration(state, errors))
        audited = audits(state, outcome, self.audit_share, self.seed)
        state = state.model_copy(update={"n_audited": state.n_audited + len(audited)})
        frames, starts = walked(uncertain, audited)
        starts += [0] * len(rare)  # its cell is made of the first crystal
        return Response(replace=self._generation(state, frames + rare, starts, beside, embed=embed))

    def _generation(
        self,
        state: WorkflowState,
        candidates: list[Any],
        starts: list[Any],
        beside: str | None = None,
        *,
        embed: bool = False,
    ) -> Flow:
        """Select, label and refit; then walk on. Frames that are too large are embedded before."""
        made: list[Job] = []
        if embed and candidates:
            small = embedding(self, state, starts, candidates)
            candidates = [small.output.candidates]
            made.append(small)
        if beside is not None:
            candidates.append(OutputReference(beside).candidates)
        batches = [OutputReference(uuid) for uuid in state.batches]
        # A place that halts again right away gets more labels, then less heat (`moved`), and is given up.
        stuck = sum(walker.n_stuck > 0 and not walker.finished for walker in state.walkers)
        budget = min(self.batch_size + stuck, self.limits.max_labels - state.n_labels)
        chosen = self.selection_maker.make(candidates, budget, batches, OutputReference(state.potential))
        labels = labelling(self, state, chosen.output)
        learned_gamma = calibration(self, state, labels.output)
        fit = self.fit_maker.make([*batches, labels.output])
        tagged(chosen, "select", state.generation)
        tagged(labels, "label", state.generation, dynamic=True)
        tagged(fit, "fit", state.generation)
        state = state.model_copy(
            update={
                "batches": [*state.batches, labels.uuid],
                "potentials": [*state.potentials, fit.uuid],
                "calibration": learned_gamma.uuid,
            }
        )
        made += [chosen, labels, learned_gamma, fit]
        if self.policy.active:
            met, *older = [OutputReference(uuid) for uuid in state.potentials[-2:-4:-1]]
            paid = self.arm_error_maker.make(met, labels.output, *older)
            tagged(paid, "measure", state.generation)
            made.append(paid)
        if self.milestone_every and state.generation % self.milestone_every == 0:
            milestone = slow_fit(self, state)
            if milestone is not None:
                state = state.model_copy(update={"milestones": [*state.milestones, milestone.uuid]})
                made.append(milestone)
        return self._exploration(state, fit.output.training_errors, labels.output, made)

    def _exploration(
        self,
        state: WorkflowState,
        errors: ErrorStatistics | OutputReference,
        batch: OutputReference | None = None,
        before: Sequence[Job] = (),
    ) -> Flow:
        """Walk with the current potential, then decide."""
        state, walkers, beside = explorers(self, state)
        noted, jobs = kmc_jobs(self.kmc_maker, self.kmc_cell_maker, state, self.embedding_maker.embed_above)
        runs = [walk(self, state, walker) for walker in walkers]
        known = {} if batch is None else {"n_labels": batch.n_labels, "failed": batch.failed}
        reports = {work.metadata["stage"]: work.output for work in (*beside, *before)}
        known |= {name: reports[stage] for name, stage in _REPORTS.items() if stage in reports}
        decision = self.decide(
            noted, errors, [run.output for run in runs], [run.uuid for run in runs], **known
        )
        tagged(decision, "decide", state.generation)
        name = f"generation {state.generation}"
        return Flow([*before, *runs, *beside, *jobs, decision], output=decision.output, name=name)

    def _conclusion(self, state: WorkflowState, *, embed: bool = False) -> Flow:
        """Validate and write the last document."""
        finals: Any = [OutputReference(uuid).final for uuid in state.completed]
        before: list[Job] = []
        if embed and finals:
            last = slice(-self.validation_maker.n_walked, None)
            starts = [OutputReference(uuid).walker.start for uuid in state.completed[last]]
            small = embedding(self, state, starts, [[final] for final in finals[last]])
            finals = small.output.candidates
            before.append(small)
        crystals = OutputReference(state.seeds).reference
        earlier = [OutputReference(uuid) for uuid in [*state.potentials, *state.milestones]]
        slow = slow_fit(self, state)
        if slow is not None:
            state = state.model_copy(update={"final": slow.uuid})
        potential = OutputReference(state.delivered)
        earlier = [reference for reference in earlier if reference.uuid != state.delivered]
        validation = self.validation_maker.make(potential, crystals, finals, earlier)
        end = self.judge(state, validation.output, validation.output.uuid)
        tagged(end, "decide", state.generation)
        before += [] if slow is None else [slow]
        return Flow([*before, validation, end], output=end.output, name="conclusion")

    @job
    def judge(self, state: WorkflowState, validation: ValidationDoc, validation_id: str) -> Response[Flow]:
        """End the campaign, or learn what a failed check is about and go on.

        Parameters
        ----------
        state
            The state at the end of the loop.
        validation
            The judgement of the potential.
        validation_id
            Id of the job that made it.

        Returns
        -------
        Response
            The last document, or one more generation.
        """
        slots = remedies(validation.checks, state, self.limits)
        if not slots:
            end = conclude(state, validation, validation_id)
            tagged(end, "conclude", state.generation)
            return Response(replace=Flow([end], output=end.output))
        walks = (self.temperatures, self.n_steps, self.seed)
        state = repaired(state, slots, validation.checks, self.limits, walks)
        # All that is made counts, however certain the potential is of it.
        search = replace(self.perturbation_maker, gamma_select=0.0).make(
            OutputReference(state.potential),
            OutputReference(state.seeds).reference,
            slots,
            self.seed + state.generation,
        )
        tagged(search, "repair", state.generation)
        going_on = self._generation(state, [], [], search.uuid)
        return Response(replace=Flow([search, going_on], output=going_on.output))
