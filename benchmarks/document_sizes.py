"""How large the documents of a store are, from 10 to 5,000 atoms: a label, one that fails, a fit, a walk.

Usage: python benchmarks/document_sizes.py [--atoms 10 100 1000 5000]

A real flow for each size: labels of rattled copper by EMT (one with two atoms on top of each other, which is
refused), a linear fit, and a short walk in LAMMPS that meets uncertain frames. Prints the largest document of
each class in kB as it is in the collection `jobs`, the largest blob in `data`, and the largest entry of the
journal.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from ase import Atoms
from ase.build import bulk
from jobflow import Flow

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.execution.journal import journal_beside
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, SelectionDoc, Walker
from mlip_autopipec.store import open_store
from mlip_autopipec.training import LinearAceFitMaker


def crystal(n_atoms: int) -> Atoms:
    """Copper of about so many atoms, rattled."""
    atoms = AtomicStructure.from_ase(bulk("Cu")).repeated(n_atoms).to_ase()
    atoms.rattle(0.1, seed=n_atoms)
    return atoms


def campaign(n_atoms: int) -> Flow:
    """Label three cells, fit, walk, and list what a validation needs."""
    atoms = crystal(n_atoms)
    broken = atoms.copy()
    broken.positions[1] = broken.positions[0] + 0.1
    other = atoms.copy()
    other.rattle(0.1, seed=1)
    structures = [AtomicStructure.from_ase(a) for a in (atoms, other, broken)]
    found = [CandidateStructure(structure=s, origin="rattle") for s in structures]
    chosen = SelectionDoc(candidates=found, n_considered=3, n_duplicates=0, gain=[0.0] * 3, n_functions=1)
    labels = LabelBatchMaker().make(chosen)
    fit = LinearAceFitMaker(n_functions=10, cutoff=4.0).make([labels.output])
    walker = Walker(index=0, round=0, start=0, temperature=900.0, n_steps=4, seed=1)
    walk = LammpsMDMaker(gamma_select=0.1, stop_rule=StopRule(gamma=50.0)).make(
        fit.output, walker, structures[0], None
    )
    needed = ValidationMaker().plan([structures[0]], [walk.output.final])
    return Flow([labels, fit, walk, needed])


def kilobytes(document: dict) -> float:
    return len(json.dumps(document, default=str)) / 1000


def sizes(n_atoms: int) -> dict[str, float]:
    """Run the flow; return the size of the largest document of each class in kB."""
    found: dict[str, float] = defaultdict(float)
    with TemporaryDirectory() as folder, open_store(Path(folder)) as store:
        summary = run_local(campaign(n_atoms), store=store, directory=Path(folder), workers=1)
        assert summary.failed == 1, summary.failures
        for document in store.query():
            output = document["output"]
            kind = output.get("@class", "other") if isinstance(output, dict) else "other"
            found[kind] = max(found[kind], kilobytes(document))
        for blob in store.additional_stores["data"].query():
            found["(data)"] = max(found["(data)"], kilobytes(blob))
        with journal_beside(store.docs_store) as journal:
            found["(journal)"] = max(kilobytes(entry) for entry in journal.query())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=int, nargs="*", default=[10, 100, 1000, 5000])
    options = parser.parse_args()
    columns = {}
    for n in options.atoms:
        columns[n] = sizes(n)
        print(n, {kind: round(size, 1) for kind, size in columns[n].items()}, flush=True)
    print(f"{'kB':20}" + "".join(f"{n:>10}" for n in columns) + "  atoms")
    for kind in sorted({kind for column in columns.values() for kind in column}):
        print(f"{kind:20}" + "".join(f"{column.get(kind, 0.0):10.1f}" for column in columns.values()))


if __name__ == "__main__":
    main()
