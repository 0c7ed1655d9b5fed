"""The documents of the two LAMMPS back ends side by side: same potential, same start, same seeds.

Usage: python benchmarks/lammps_backends.py

The program's side is what `lmp` 4Feb2025 with ML-PACE and its native ZBL and atom/swap printed for 256 atoms
of AlCuNi (tests/data/lammps/out.06b); the whole Maker reads it, from a script in the place of `lmp`. The
library's side is run now: LAMMPS in-process, ACE, grades and ZBL by Python. No `lmp` is needed.
"""

import json
import re
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import PairBaseline
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.schemas import (
    AtomicStructure,
    BaselineDoc,
    CoreRepulsion,
    ExplorationDoc,
    PotentialDoc,
    ThermoTable,
    Walker,
)
from mlip_autopipec.schemas.files import pack_file

TESTS = Path(__file__).parents[1] / "tests"
INPUT = TESTS / "data" / "lammps" / "in.06b_swap_alcuni"
OUTPUT = TESTS / "data" / "lammps" / "out.06b"
REPLAY = TESTS / "dynamics" / "replayed_lmp.py"
ELEMENTS = ["Al", "Cu", "Ni"]
PAIRS = ["Al-Al", "Al-Cu", "Al-Ni", "Cu-Cu", "Cu-Ni", "Ni-Ni"]
CUTOFF = 5.5
# 29494 and 29495 are the seeds of the recorded moves: those of a walker are its own plus 1, 2, ...
WALKER = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=60, seed=29493)
MAKER = LammpsMDMaker(
    gamma_every=10,
    gamma_select=100.0,
    swap_every=10,
    swap_attempts=5,
    swap_pairs=("Al-Cu", "Cu-Ni"),
    swap_temperature=600.0,
    swap_rescale=False,
    stop_rule=StopRule(gamma=50.0, smallest_distance=0.0),
)


def potential() -> PotentialDoc:
    """The recorded potential, as much of a document as a walk needs."""
    ranges = {"inner": dict.fromkeys(PAIRS, 1.0), "outer": dict.fromkeys(PAIRS, 2.0)}
    PairBaseline("zbl", **ranges)
    return PotentialDoc.model_construct(
        elements=ELEMENTS,
        files=[
            pack_file(TESTS / "data" / "pace" / f"p4.{suffix}").model_copy(
                update={"name": f"potential.{suffix}"}
            )
            for suffix in ("yaml", "asi")
        ],
        cutoff=CUTOFF,
        core=CoreRepulsion(r_in=dict.fromkeys(PAIRS, 1.0), delta_in={}, scan_from=0.4),
        baseline=BaselineDoc(kind="zbl", **ranges, lammps=[]),
    )


def start(folder: Path) -> ExplorationDoc:
    """Let LAMMPS make the recorded start from the recorded commands, and keep it as a restart file."""

    def nothing(_: int, atoms: Atoms) -> ForceResult:
        return ForceResult(0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3)), (0.0,))

    wanted = re.compile(r"units|atom_style|boundary|lattice|region|create_|mass|set |velocity")
    commands = [line for line in INPUT.read_text().splitlines() if wanted.match(line)]
    restart = folder / "restart.lammps"
    with LammpsLibrary(folder, ELEMENTS, nothing, 1) as engine:
        engine.commands(*commands)
        engine.attach(CUTOFF)
        # The recorded run sorted its atoms as it began, and moves pick atoms by their order.
        engine.commands("fix integrate all nve", "run 0", "unfix integrate", "unfix ext")
        atoms = engine.structure()
        engine.commands(f"write_restart {restart}")
    final = AtomicStructure.from_ase(atoms)
    return ExplorationDoc(
        walker=WALKER,
        engine="",
        timestep=1.0,
        start_step=0,
        end_step=0,
        end_reason="gamma",
        gamma_limit=1.0,
        gamma_start=0.0,
        gamma_max=0.0,
        thermo=ThermoTable(step=[], temperature=[], potential_energy=[], pressure=[], gamma=[]),
        frames=[],
        final=final,
        restart=pack_file(restart),
        wall_time=0.0,
    )


def walk(maker: LammpsMDMaker, previous: ExplorationDoc, folder: Path) -> ExplorationDoc:
    folder.mkdir()
    return maker.explore(potential(), WALKER, previous.final, previous, folder)


def documents(folder: Path) -> tuple[ExplorationDoc, ExplorationDoc, ExplorationDoc]:
    """The program's (recorded), the library's, and the library's with a limit that gamma meets."""
    previous = start(folder)
    case = folder / "case.json"
    case.write_text(json.dumps({"stdout": str(OUTPUT), "restart": "was not recorded"}))
    command = shlex.join([sys.executable, str(REPLAY), str(case)])
    program = walk(replace(MAKER, backend="program", command=command), previous, folder / "program")
    library = walk(replace(MAKER, backend="library"), previous, folder / "library")
    strict = replace(MAKER, backend="library", stop_rule=replace(MAKER.stop_rule, gamma=1.57))
    return program, library, walk(strict, previous, folder / "halted")


def halt_in(program: ExplorationDoc, limit: float) -> tuple[int, float]:
    """Where the recorded trace of gamma meets a limit."""
    rows = zip(program.thermo.step[1:], program.thermo.gamma[1:], strict=True)
    return next((step, gamma) for step, gamma in rows if gamma > limit)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program, library, halted = documents(Path(folder))
    print(f"program: {program.engine} (recorded)\nlibrary: {library.engine} (now)\n")
    columns = {
        "temperature": ("T [K]", "temperature", 1.0, ".5f"),
        "energy": ("E_pot [eV]", "potential_energy", 256.0, ".6f"),
        "pressure": ("p [GPa]", "pressure", 1.0, ".7f"),
        "volume": ("V [Å^3]", "volume", 256.0, ".4f"),
        "gamma": ("gamma", "gamma", 1.0, ".7f"),
    }
    print(f"{'step':>4}" + "".join(f"{title:>12} program{'library':>13}" for title, *_ in columns.values()))
    for row, step in enumerate(program.thermo.step):
        cells = ""
        for _, name, factor, form in columns.values():
            one, other = (getattr(doc.thermo, name)[row] * factor for doc in (program, library))
            cells += f"{one:>20{form}}{other:>13{form}}"
        print(f"{step:>4}{cells}")
    print("\nlargest difference over the recorded digits (half a unit of the last is what rounding leaves)")
    for title, name, factor, _ in columns.values():
        one, other = (np.array(getattr(doc.thermo, name)) * factor for doc in (program, library))
        print(
            f"  {title:12s} {np.abs(one - other).max():.1e}  ({np.abs(one / other - 1).max():.1e} relative)"
        )
    for name in ("start_step", "end_step", "end_reason", "end_value", "gamma_start", "gamma_max"):
        print(f"  {name:14s} {getattr(program, name)!s:>20} {getattr(library, name)!s:>20}")
    for name in ("n_swaps_tried", "n_swaps"):
        print(f"  {name:14s} {getattr(program, name):>20} {getattr(library, name):>20}")
    step, gamma = halt_in(program, 1.57)
    print(
        "\nhalt at gamma 1.57: where the recorded trace meets it, and where the library's `fix halt` stopped"
    )
    print(f"  step  {step:>20} {halted.end_step:>20}")
    print(f"  value {gamma:>20.7f} {halted.end_value:>20.7f}")


if __name__ == "__main__":
    main()
