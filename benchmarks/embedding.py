"""Walk with 500 atoms and label none of it whole: halt, embed, label, refit, go on.

The oracle is ASE's EMT, so that labels of the whole cell can be compared with those of the small one.
"""

import argparse
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.ace import load_potential
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure, EmbeddedCell, ExplorationDoc, LabelBatchDoc, Walker
from mlip_autopipec.selection import EmbeddingMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

FIRST_SHELL = 3.3  # Å
HEAD = (
    f"{'step':>5s} {'γ halt':>7s} {'cell':>7s} {'atoms':>9s} {'apart Å':>8s} {'ΔB/B':>8s} {'γ buffer':>13s} "
    f"{'E':>3s} {'ΔF atom':>9s} {'ΔF shell':>8s} {'ΔF core':>8s} {'γ after':>8s} {'cost':>7s}"
)


@dataclass(frozen=True)
class Case:
    name: str
    crystal: Atoms
    start: Atoms
    temperature: float


def cases() -> list[Case]:
    copper, ordered = bulk("Cu", cubic=True), bulk("Cu", cubic=True, a=3.75)
    ordered.symbols[0] = "Au"
    vacancy = copper.repeat(5)
    del vacancy[62]
    rng = np.random.default_rng(0)
    alloy = bulk("Cu", cubic=True, a=3.7).repeat(2)
    alloy.symbols = rng.permutation(["Cu"] * 16 + ["Pd"] * 16)
    return [
        Case("Cu crystal", copper, copper, 1000.0),
        Case("Cu with a vacancy", copper, vacancy, 1000.0),
        Case("Cu3Au ordered", ordered, ordered, 700.0),
        Case("CuPd random alloy", alloy, alloy, 700.0),
        Case("Cu, molten", copper, copper, 3500.0),
    ]


def force_differences(whole: Atoms, small: Atoms, record: EmbeddedCell) -> tuple[float, float, float]:
    """RMS differences of the oracle's forces: uncertain atom, its first shell, and the whole core."""
    whole, small = whole.copy(), small.copy()
    whole.calc, small.calc = EMT(), EMT()
    vectors = whole.get_distances(record.atom, range(len(whole)), mic=True, vector=True)
    mine = small.get_distances(0, range(len(small)), mic=True, vector=True)[: record.n_core]
    match = [int(np.argmin(np.linalg.norm(vectors - vector, axis=1))) for vector in mine]
    off = np.linalg.norm(small.get_forces()[: record.n_core] - whole.get_forces()[match], axis=1)
    shell = np.linalg.norm(mine, axis=1) < FIRST_SHELL
    return float(off[0]), float(np.sqrt(np.mean(off[shell] ** 2))), float(np.sqrt(np.mean(off**2)))


def report(run: ExplorationDoc, record: EmbeddedCell, small: Atoms, gamma_after: float) -> None:
    centre, shell, core = force_differences(run.frames[-1].structure.to_ase(), small, record)
    buffer = f"{record.gamma_buffer:.2f}/{record.gamma_buffer_host:.2f}"
    print(
        f"{run.end_step:5d} {record.gamma_host:7.1f} {record.kind:>7s} "
        f"{record.n_atoms:4d}/{record.n_host:4d} "
        f"{record.separation:8.2f} {record.descriptor_difference:8.1e} {buffer:>13s} "
        f"{'yes' if record.energy_counts else 'no':>3s} {centre:9.4f} {shell:8.4f} {core:8.4f} "
        f"{gamma_after:8.2f} {(record.n_atoms / record.n_host) ** 3:7.1%}",
        flush=True,
    )


def walk(case: Case, n_steps: int, most_halts: int, folder: Path) -> None:
    """Close the loop around one walker."""
    seeds = SeedStructuresMaker(n_atoms=32, n_strained=6, n_rattled=12)
    made = seeds.make.original(seeds, [AtomicStructure.from_ase(case.crystal)])
    batches: list[LabelBatchDoc] = [label_batch(made.candidates, EMT(), prefix="seed")]
    fit = LinearAceFitMaker(n_functions=100)
    explore = LammpsMDMaker(min_atoms=490, stop_rule=StopRule(gamma=5.0), max_frames=1)
    embed = EmbeddingMaker()
    walker = Walker(index=0, round=0, start=0, temperature=case.temperature, n_steps=n_steps, seed=1)
    start, run, potential = AtomicStructure.from_ase(case.start), None, fit.fit(batches, _new(folder))
    print(f"\n{case.name}, {case.temperature:g} K\n{HEAD}")
    saved = []
    for halt in range(most_halts):
        run = explore.explore(potential, walker, start, run, _new(folder))
        if run.end_reason != "gamma":
            break
        found = embed.embed(potential, [(run.frames[-1], start)], _new(folder))
        batches.append(label_batch(found.candidates, EMT(), prefix=f"halt-{halt}"))
        potential = fit.fit(batches, _new(folder))
        if not found.n_embedded:
            print(f"{run.end_step:5d} labelled whole: {found.whole[0]}")
            continue
        record = found.cells[-1]
        after = load_potential(potential, _new(folder)).evaluate(run.frames[-1].structure.to_ase())
        report(run, record, found.candidates[0].structure.to_ase(), float(after.gamma[record.atom]))
        saved.append((record.n_atoms / record.n_host) ** 3)
    cost = f"; labels cost {np.mean(saved):.1%} of whole cells' (atoms^3)" if saved else ""
    print(f"      {run.end_reason} at step {run.end_step} of {n_steps}{cost}")


def _new(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--halts", type=int, default=4)
    parser.add_argument("--case", default="", help="part of the name of the cases to run")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "γ buffer: largest gamma of the buffer's atoms in the small cell / of the same atoms in the whole;\n"
        "E: whether energy and stress are fitted; ΔF: |F small - F whole| by the oracle in eV/Å, of the\n"
        "uncertain atom, RMS of its first shell, RMS of all within the cut-off; γ after: of the halted atom\n"
        "after the refit; cost: (atoms / atoms of the whole)^3."
    )
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            if given.case in case.name:
                walk(case, given.steps, given.halts, Path(folder))


if __name__ == "__main__":
    main()
