"""Our design matrix and fit against python-ace's own ``pyace.linearacefit``: same structures, same basis.

Usage: [taskset -c 0] python benchmarks/design_matrix.py FOLDER [--structures 60] [--functions 225]

FOLDER holds ``Si_train.extxyz.gz`` of the set of Zuo et al. (see zuo.py). Both use all cores the process may
run on, threads here and processes there; ``taskset -c 0`` gives the comparison on one core. The rows are
compared too. Theirs has no stress rows, so ours are computed without; the fit is ridge regression there
(scikit-learn) and the whole search for noise and prior by the evidence here.
"""

import argparse
import os
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--structures", type=int, default=60)
    parser.add_argument("--functions", type=int, default=225)
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many runs counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        training = assemble([read(arguments.folder, "Si", "train", Path(name))], CUTOFF)
    step = max(1, len(training.structures) // arguments.structures)
    kept = slice(0, step * arguments.structures, step)
    structures, targets = training.structures[kept], targets_of(training, None)[kept]
    spec = BasisSpec(("Si",), CUTOFF, arguments.functions)
    n_cores, n_atoms = len(os.sched_getaffinity(0)), sum(map(len, structures))
    print(f"{len(structures)} structures, {n_atoms} atoms, {arguments.functions} functions, {n_cores} cores")
    _ = ours(spec, structures[:2], targets[:2])  # compiles
    one = min((ours(spec, structures, targets) for _ in range(arguments.repeat)), key=lambda t: t[0])
    other = min(
        (theirs(spec, structures, targets, n_cores) for _ in range(arguments.repeat)), key=lambda t: t[0]
    )
    print(f"{'':24}{'rows':>9}{'fit':>9}{'both':>9}")
    for who, found in (("pyace.linearacefit", other), ("mlip_autopipec", one)):
        print(f"{who:24}{found[0]:7.2f} s{found[1]:7.2f} s{found[0] + found[1]:7.2f} s")
    ratio = other[0] / one[0], other[1] / one[1], sum(other[:2]) / sum(one[:2])
    print(f"{'times faster':24}{ratio[0]:9.1f}{ratio[1]:9.1f}{ratio[2]:9.1f}")
    difference = np.abs(one[2] - other[2]).max() / np.abs(other[2]).max()
    print(f"largest difference of the rows over the largest row: {difference:.1e}")


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
