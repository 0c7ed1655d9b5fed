"""Which structures the first potential needs: the closed loop begun with more and with fewer required labels.

    python benchmarks/first_labels.py [--elements Cu Si CuAu] [--seeds 3] [--steps 2000]

The loop of closed_loop.py ("active"), begun with other dimers, volumes and numbers of chosen structures than
the default of ``SeedStructuresMaker`` and of a campaign. Beside labels and errors on MD it is asked what the
required ones are for: the stress that a strain of 1 % brings, atoms held in place (RMS error over RMS, all
distinct strains); the energy of the crystal evenly strained by up to 6 %; the energy of all dimers from 0.65
to 1.4 of the sum of the covalent radii.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _record import Record, parser, spread
from ase import Atoms
from closed_loop import MATERIALS, TARGET, Outcome, Run, censored, test_frames

from mlip_autopipec.ace import load_potential
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.generation.oriented import unturned_primitive
from mlip_autopipec.generation.perturb import dimers
from mlip_autopipec.generation.strains import strained_cells, under_strain
from mlip_autopipec.selection import GammaCalibrationMaker

LARGEST = 0.06
REPEAT = 2  # of the primitive cell, for oracles that want more than a few atoms


@dataclass(frozen=True)
class Start:
    """How a campaign begins."""

    dimer_distances: tuple[float, ...]
    n_volumes: int
    filling: float  # of what a campaign chooses beside the required ones


STARTS = {
    "default": Start((0.65, 0.9, 1.3), 2, 1.0),
    "five dimers, four volumes": Start((0.65, 0.75, 0.9, 1.1, 1.4), 4, 1.0),
    "two dimers": Start((0.7, 1.1), 2, 1.0),
    "no dimers": Start((), 2, 1.0),
    "half as many chosen": Start((0.65, 0.9, 1.3), 2, 0.5),
    "none chosen": Start((0.65, 0.9, 1.3), 2, 0.0),
}


class StartedRun(Run):
    """A run of the loop that begins otherwise."""

    def __init__(self, start: Start, element: str, seed: int, n_steps: int, directory: Path) -> None:
        self.seed_maker = partial(
            SeedStructuresMaker, dimer_distances=start.dimer_distances, n_volumes=start.n_volumes
        )
        self.filling = start.filling
        super().__init__(element, "active", seed, n_steps, GammaCalibrationMaker().tolerated_error, directory)


@dataclass(frozen=True)
class Found:
    """What came of a run."""

    first: int
    outcome: Outcome
    elastic: float  # per cent
    volumes: float  # meV/atom
    dimers: float  # eV


def look(run: StartedRun) -> tuple[float, float, float]:
    """Compare stresses under strain, energies of volumes and energies of dimers with the oracle."""
    ace = load_potential(run.potential, run.directory)
    cell = unturned_primitive(run.crystal).repeat(REPEAT)

    def by_oracle(atoms: Atoms) -> Atoms:
        atoms = atoms.copy()
        atoms.calc = run.oracle
        return atoms

    def energy(atoms: Atoms) -> float:
        free = sum(run.potential.e0[symbol] for symbol in atoms.get_chemical_symbols())
        return float(ace.evaluate(atoms, gamma=False).energies.sum()) + free

    cells = [cell, *(strained.atoms for strained in strained_cells(cell, 0.01))]
    mine = np.array([-ace.evaluate(a, gamma=False).virial / a.get_volume() for a in cells])
    theirs = np.array([by_oracle(a).get_stress(voigt=False) for a in cells])
    change = theirs[1:] - theirs[0]
    elastic = np.sqrt(np.mean((mine[1:] - mine[0] - change) ** 2) / np.mean(change**2))
    volumes = [under_strain(cell, e * np.eye(3)) for e in np.linspace(-LARGEST, LARGEST, 13)]
    off = np.array([energy(a) - by_oracle(a).get_potential_energy() for a in volumes]) / len(cell)
    pairs = [
        atoms for atoms, _ in dimers(sorted(set(cell.get_chemical_symbols())), np.linspace(0.65, 1.4, 16))
    ]
    far = [abs(energy(a) - by_oracle(a).get_potential_energy()) for a in pairs]
    return 100.0 * float(elastic), 1e3 * float(np.abs(off - off[6]).max()), max(far)


def learn(start: Start, element: str, seed: int, n_steps: int) -> Found:
    """Run a campaign and look at its end."""
    with TemporaryDirectory() as folder:
        run = StartedRun(start, element, seed, n_steps, Path(folder))
        first, quiet = run.n_labels, run.campaign(test_frames(element))
        outcome = Outcome(quiet, run.n_halts, run.n_lifted, run.n_lost, max(run.ends.values()), run.curve)
        return Found(first, outcome, *look(run))


def cells(some: list[Found]) -> list[str]:
    """Cells of the table."""
    ends = [f.outcome.curve[-1] for f in some]
    return [
        f"{some[0].first}",
        censored([e[0] if f.outcome.quiet else None for e, f in zip(ends, some, strict=True)]),
        spread([f.outcome.n_halts for f in some], ".0f"),
        censored([f.outcome.reached for f in some]),
        spread([e[1] for e in ends]),
        spread([e[2] for e in ends], ".4f"),
        spread([f.elastic for f in some], ".1f"),
        spread([f.volumes for f in some]),
        spread([f.dimers for f in some]),
    ]


def main() -> None:
    """Run, and write the page."""
    command = parser(__doc__)
    command.add_argument("--elements", nargs="+", default=list(MATERIALS), choices=list(MATERIALS))
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--steps", type=int, default=2000, help="fs of each walk")
    command.add_argument("--workers", type=int, default=1)
    given = command.parse_args()
    header = ["material", "start", "first labels", "labels: no halt", "halts"]
    header += [f"labels: {TARGET[0]:g} meV/atom, {TARGET[1]:g} eV/Å", "meV/atom", "eV/Å"]
    header += ["stresses, %", "volumes, meV/atom", "dimers, eV"]
    starts = [(element, name) for element in given.elements for name in STARTS]
    tasks = [
        (STARTS[name], element, seed, given.steps) for element, name in starts for seed in range(given.seeds)
    ]
    rows = []
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        found = pool.map(learn, *zip(*tasks, strict=True))
        for element, name in starts:
            rows.append([element, name, *cells(list(islice(found, given.seeds)))])
            print(*rows[-1], sep=" | ", flush=True)
    record = Record("first-labels", "Which labels to begin with", given.out, f"0 to {given.seeds - 1}")
    record.table(
        header,
        rows,
        f"Three walks of {given.steps / 1000:g} ps without a halt; median and range over the seeds; errors "
        "are those at the end, on the oracle's MD. Stresses: under 1 % strain, atoms held in place. Volumes: "
        "largest error of the energy up to 6 % strain. Dimers: largest error from 0.65 to 1.4 of the sum of "
        "the covalent radii.",
    )


if __name__ == "__main__":
    main()
