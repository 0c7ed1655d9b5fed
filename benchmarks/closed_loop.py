"""Labels until nothing uncertain is met: frames of most information against frames at random.

Usage: python benchmarks/active_learning.py [--elements Cu Si] [--seeds 3] [--steps 20000]

MD at three temperatures by the potential that is being learned, until all three walk ``--steps`` fs without a
halt (gamma > 10). Both arms walk and halt alike. The active one labels the halted frames and, of the other
extrapolative ones, those of most information; the random one labels as many frames of the same walks, drawn
at random; its first labels are drawn at random too. The oracles are cheap and exact: EMT for copper, Tersoff
for silicon. The test set is MD by the oracle itself at the same temperatures.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from policy import tersoff

from mlip_autopipec.ace import load_potential
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.flows.progress import LoopLimits, moved, new_round
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, ErrorStatistics, ParityPoint
from mlip_autopipec.selection import DOptimalSelectionMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

MATERIALS = {  # crystal, oracle, cut-off in Å, temperatures in K, force RMSE to reach in eV/Å
    "Cu": (bulk("Cu", cubic=True).repeat((2, 2, 1)), EMT, 5.6, (320.0, 630.0, 950.0), 0.005),
    "Si": (bulk("Si", cubic=True), tersoff, 5.2, (390.0, 790.0, 1180.0), 0.1),
}
INITIAL, BATCH, MOST = 12, 4, 120
LIMITS = LoopLimits(max_stuck=20)


def test_frames(element: str):
    """MD by the oracle, ten frames at each temperature."""
    crystal, oracle, _, temperatures, _ = MATERIALS[element]
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

    def __init__(self, element: str, method: str, seed: int, n_steps: int, directory: Path) -> None:
        self.crystal, oracle, cutoff, self.temperatures, _ = MATERIALS[element]
        self.oracle, self.active, self.seed, self.n_steps = oracle(), method == "active", seed, n_steps
        self.rng, self.directory = np.random.default_rng(seed), directory
        self.fit_maker = LinearAceFitMaker(cutoff=cutoff, n_functions=100)
        self.selection = DOptimalSelectionMaker(cutoff=cutoff, n_functions=100)
        # Drawing at random needs all frames, whatever their grade.
        keep = {} if self.active else {"gamma_select": 0.0, "max_frames": 10_000}
        self.md = LammpsMDMaker(stop_rule=StopRule(), **keep)
        seeds = SeedStructuresMaker(n_atoms=len(self.crystal), seed=seed)
        pool = seeds.make.original(seeds, [AtomicStructure.from_ase(self.crystal)]).candidates
        self.batches = [label_batch(self.first(pool), self.oracle, prefix="first")]
        self.runs, self.curve = {}, []

    def first(self, pool: list[CandidateStructure]) -> list[CandidateStructure]:
        """Choose what is labelled before anything walks."""
        best = self.selection.select(pool, INITIAL, [], None).candidates
        required = [c for c in pool if c.required]
        if self.active or len(best) == len(required):
            return best
        others = [c for c in pool if not c.required]
        drawn = self.rng.choice(len(others), len(best) - len(required), replace=False)
        return [*required, *(others[i] for i in drawn)]

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
            run = self.md.explore(self.potential, walker, start, previous, self.directory)
            name = f"{walker.round}-{walker.index}-{walker.n_halts}"
            self.runs[name] = run
            after.append(moved(walker, run, name, LIMITS))
            frames += run.frames if run.halted else []
            halted |= run.halted
        return after, frames, halted

    def buy(self, frames: list[CandidateStructure]) -> None:
        """Label some of the frames."""
        if self.active:
            frames = self.selection.select(frames, BATCH, self.batches, self.potential).candidates
        else:
            frames = [frames[i] for i in self.rng.permutation(len(frames))[:BATCH]]
        self.batches.append(label_batch(frames, self.oracle, prefix=f"batch-{len(self.batches)}"))

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


def work(task: tuple[str, str, int, int]) -> tuple[bool, list[tuple[int, float, float, float]]]:
    """Run one task in a folder of its own."""
    element, method, seed, n_steps = task
    with TemporaryDirectory() as folder:
        run = Run(element, method, seed, n_steps, Path(folder))
        return run.campaign(test_frames(element)), run.curve


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--elements", nargs="+", default=list(MATERIALS), choices=list(MATERIALS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_000, help="fs of each walk")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    tasks = list(product(given.elements, ("active", "random"), range(given.seeds), [given.steps]))
    print(
        "element arm     seed  labels: force RMSE reached  no halt   test: meV/atom  eV/Å RMSE  eV/Å largest"
    )
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for (element, method, seed, _), (quiet, curve) in zip(tasks, pool.map(work, tasks), strict=True):
            goal = MATERIALS[element][4]
            reached = next((str(n) for n, _, force, _ in curve if force <= goal), "-")
            n_labels, energy, force, largest = curve[-1]
            end = f"{n_labels}" if quiet else f"> {n_labels}"
            print(
                f"{element:7} {method:7} {seed:4}  {reached:>5} ({goal:g} eV/Å)            {end:>7}   "
                f"{energy:14.3f}  {force:9.4f}  {largest:12.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
