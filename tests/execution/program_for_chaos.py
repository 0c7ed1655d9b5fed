"""A small campaign in a process of its own: labels in two batches, a fit after each."""

import sys
from pathlib import Path

import numpy as np
from ase.build import bulk
from jobflow import Flow

from mlip_autopipec.execution.local import run_local
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, SelectionDoc
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import open_store
from mlip_autopipec.training import LinearAceFitMaker


def flow(n_labels):
    oracle = AseStaticMaker(calculator="calculator_for_tests:LoggedEMT")
    rng = np.random.default_rng(1)
    batches, members = [], []
    for number in range(2):
        candidates = []
        for _ in range(n_labels // 2):
            atoms = bulk("Cu", cubic=True)
            atoms.positions += rng.normal(scale=0.1, size=(4, 3))
            structure = AtomicStructure.from_ase(atoms)
            candidates.append(CandidateStructure(structure=structure, origin="rattle"))
        chosen = SelectionDoc(
            candidates=candidates, n_considered=1, n_duplicates=0, gain=[0.0] * len(candidates), n_functions=1
        )
        labels = LabelBatchMaker(oracle_maker=oracle).make(chosen)
        labels.update_metadata({"stage": "label", "generation": number}, dynamic=True)
        batches.append(labels.output)
        fit = LinearAceFitMaker(n_functions=20).make(list(batches))
        fit.update_metadata({"stage": "fit", "generation": number})
        members += [labels, fit]
    return Flow(members)


if __name__ == "__main__":
    directory, n_labels = sys.argv[1:]
    store = open_store(Path(directory), get_settings())
    done = run_local(flow(int(n_labels)), store=store, directory=Path(directory), workers=2)
    print(done.done, done.reused, done.failed, done.skipped)
    sys.exit(done.failed)
