"""Share of rough walks that keep all their atoms: hot and compressed, with and without a repulsive core.

    python benchmarks/robustness.py [--seeds 3] [--picoseconds 1]

Potentials are fitted to crystals that were strained and rattled, as before a first exploration, so that a
walk goes where no label is. Then MD in NVE by ASE: 1,000 K above the highest temperature the loop would
explore, and in a crystal of 20 % less volume. A walk is lost if a number is not finite, two atoms come closer
than half the shortest distance in the training set, or the total energy has moved by more than 1 eV/atom. No
watchdog stops it. "core" is the default (ZBL inside the file), "zbl" the baseline under the ACE, "none" the
same fit as "core" with the core taken out of its file.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _record import Record, parser
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from closed_loop import StillingerWeber

from mlip_autopipec.ace import AceCalculator, AcePotential, load_potential, shortest_distances
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

MATERIALS = {  # crystal, oracle, cut-off in Å, highest temperature explored in K
    "Cu": (bulk("Cu", cubic=True), EMT, 5.6, 950.0),
    "Si": (bulk("Si", cubic=True), StillingerWeber, 5.2, 1180.0),
}
CORES = ("none", "core", "zbl")
BEYOND = 1000.0
COMPRESSION = 0.8
EXPLODED = 1.0  # eV/atom


@dataclass(frozen=True)
class Walk:
    """How one walk went."""

    kept: bool
    picoseconds: float
    reason: str


def potentials(element: str, folder: Path) -> dict[str, tuple[AcePotential, float]]:
    """Fit each kind; with the shortest distance of the training set in Å."""
    crystal, oracle, cutoff, _ = MATERIALS[element]
    seeds = SeedStructuresMaker(n_strained=10, n_rattled=10)
    pool = seeds.make.original(seeds, [AtomicStructure.from_ase(crystal)]).candidates
    # Without the dimers, which would show the fit what atoms do that come close.
    batch = label_batch([c for c in pool if c.origin != "dimer"], oracle())
    shortest = min(shortest_distances([i.label.structure.to_ase() for i in batch.labels], cutoff).values())
    found = {}
    for kind in ("core", "zbl"):
        (folder / kind).mkdir()
        maker = LinearAceFitMaker(cutoff=cutoff, n_functions=100, baseline=kind)
        found[kind] = load_potential(maker.fit([batch], folder / kind), folder / kind)
    text = (folder / "core" / "potential.yaml").read_text()
    bare = folder / "none.yaml"
    bare.write_text(
        re.sub(r"r_in: [^,}\n]+", "r_in: 0.1", re.sub(r"delta_in: [^,}\n]+", "delta_in: 0.05", text))
    )
    found["none"] = AcePotential(bare)
    return {kind: (found[kind], shortest) for kind in CORES}


def walk(ace: AcePotential, start: Atoms, temperature: float, seed: int, n_steps: int, least: float) -> Walk:
    """Walk in NVE; look every ten steps."""
    atoms = start.copy()
    atoms.calc = AceCalculator(ace)
    # Half of the kinetic energy becomes potential energy.
    thermalize_momenta(atoms, temperature_K=2 * temperature, rng=np.random.default_rng(seed))
    Stationary(atoms)
    dynamics, begin = VelocityVerlet(atoms, units.fs), atoms.get_total_energy()
    for step in range(0, n_steps, 10):
        try:
            dynamics.run(10)
            drift = (atoms.get_total_energy() - begin) / len(atoms)
        except CalculationError as error:
            return Walk(False, step / 1000, str(error))
        closest = min(shortest_distances([atoms], 3.0).values(), default=np.inf)
        if not abs(drift) < EXPLODED or closest < least:
            return Walk(False, step / 1000, f"{drift:+.2g} eV/atom, {closest:.2f} Å")
    return Walk(True, n_steps / 1000, "")


def main() -> None:
    """Walk, and write the page after each material."""
    command = parser(__doc__)
    command.add_argument("--elements", nargs="+", default=list(MATERIALS), choices=list(MATERIALS))
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--picoseconds", type=float, default=1.0)
    given = command.parse_args()
    record = Record("robustness", "Rough walks that keep their atoms", given.out, f"0 to {given.seeds - 1}")
    n_steps, rows = round(1000 * given.picoseconds), []
    for element in given.elements:
        crystal, _, _, highest = MATERIALS[element]
        cell = crystal.repeat((2, 2, 2) if element == "Cu" else (2, 2, 1))
        dense = cell.copy()
        dense.set_cell(cell.cell * COMPRESSION ** (1 / 3), scale_atoms=True)
        cases = {
            f"{highest + BEYOND:.0f} K": (cell, highest + BEYOND),
            f"{highest:.0f} K, 20 % less volume": (dense, highest),
            f"{highest + BEYOND:.0f} K, 20 % less volume": (dense, highest + BEYOND),
        }
        with tempfile.TemporaryDirectory() as folder:
            for kind, (ace, shortest) in potentials(element, Path(folder)).items():
                for case, (start, temperature) in cases.items():
                    walks = [
                        walk(ace, start, temperature, seed, n_steps, 0.5 * shortest)
                        for seed in range(given.seeds)
                    ]
                    lost = next((f"{w.reason} after {w.picoseconds:g} ps" for w in walks if not w.kept), "")
                    kept = f"{sum(w.kept for w in walks)} of {len(walks)}"
                    rows.append([element, kind, case, kept, lost])
                    print(*rows[-1], flush=True)
    record.table(
        ["material", "core", "walk", "kept", "first loss"],
        rows,
        f"Walks of {given.picoseconds:g} ps, 32 atoms.",
    )


if __name__ == "__main__":
    main()
