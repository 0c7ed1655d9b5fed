"""Where the time goes in the three hottest paths: a step of MD, a fit, a selection.

    python benchmarks/profile_paths.py [--atoms 256] [--functions 200]

By cProfile on the time of the CPU, own time of each function; a compiled kernel (numba, python-ace, BLAS)
shows as the call that enters it.
"""

import cProfile
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from _record import Record, parser
from ase.calculators.emt import EMT
from speed import CUTOFF, copper, rattled

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, Walker
from mlip_autopipec.selection import DOptimalSelectionMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

MOST = 8


def profiled(record: Record, title: str, work: Callable[[], object]) -> None:
    """Add the table of one path; it runs once before, so that nothing is compiled."""
    work()
    profile = cProfile.Profile(process_time)
    profile.runcall(work)
    found = pstats.Stats(profile)
    total = found.total_tt
    entries = sorted(found.stats.items(), key=lambda item: -item[1][2])[:MOST]
    rows = [
        [f"{Path(file).name}:{name}".removeprefix("~:"), calls, f"{own:.3f}", f"{own / total:.0%}"]
        for (file, _, name), (_, calls, own, _, _) in entries
    ]
    record.table(["function", "calls", "own CPU time [s]", "share"], rows, f"{title}: {total:.2f} s")


def main() -> None:
    """Profile and write."""
    command = parser(__doc__)
    command.add_argument("--atoms", type=int, default=256)
    command.add_argument("--functions", type=int, default=200)
    given = command.parse_args()
    record = Record("profiles", "Where the time goes", given.out, "fixed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        potential = copper(folder, given.functions)
        start = AtomicStructure.from_ase(rattled(given.atoms))
        pool = [
            CandidateStructure(structure=AtomicStructure.from_ase(rattled(32, seed)), origin="rattle")
            for seed in range(60)
        ]
        batch = label_batch(pool[:40], EMT())
        md = LammpsMDMaker(stop_rule=StopRule(gamma=1e9), gamma_select=1e9)
        walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=100, seed=1)
        fit = LinearAceFitMaker(cutoff=CUTOFF, n_functions=given.functions)
        choose = DOptimalSelectionMaker(cutoff=CUTOFF, n_functions=given.functions)
        atoms, functions = f"{start.n_atoms} atoms", f"{given.functions} functions"
        profiled(
            record,
            f"100 steps of MD, {atoms}, {functions}",
            lambda: md.explore(potential, walker, start, None, folder),
        )
        profiled(record, f"fit to 40 labels of 32 atoms, {functions}", lambda: fit.fit([batch], folder))
        profiled(
            record,
            f"choice of 10 of 20 such cells beside 40 labels, {functions}",
            lambda: choose.select(pool[40:], 10, [batch], potential),
        )


if __name__ == "__main__":
    main()
