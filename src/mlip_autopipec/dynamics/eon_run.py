"""A run of eOn in a folder: single passes of its server, and searches of our own between them."""

import re
import shlex
import shutil
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics.eon_conditions import KmcConditions
from mlip_autopipec.dynamics.eon_forces import ForceServer, ForceWatch
from mlip_autopipec.dynamics.eon_input import CLIENT, write_client, write_con, write_config, write_mode
from mlip_autopipec.dynamics.eon_output import read_con, read_results, replace_reason
from mlip_autopipec.dynamics.saddles import count_negative_modes, most_displaced
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.process import Executable, tail
from mlip_autopipec.schemas import AtomicStructure, RejectedEvent

GOOD = 0.0
_NO_SADDLE, _BAD_PREFACTOR, _BAD_ENERGY = 16, 7, 3  # eOn's codes
_PREFACTORS = (1.0e9, 1.0e16)  # 1/s; beyond is no vibration of an atom
_WALL = 1.0e6  # eV; what some potentials give for an error
_ALIKE = 1.0e-3  # eV; saddles of one energy have one number of modes
_SCRATCH = Path("jobs") / "scratch"
_SLOWEST_CALL = 2.0  # s, of a force call; with it a pass of the server ends at some time whatever happens
_LOCKED = "Server is locked"


