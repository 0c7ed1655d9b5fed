"""Labels a minute: one batch with one worker and with two, through the local manager.

    python benchmarks/labelling.py FOLDER [--labels 30] [--workers 1 2] [--cutoff 16]

FOLDER holds a UPF file of silicon. Every run starts from an empty folder with the same structures. Times are
wall time of the whole batch, the workers' start and the gathering of the labels included. Run it on an idle
machine: two workers compete with whatever else runs there.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk

from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.oracle import LabelBatchMaker, QeStaticMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, SelectionDoc
from mlip_autopipec.store import load_output, open_store


def selection(n_labels: int) -> SelectionDoc:
    """Displaced cells of eight silicon atoms."""
    candidates = []
    for index in range(n_labels):
        atoms = bulk("Si", a=5.43, cubic=True)
        atoms.rattle(0.06, seed=index)
        candidates.append(CandidateStructure(structure=AtomicStructure.from_ase(atoms), origin="rattle"))
    return SelectionDoc(
        candidates=candidates, n_considered=n_labels, n_duplicates=0, gain=[1.0] * n_labels, n_functions=1
    )


def batch_time(chosen: SelectionDoc, maker: QeStaticMaker, workers: int) -> tuple[float, float, list[float]]:
    """Wall time of the batch and summed wall time of its labels in s, and their energies in eV."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        job = identify(LabelBatchMaker(oracle_maker=maker).make(chosen))
        summary = run_local(job, store=store, directory=Path(folder), workers=workers)
        batch = load_output(store, job.uuid)
        if batch.failed:
            raise SystemExit(f"{len(batch.failed)} labels failed: {batch.failed[0].reason}")
        return summary.wall_time, batch.wall_time, [item.label.energy for item in batch.labels]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with a UPF file of silicon")
    parser.add_argument("--labels", type=int, default=30)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cutoff", type=float, default=16.0, help="Ry")
    arguments = parser.parse_args()
    os.environ["MLIP_AUTO_PSEUDO_DIR"] = str(arguments.folder)
    names = ("Si.upf", "Si.pbe-rrkj.UPF")
    name = next(n for n in names if (arguments.folder / n).exists())
    maker = QeStaticMaker(ecutwfc=arguments.cutoff, k_spacing=0.6, pseudopotentials={"Si": name})
    chosen = selection(arguments.labels)
    first = None
    print("workers   batch [s]   labels/min   pw.x [s]   speed-up")
    for workers in arguments.workers:
        wall, inside, energies = batch_time(chosen, maker, workers)
        first = first or (wall, energies)
        if not np.allclose(energies, first[1], atol=1e-6):
            raise SystemExit("the labels differ between the runs.")
        rate, ratio = 60 * len(energies) / wall, first[0] / wall
        print(f"{workers:7d} {wall:11.1f} {rate:12.1f} {inside:10.1f} {ratio:10.2f}", flush=True)


if __name__ == "__main__":
    main()
