"""Measure python-ace's evaluator over many bases and fit the constants of ``mlip_autopipec.ace.cost``."""

from time import perf_counter

import numpy as np
from ase.build import bulk
from scipy.optimize import nnls

from mlip_autopipec.ace import BasisSpec, build_basis, environment, import_pyace
from mlip_autopipec.ace.cost import cost_features

CRYSTALS = {
    ("Si",): bulk("Si", cubic=True).repeat(2),
    ("Cu",): bulk("Cu", cubic=True).repeat(2),
    ("Al", "Ni"): bulk("NiAl", "cesiumchloride", a=2.88, cubic=True).repeat(3),
}


def measure(basis, env) -> float:
    """Fastest of several evaluations in s."""
    pyace = import_pyace()
    evaluator = pyace.ACEBEvaluator(basis)
    calculator = pyace.ACECalculator(evaluator)
    times = []
    for _ in range(7):
        begin = perf_counter()
        calculator.compute(env, compute_projections=False)
        times.append(perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print the table and the constants."""
    features, times, names = [], [], []
    for elements, crystal in CRYSTALS.items():
        crystal.rattle(0.1, seed=0)
        for cutoff in (4.5, 6.0):
            for size in (60, 200, 500):
                basis = build_basis(BasisSpec(elements, cutoff, size))
                env = environment(crystal, basis)
                n_neighbours = sum(map(len, env.neighbour_list[: len(crystal)])) / len(crystal)
                features.append(cost_features(basis, n_neighbours))
                times.append(1e6 * measure(basis, env) / len(crystal))
                names.append(
                    f"{'-'.join(elements):6} {cutoff} Å {size:4} functions {n_neighbours:5.0f} neighbours"
                )
    matrix, measured = np.array(features), np.array(times)
    constants, _ = nnls(matrix / measured[:, None], np.ones(len(measured)))
    for name, time, model in zip(names, measured, matrix @ constants, strict=True):
        print(f"{name}  measured {time:7.1f} µs/atom   model {model:7.1f}")
    print("constants:", ", ".join(f"{c:.4g}" for c in constants))


if __name__ == "__main__":
    main()
