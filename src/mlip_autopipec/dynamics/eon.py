"""Adaptive kinetic Monte Carlo by eOn, every force call of its saddle searches watched."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from jobflow import Maker, job

from mlip_autopipec.ace import load_potential
from mlip_autopipec.dynamics import eon_document as write
from mlip_autopipec.dynamics.eon_conditions import KmcConditions
from mlip_autopipec.dynamics.eon_confirm import Asked, frames_to_confirm, lowest, unconfirmed
from mlip_autopipec.dynamics.eon_forces import ForceServer, ForceWatch
from mlip_autopipec.dynamics.eon_input import in_blocks
from mlip_autopipec.dynamics.eon_output import (
    current_state,
    read_con,
    read_fates,
    read_states,
    read_steps,
    simulated_time,
)
from mlip_autopipec.dynamics.eon_programs import eon_executable
from mlip_autopipec.dynamics.eon_run import EonRun
from mlip_autopipec.dynamics.eon_segment import Segment, begin, pack_folder, potential_hash
from mlip_autopipec.dynamics.eon_setup import try_eon
from mlip_autopipec.dynamics.replay import replayed
from mlip_autopipec.dynamics.watchdog import StopRule
from mlip_autopipec.errors import ConfigError, StructureError
from mlip_autopipec.schemas import (
    AtomicStructure,
    KmcDoc,
    KmcEnd,
    KmcEvent,
    LabelBatchDoc,
    PotentialDoc,
)
from mlip_autopipec.schemas.files import RESUME_FOLDER


@dataclass(frozen=True)
class _End:
    reason: KmcEnd
    detail: str
    to_confirm: tuple[KmcEvent, ...] = ()


@dataclass
class EonKmcMaker(KmcConditions, Maker):
    """Run adaptive kinetic Monte Carlo from a state with a defect until its steps are done or a limit is met.

    eOn's server and clients run in a Python of their own; the forces come from this process. A search whose
    configuration meets one of the watchdog's limits is ended, and what it met is handed back; the others go
    on, but no step is taken from a state with such a search.

    Parameters
    ----------
    name
        Name of the job.
    stop_rule
        The watchdog's limits.
    python
        Command of a Python that has eOn; by default that of the machine setting or of `mlip-auto setup eon`.
    gamma_select
        Grade above which the most uncertain frame of a search that went on is kept, MaxVol scale.
    max_frames
        Number of candidate frames kept.
    max_recheck
        Events of the potential before that are searched again with a new one, at most.
    n_paths
        Minimum-energy paths that are computed, for the likeliest events.
    seed
        Seed of eOn's random numbers.
    """

    name: str = "explore by eon kmc"
    stop_rule: StopRule = field(default_factory=StopRule)
    python: str | None = None
    gamma_select: float = 3.0
    max_frames: int = 8
    max_recheck: int = 24
    n_paths: int = 1
    seed: int = 0

    @job(output_schema=KmcDoc, data=["states", "events", "frames", "final", "restart"])
    def make(
        self,
        potential: PotentialDoc,
        structure: AtomicStructure,
        previous: KmcDoc | None = None,
        labels: list[LabelBatchDoc] | None = None,
    ) -> KmcDoc:
        """Run with one potential.

        Parameters
        ----------
        potential
            The potential.
        structure
            Where the trajectory starts: a periodic cell with a defect or a surface.
        previous
            The run whose last state this one continues from, with the same potential or a newer one.
        labels
            All labels, those of the frames of the run before among them.

        Returns
        -------
        KmcDoc
            The run.
        """
        return self.explore(potential, structure, previous, Path.cwd(), labels or ())

    def check_engine(self) -> None:
        """Find eOn, without running it.

        Raises
        ------
        MissingProgramError
            It is not there.
        """
        eon_executable(self.python)

    def try_engine(self, directory: Path) -> str:
        """Have eOn import itself.

        Parameters
        ----------
        directory
            Where it may work.

        Returns
        -------
        str
            Its versions.
        """
        return try_eon(eon_executable(self.python), directory)

    def explore(
        self,
        potential: PotentialDoc,
        structure: AtomicStructure,
        previous: KmcDoc | None,
        directory: Path,
        labels: Sequence[LabelBatchDoc] = (),
    ) -> KmcDoc:
        """Run in a folder; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        potential
            The potential.
        structure
            Where the trajectory starts.
        previous
            Where to continue from; none to start afresh.
        directory
            Where to work; eOn's folder in it is taken up again if it was cut off there.
        labels
            All labels, those of the frames of the run before among them.

        Returns
        -------
        KmcDoc
            The run.
        """
        started = perf_counter()
        self._check(potential, structure)
        python = eon_executable(self.python)
        engine = try_eon(python, directory)
        ace = load_potential(potential, directory)
        watch = ForceWatch(ace, potential.core.r_in, self.stop_rule, self.max_calls)
        atoms = in_blocks(structure.to_ase())
        with ForceServer(watch) as server:
            run = EonRun(
                folder=directory / RESUME_FOLDER / "eon",
                python=python,
                conditions=self,
                potential=ace,
                watch=watch,
                server=server,
                neighbour_cutoff=write.neighbour_cutoff(atoms),
                seed=self.seed,
            )
            code = potential_hash(potential)
            segment = begin(run, AtomicStructure.from_ase(atoms), previous, code, self.max_recheck)
            asked = Asked.of(previous, labels, segment.rechecked if segment else ())
            end = self._passes(run, segment, started, asked) if segment else _no_minimum(watch)
        found = self._document(run, segment, previous, end, structure)
        return found.model_copy(
            update={
                "engine": engine,
                "potential": code,
                "confirmed": asked.barriers,
                "replayed": replayed(ace, previous.frames) if previous else [],
                "wall_time": perf_counter() - started,
            }
        )

    def _check(self, potential: PotentialDoc, structure: AtomicStructure) -> None:
        unknown = sorted(set(structure.symbols) - set(potential.elements))
        if unknown:
            known = ", ".join(potential.elements)
            raise StructureError(f"element {', '.join(unknown)} is not in the potential; known: {known}.")
        if not all(structure.pbc):
            raise ConfigError(
                f"kinetic Monte Carlo by eOn needs a structure periodic in three dimensions, "
                f"got {structure.pbc}.",
                hint="give a slab a vacuum and make it periodic.",
            )

    def _passes(self, run: EonRun, segment: Segment, started: float, asked: Asked) -> _End:
        """Let eOn's server work pass by pass until a limit is met."""
        idle, allowed = 0, True
        while (end := self._ending(run, segment, perf_counter() - started, idle, asked)) is None:
            known = self.n_confirm == 0 or run.confidence >= self.confidence
            may_step = known and not _n_halted(run.watch)
            if may_step != allowed:
                run.prepare(may_step=may_step)
                allowed = may_step
            steps = len(read_steps(run.folder))
            finished = run.one_pass(run.longest_pass())
            stepped = len(read_steps(run.folder)) > steps
            if stepped:
                run.confidence = 0.0  # that was of the state it left
            idle = 0 if finished or stepped else idle + 1
        return end

    def _to_confirm(self, run: EonRun, segment: Segment, asked: Asked) -> list[KmcEvent]:
        """Choose what the oracle has to be asked before a step out of the current state."""
        if self.n_confirm == 0:
            return []
        here = write.kmc_events(run, segment, current_state(run.folder))
        chosen = lowest(here, self.n_confirm)
        return unconfirmed(chosen, asked, self.barrier_tolerance, self.max_confirm)

    def _ending(self, run: EonRun, segment: Segment, elapsed: float, idle: int, asked: Asked) -> _End | None:
        """Say why the run ends here; none if it goes on."""
        steps, halted = read_steps(run.folder), _n_halted(run.watch)
        time = segment.time + simulated_time(run.folder)
        if idle >= self.max_idle:
            return _End("failed", f"{idle} batches of searches in a row left no result: {run.complaint}")
        if halted >= (1 if self.dynamical else self.max_halts):
            return _End("uncertain", f"the watchdog ended {halted} searches")
        if halted and run.confidence >= self.confidence:
            return _End(
                "uncertain", f"all events of the state are known but those of {halted} searches it ended"
            )
        if len(steps) >= self.n_steps:
            return _End("steps", f"{len(steps)} steps")
        if self.max_time is not None and time >= self.max_time:
            return _End("simulated_time", f"{time:.3g} s were simulated")
        n_states = len(read_states(run.folder)) if steps else 1
        if n_states >= self.max_states:
            return _End("states", f"{n_states} states")
        if elapsed >= self.max_wall_time:
            reason: KmcEnd = "uncertain" if halted else "wall_time"
            return _End(reason, f"after {elapsed:.0f} s, with {halted} searches ended by the watchdog")
        if run.confidence >= self.confidence and (events := self._to_confirm(run, segment, asked)):
            barriers = ", ".join(f"{event.barrier:.3f}" for event in events)
            return _End("unconfirmed", f"the oracle is asked for barriers of {barriers} eV", tuple(events))
        return None

    def _document(
        self,
        run: EonRun,
        segment: Segment | None,
        previous: KmcDoc | None,
        end: _End,
        structure: AtomicStructure,
    ) -> KmcDoc:
        watch = run.watch
        begun = segment is not None
        segment = segment or Segment((previous.generation + 1) if previous else 0)
        states = write.kmc_states(run, segment) if begun else []
        events = write.kmc_events(run, segment) if begun else []
        steps = write.kmc_steps(run, segment, events) if begun else []
        older = previous if previous is not None else None
        final = previous.final if previous else structure
        if begun:
            last = run.folder / "states" / str(current_state(run.folder)) / "reactant.con"
            final = AtomicStructure.from_ase(read_con(last if last.exists() else run.folder / "pos.con"))
        searches = list(watch.searches.values())
        mine = segment.generation
        group = f"kmc-{structure.digest}"
        return KmcDoc(
            engine="",
            potential="",
            generation=mine,
            temperature=self.temperature,
            confidence=self.confidence,
            end_reason=end.reason,
            end_detail=end.detail,
            time=segment.time + (simulated_time(run.folder) if begun else 0.0),
            method=self.method,
            n_steps=len(steps),
            states=[s for s in (older.states if older else []) if s.generation != mine] + states,
            events=[e for e in (older.events if older else []) if e.generation != mine] + events,
            steps=[s for s in (older.steps if older else []) if s.state.split(".")[0] != str(mine)] + steps,
            rejected=run.rejected,
            rechecked=list(segment.rechecked),
            paths=write.kmc_paths(run, states, events, self.n_paths),
            outcomes=write.outcomes(read_fates(run.folder)),
            n_halted=_n_halted(watch),
            n_stuck=sum(search.stuck for search in searches),
            n_crashed=run.n_crashed,
            n_force_calls=watch.n_calls,
            gamma_limit=self.stop_rule.gamma,
            gamma_max=max((search.gamma_max for search in searches), default=0.0),
            to_confirm=[event.id for event in end.to_confirm],
            frames=frames_to_confirm(end.to_confirm, states, self.barrier_tolerance, group)
            or write.kmc_frames(
                searches,
                min(self.gamma_select, self.stop_rule.gamma),
                self.max_frames,
                group=group,
                detail=f"kMC at {self.temperature:g} K",
            ),
            final=final,
            restart=pack_folder(run.folder, run.folder.parent) if begun else None,
            evaluation_time=1.0e3 * watch.evaluating / max(watch.n_calls, 1),
            wall_time=0.0,
        )


def _n_halted(watch: ForceWatch) -> int:
    return sum(search.end is not None for search in watch.searches.values())


def _no_minimum(watch: ForceWatch) -> _End:
    search = watch.searches["relax"]
    if search.end is None:
        return _End("failed", f"the first minimum is not reached in {search.n_calls} force calls")
    return _End("uncertain", f"on the way to the first minimum: {search.end[0]} {search.end[1]:.3g}")
