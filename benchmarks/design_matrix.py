"""Our design matrix and fit against python-ace's own ``pyace.linearacefit``: same structures, same basis.

Usage: [taskset -c 0] python benchmarks/design_matrix.py FOLDER [--structures 60] [--functions 225]

FOLDER holds ``Si_train.extxyz.gz`` of the set of Zuo et al. (see zuo.py). Both use all cores the process may
run on, threads here and processes there; ``taskset -c 0`` gives the comparison on one core. The rows are
compared too. Theirs has no stress rows, so ours are computed without; the fit is ridge regression there
(scikit-learn) and the whole search for noise and prior by the evidence here.
"""

import os
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from _record import Record, parser
from pyace.linearacefit import LinearACEDataset, LinearACEFit
from zuo import read

from mlip_autopipec.ace import BasisSpec, DesignMatrix, RowScales, build_basis, default_prior
from mlip_autopipec.numerics import Moments, evidence_fit
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.linear import Target, targets_of

CUTOFF = 5.2
SCALES = RowScales(0.001, 0.05, 0.003)


def main() -> None:
    """Time and print."""
    command = parser(__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--structures", type=int, default=60)
    command.add_argument("--functions", type=int, default=225)
    command.add_argument("--repeat", type=int, default=3, help="the fastest of so many runs counts")
    given = command.parse_args()
    record = Record("design-matrix", "Design matrix and linear fit", given.out)
    compare(record, given.folder, given.structures, given.functions, given.repeat)


def compare(record: Record, folder: Path, n_structures: int, n_functions: int, repeat: int) -> None:
    """Time both, one after the other in turns, and compare their rows."""
    with tempfile.TemporaryDirectory() as name:
        training = assemble([read(folder, "Si", "train", Path(name))], CUTOFF)
    step = max(1, len(training.structures) // n_structures)
    kept = slice(0, step * n_structures, step)
    structures, targets = training.structures[kept], targets_of(training, None)[kept]
    spec = BasisSpec(("Si",), CUTOFF, n_functions)
    n_cores, n_atoms = len(os.sched_getaffinity(0)), sum(map(len, structures))
    _ = ours(spec, structures[:2], targets[:2])  # compiles
    runs = [
        (ours(spec, structures, targets), theirs(spec, structures, targets, n_cores)) for _ in range(repeat)
    ]
    one, other = (min(found, key=lambda t: t[0]) for found in zip(*runs, strict=True))
    times = {"pyace.linearacefit": other, "mlip_autopipec": one}
    rows = [[who, *(f"{t:.2f} s" for t in (*f[:2], sum(f[:2])))] for who, f in times.items()]
    ratios = other[0] / one[0], other[1] / one[1], sum(other[:2]) / sum(one[:2])
    rows.append(["times faster", *(f"{ratio:.1f}" for ratio in ratios)])
    difference = np.abs(one[2] - other[2]).max() / np.abs(other[2]).max()
    record.table(
        ["", "rows", "fit", "both"],
        rows,
        f"{len(structures)} silicon structures, {n_atoms} atoms, {n_functions} functions, {n_cores} cores; "
        f"the fastest of {repeat}. The rows agree to {difference:.0e} of the largest.",
    )


def ours(spec: BasisSpec, structures: list, targets: list[Target]):
    """Seconds of rows and of moments and fit, and the rows."""
    begin = perf_counter()
    design = DesignMatrix(basis := build_basis(spec))
    blocks = list(design.blocks(structures, [False] * len(structures)))
    rows = perf_counter() - begin
    begin = perf_counter()
    moments = Moments(design.n_functions)
    for block, target in zip(blocks, targets, strict=True):
        bare = Target(target.energy, target.forces, None)
        moments.add(block.weighted(SCALES), bare.weighted(SCALES, 1.0))
    evidence_fit(moments, default_prior(basis))
    fit = perf_counter() - begin
    return rows, fit, np.vstack([*(b.energy for b in blocks), *(b.forces for b in blocks)])


def theirs(spec: BasisSpec, structures: list, targets: list[Target], n_workers: int):
    """Seconds of design matrix and of Ridge, and the matrix."""
    frame = pd.DataFrame(
        {
            "ase_atoms": structures,
            "energy_corrected": [t.energy * len(a) for a, t in zip(structures, targets, strict=True)],
            "forces": [t.forces.reshape(-1, 3) for t in targets],
        }
    )
    begin = perf_counter()
    dataset = LinearACEDataset(build_basis(spec), frame)
    dataset.construct_design_matrix(max_workers=n_workers)
    rows = perf_counter() - begin
    matrix = dataset.get_design_matrix().copy()  # Ridge may overwrite it
    begin = perf_counter()
    LinearACEFit(train_dataset=dataset).fit()
    return rows, perf_counter() - begin, matrix


if __name__ == "__main__":
    main()
