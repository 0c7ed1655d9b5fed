"""Barriers by kinetic Monte Carlo with a potential that is learned meanwhile, against the oracle's own.

Usage: python benchmarks/kmc_barriers.py [--case cu-vacancy al-adatom] [--functions 80] [--confidence 0.8]
       [--steps 1] [--tolerance 0.01] [--confirm 3] [--folder DIR]

A potential is fitted to strained and rattled crystals alone. eOn then looks for events of the defect with
it; what is too uncertain is labelled (EMT), the potential is refitted, and the run goes on from its last
state, until no search is ended by the watchdog any more and the oracle agrees on the lowest barriers.
For each kind of event the oracle's barrier is that of its own climbing-image NEB between ends that the
oracle relaxed.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from mlip_autopipec.ace import AceCalculator, load_potential
from mlip_autopipec.dynamics import EonKmcMaker
from mlip_autopipec.dynamics.saddles import minimum_energy_path, without_drift
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.selection import DOptimalSelectionMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

N_INITIAL, BATCH, CUTOFF = 16, 4, 5.2
GENERATIONS = 25
SAME_BARRIER = 3.0e-3  # eV


def vacancy():
    """31 atoms of copper."""
    atoms = bulk("Cu", cubic=True).repeat(2)
    del atoms[0]
    return atoms


def adatom():
    """An aluminium atom in a hollow of four layers of (100), 37 atoms, periodic in all directions."""
    slab = fcc100("Al", (3, 3, 4), a=3.99, vacuum=6.0)
    add_adsorbate(slab, "Al", 1.8, "hollow")
    slab.pbc = True
    return slab


CASES = {"cu-vacancy": ("Cu", vacancy), "al-adatom": ("Al", adatom)}


def path(knots, calculator):
    """Relax the ends with a calculator, and the path between them."""
    ends = [knots[0].copy(), knots[-1].copy()]
    for end in ends:
        end.calc = calculator
        BFGS(end, logfile=None).run(fmax=0.01, steps=300)
    return minimum_energy_path(without_drift([ends[0], *knots[1:-1], ends[1]]), calculator)


def learn(start, batches, conditions, folder, n_functions):
    """Run, label and refit until nothing is uncertain or to be confirmed."""
    fit = LinearAceFitMaker(n_functions=n_functions, cutoff=CUTOFF)
    choose = DOptimalSelectionMaker(n_functions=n_functions, cutoff=CUTOFF)
    potentials, runs, previous = [fit.fit(batches, folder)], [], None
    for generation in range(GENERATIONS):
        work = folder / f"generation-{generation}"
        work.mkdir(exist_ok=True)
        run = EonKmcMaker(**conditions).explore(potentials[-1], start, previous, work, batches)
        runs.append(run)
        n_labels = sum(batch.n_labels for batch in batches)
        print(
            f"{generation:3d} {n_labels:7d} {sum(run.outcomes.values()) + run.n_halted:9d} {run.n_halted:7d}"
            f" {run.gamma_max:8.1f} {len(run.of_generation()):7d} {run.n_steps:6d} {run.time:10.3g}"
            f" {run.n_force_calls:7d} {run.evaluation_time:6.2f} {run.wall_time:7.0f}  {run.end_reason}",
            flush=True,
        )
        if not run.halted:
            break
        chosen = choose.select(run.frames, BATCH, batches, potentials[-1])
        batches.append(label_batch(chosen.candidates, EMT(), prefix=f"kmc-{generation}"))
        potentials.append(fit.fit(batches, folder))
        previous = run
    return potentials, runs


def compare(potentials, run, folder):
    """Print barriers of the oracle, of the kMC run, and of the first potential."""
    states = {state.id: state.structure.to_ase() for state in run.states}
    first, last = (AceCalculator(load_potential(p, folder)) for p in (potentials[0], potentials[-1]))
    kinds = []
    for event in sorted(run.of_generation(), key=lambda event: event.barrier):
        if all(abs(event.barrier - kind.barrier) > SAME_BARRIER for kind in kinds):
            kinds.append(event)
    print("\nbarriers [meV]: kMC, then NEB by the last potential, by the oracle, by the first potential")
    for event in kinds:
        knots = [states[event.state], event.saddle.to_ase(), event.product.to_ase()]
        found = [path(knots, calculator) for calculator in (last, EMT(), first)]
        words = " ".join(f"{1e3 * x.barrier:9.1f} ({x.largest_force:.2f})" for x in found)
        error = 1e3 * (event.barrier - found[1].barrier)
        print(f"{event.id:28s} {1e3 * event.barrier:8.1f} {words}   kMC - oracle {error:+.1f}", flush=True)


def main():
    """Run the cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--confidence", type=float, default=0.8)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--functions", type=int, default=80)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--confirm", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    for case in given.case:
        element, make = CASES[case]
        begin = perf_counter()
        seeds = SeedStructuresMaker(n_atoms=8, n_strained=16, n_rattled=16)
        crystal = AtomicStructure.from_ase(bulk(element, cubic=True))
        pool = seeds.make.original(seeds, [crystal]).candidates
        choose = DOptimalSelectionMaker(n_functions=given.functions, cutoff=CUTOFF)
        first = label_batch(choose.select(pool, N_INITIAL, [], None).candidates, EMT())
        start = AtomicStructure.from_ase(make())
        conditions = {
            "confidence": given.confidence,
            "n_steps": given.steps,
            "max_wall_time": 600.0,
            "n_confirm": given.confirm,
            "barrier_tolerance": given.tolerance,
        }
        with TemporaryDirectory() as scratch:
            folder = (given.folder or Path(scratch)) / case
            folder.mkdir(parents=True, exist_ok=True)
            print(f"\n{case}: {start.n_atoms} atoms, {first.n_labels} labels of the crystal to begin with")
            print("gen  labels  searches  halted    gamma  events  steps   time [s]   calls     ms  wall [s]")
            potentials, runs = learn(start, [first], conditions, folder, given.functions)
            n_labels = potentials[-1].n_labels - potentials[0].n_labels
            print(f"{n_labels} labels for kMC, {perf_counter() - begin:.0f} s in all")
            for event in runs[-1].rechecked:
                after = "gone" if event.barrier_after is None else f"{1e3 * event.barrier_after:.1f}"
                print(f"rechecked {event.event}: {1e3 * event.barrier_before:.1f} -> {after} meV")
            for asked in runs[-1].confirmed:
                three = (asked.barrier, asked.oracle_barrier, asked.barrier_after)
                words = " ".join("none" if x is None else f"{1e3 * x:.1f}" for x in three)
                print(f"asked for {asked.event}: {words} meV (found, oracle, after learning)")
            if runs[-1].of_generation():
                compare(potentials, runs[-1], folder)
            else:
                print("no event was found without an uncertain search.")
    print(f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
