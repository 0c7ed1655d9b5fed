"""Peak memory and time of a linear fit to many environments.

Usage: python benchmarks/memory.py [--environments 100000] [--functions 1000] [--active-set]

Rattled copper cells of 108 atoms with random targets: the numbers mean nothing, the sizes do. Prints wall
time and peak resident memory of the process; rows are summed as they come, so the memory does not grow with
the environments.
"""

import argparse
import resource
from time import perf_counter

import numpy as np
from ase.build import bulk

from mlip_autopipec.ace import BasisSpec, RowScales
from mlip_autopipec.training.linear import LinearProblem, Target, fit_linear, linear_active_set, tightened


def random_problem(n_structures: int) -> LinearProblem:
    """Rattle a cell again and again and invent its labels."""
    crystal, rng = bulk("Cu", cubic=True).repeat(3), np.random.default_rng(0)
    structures, targets = [], []
    for seed in range(n_structures):
        atoms = crystal.copy()
        atoms.rattle(0.15, seed=seed)
        structures.append(atoms)
        targets.append(Target(rng.normal(), rng.normal(size=3 * len(atoms)), rng.normal(size=6)))
    names = [str(seed) for seed in range(n_structures)]
    return LinearProblem(structures, targets, np.ones(n_structures), names, RowScales(0.001, 0.05, 0.003))


def report(what: str, begin: float) -> None:
    """Print time since `begin` and peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{what:12} {perf_counter() - begin:7.1f} s   peak so far {peak:.2f} GiB", flush=True)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--environments", type=int, default=100_000)
    parser.add_argument("--functions", type=int, default=1000)
    parser.add_argument("--active-set", action="store_true", help="choose the active set as well")
    arguments = parser.parse_args()
    begin = perf_counter()
    problem = random_problem(max(1, round(arguments.environments / 108)))
    n_environments = sum(map(len, problem.structures))
    report("structures", begin)
    begin = perf_counter()
    fit = fit_linear(problem, BasisSpec(("Cu",), 5.0, arguments.functions))
    print(f"{n_environments} environments, {fit.moments.n_rows} rows, {fit.design.n_functions} functions")
    print(f"the rows together would take {8 * fit.moments.n_rows * fit.design.n_functions / 1024**3:.1f} GiB")
    report("fit", begin)
    begin = perf_counter()
    tightened(fit, problem, 1.0)
    report("of it, solve", begin)
    if arguments.active_set:
        begin = perf_counter()
        linear_active_set(fit, problem.structures, problem.scales.energy)
        report("active set", begin)


if __name__ == "__main__":
    main()