@dataclass
class EonRun:
    """A folder in which eOn works.

    Parameters
    ----------
    folder
        The folder.
    python
        eOn's Python.
    conditions
        The conditions of the run.
    potential
        The potential.
    watch
        Grades all force calls.
    server
        Where clients get forces.
    neighbour_cutoff
        Distance in Å within which atoms are neighbours.
    seed
        Seed of eOn's random numbers.
    rejected
        What was refused as an event.
    n_crashed
        Searches that left no result.
    complaint
        What the last of them said.
    confidence
        That of the current state, as the server last said.
    modes
        Negative modes of saddles by their energy in eV.
    """

    folder: Path
    python: Executable
    conditions: KmcConditions
    potential: AcePotential
    watch: ForceWatch
    server: ForceServer
    neighbour_cutoff: float
    seed: int
    rejected: list[RejectedEvent] = field(default_factory=list)
    n_crashed: int = 0
    complaint: str = ""
    confidence: float = 0.0
    modes: dict[float, int] = field(default_factory=dict)

    def prepare(self, *, may_step: bool = True) -> None:
        """Write what eOn reads, for the socket of this process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = self.conditions.options(self.neighbour_cutoff, self.seed, may_step=may_step)
        write_config(self.folder, options)
        script = Path(str(resources.files("mlip_autopipec.dynamics") / "eon_client.py"))
        write_client(self.folder, self.python.command, script, self.server.address)

    def relax(self, structure: AtomicStructure) -> AtomicStructure | None:
        """Relax a structure by eOn, watched like a search.

        Parameters
        ----------
        structure
            Where it starts.

        Returns
        -------
        AtomicStructure or None
            The minimum; none if the watchdog ended the way there, or it does not converge.

        Raises
        ------
        CalculationError
            The client crashed.
        """
        job = self._job("relax", structure)
        options = self.conditions.options(self.neighbour_cutoff, self.seed)
        write_config(job, {**options, "Main": {**options["Main"], "job": "minimization"}})
        found = self._run_client(job)
        if found["termination_reason"] != GOOD:
            return None
        return AtomicStructure.from_ase(read_con(job / "min.con"))

    def search_again(
        self, name: str, state: AtomicStructure, saddle: AtomicStructure, mode: np.ndarray
    ) -> tuple[Path, dict[str, float | str]]:
        """Search for a known saddle with this potential, from the saddle itself.

        Parameters
        ----------
        name
            Name of the search.
        state
            The minimum it belongs to.
        saddle
            The saddle.
        mode
            Direction over it, shape ``(n_atoms, 3)``.

        Returns
        -------
        folder
            Where eOn's client left it.
        results
            Its results.
        """
        job = self._job(name, state)
        options = self.conditions.options(self.neighbour_cutoff, self.seed)
        write_config(job, {**options, "Main": {**options["Main"], "job": "process_search"}})
        write_con(job / "displacement.con", saddle)
        write_mode(job / "direction.dat", mode)
        found = self._run_client(job)
        self._screen(job)
        return job, read_results(job / "results.dat") if found else found

    def hand_in(self, jobs: list[Path]) -> None:
        """Give finished searches of state 0 to the server of a fresh run, as if it had asked for them.

        Parameters
        ----------
        jobs
            Their folders.
        """
        scratch = self.folder / _SCRATCH
        scratch.mkdir(parents=True, exist_ok=True)
        rows = []
        for number, job in enumerate(jobs):
            shutil.copytree(job, scratch / f"0_{number}")
            rows.append(f"0     {number:<4d} known")
        (scratch / "wuid").write_text(f"{len(jobs)}\n")
        (self.folder / "jobs.tbl").write_text("\n".join(["state wuid type", "----- ---- -----", *rows, ""]))

    def one_pass(self, timeout: float) -> int:
        """Let the server register what is finished, perhaps take a step, and run a batch of searches.

        Parameters
        ----------
        timeout
            Wall time in s after which it is killed.

        Returns
        -------
        int
            Searches that left a result.

        Raises
        ------
        CalculationError
            The server itself failed, or the forces did.
        """
        program = Executable(f"{self.python.command} -I -m eon.server")
        try:
            run = program.run(directory=self.folder, timeout=timeout)
        except CalculationError as error:
            self.complaint = str(error.args[0])  # its wall time ran out; what finished is found in the next
            return 0
        if self.server.error is not None:
            raise self.server.error
        if run.returncode != 0 or _LOCKED in run.stdout + run.stderr:
            raise CalculationError(
                f"eOn's server failed with exit status {run.returncode}.",
                directory=self.folder,
                log_tail=tail(run.stderr or run.stdout),
            )
        said = re.findall(r"with confidence (\d\.\d+)", run.stdout + run.stderr)
        if said:
            self.confidence = float(said[-1])
        return self._look()

    def longest_pass(self) -> float:
        """Return the wall time in s in which a pass must be over."""
        return 60.0 + self.conditions.batch * self.conditions.max_calls * _SLOWEST_CALL

    def negative_modes(self, state: Path, number: int | None = None) -> int:
        """Count the negative modes of a saddle; those of one energy are counted once.

        Parameters
        ----------
        state
            Folder with ``saddle.con`` and ``reactant.con``.
        number
            Number that their names bear, in eOn's folder of a state.

        Returns
        -------
        int
            Their number.
        """
        suffix = "" if number is None else f"_{number}"
        saddle = read_con(state / f"saddle{suffix}.con")
        energy = float(self.potential.evaluate(saddle, gamma=False).energies.sum())
        for known, modes in self.modes.items():
            if abs(known - energy) < _ALIKE:
                return modes
        centre = most_displaced(read_con(state / f"reactant{suffix}.con"), saddle)
        self.modes[energy] = count_negative_modes(self._forces, saddle, centre)
        return self.modes[energy]

    def _forces(self, atoms: Atoms) -> np.ndarray:
        return self.potential.evaluate(atoms, gamma=False).forces

    def _look(self) -> int:
        """Look at the searches of a pass before the server registers them in the next."""
        finished = 0
        for job in sorted((self.folder / _SCRATCH).glob("*_*")):
            if (job / "results.dat").exists():
                finished += 1
                self._screen(job)
            else:
                self.n_crashed += 1
                said = job / "stderr.dat"
                self.complaint = tail(said.read_text(), 4) if said.exists() else "it said nothing"
        return finished

    def _screen(self, job: Path) -> None:
        """Refuse what is no event: a wrong number of negative modes, numbers that no rate can have."""
        results = job / "results.dat"
        found = read_results(results)
        if found.get("termination_reason") != GOOD:
            return
        wrong = _unphysical(found)
        modes = None
        if wrong is None:
            modes = self.negative_modes(job)
            if modes != 1:
                wrong = _NO_SADDLE, f"{modes} negative modes at the saddle"
        if wrong is not None:
            replace_reason(results, *wrong)
            self.rejected.append(
                RejectedEvent(
                    state=job.name.split("_")[0],
                    reason=wrong[1],
                    barrier=float(found["barrier_reactant_to_product"]),
                    n_negative_modes=modes,
                )
            )

    def _job(self, name: str, state: AtomicStructure) -> Path:
        job = self.folder / "own" / name
        shutil.rmtree(job, ignore_errors=True)
        job.mkdir(parents=True)
        write_con(job / "pos.con", state)
        return job

    def _run_client(self, job: Path) -> dict[str, float | str]:
        client = Executable(shlex.quote(str(self.folder / CLIENT)))
        run = client.run(directory=job, timeout=60.0 + self.conditions.max_force_calls * _SLOWEST_CALL)
        if self.server.error is not None:
            raise self.server.error
        if not (job / "results.dat").exists():
            raise CalculationError(
                f"eOn's client failed with exit status {run.returncode}.",
                directory=job,
                log_tail=tail(run.stderr or run.stdout),
            )
        return read_results(job / "results.dat")


def _unphysical(found: dict[str, float | str]) -> tuple[int, str] | None:
    energies = [float(found[f"potential_energy_{x}"]) for x in ("reactant", "saddle", "product")]
    if not np.isfinite(energies).all() or max(map(abs, energies)) >= _WALL:
        return _BAD_ENERGY, f"an energy of {max(energies, key=abs):g} eV"
    for way in ("reactant_to_product", "product_to_reactant"):
        prefactor = float(found[f"prefactor_{way}"])
        if not _PREFACTORS[0] <= prefactor <= _PREFACTORS[1]:
            return _BAD_PREFACTOR, f"a prefactor of {prefactor:g} 1/s"
    return None
