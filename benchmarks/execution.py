"""The local manager: what a job costs beside its own work, how that grows, and what a second worker brings.

Usage: python benchmarks/execution.py [--jobs 1000 2000 5000] [--labels 40] [--atoms 256] [--wait 0.5]

The same trivial jobs go through jobflow's `run_locally` with its default store in memory and with the
embedded store, and through `run_local` with one worker, one after the other in the same process. Wall times
mean little on a shared machine; CPU times are those of all processes.
"""

import argparse
import operator
import os
import resource
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from ase.build import bulk
from jobflow import Flow, Job, JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.execution.local import run_local
from mlip_autopipec.oracle import AseStaticMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.store import open_store


def trivial(n_jobs: int) -> Flow:
    """Add numbers, nothing else."""
    return Flow([Job(operator.add, function_args=(i, 1), name="add") for i in range(n_jobs)])


def clock() -> tuple[float, float]:
    """Return wall time, and CPU time of this process and its ended workers, in s."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return perf_counter(), sum(u.ru_utime + u.ru_stime for u in used)


def ours(flow: Flow, workers: int) -> tuple[float, float]:
    """Run in a folder of one's own; return wall and CPU time in s."""
    with TemporaryDirectory() as folder, open_store(Path(folder)) as store:
        begin = clock()
        summary = run_local(flow, store=store, directory=Path(folder), workers=workers)
        assert summary.done == len(flow.jobs), summary
        wall, cpu = np.subtract(clock(), begin)
        return wall, cpu


def jobflows(flow: Flow, *, in_memory: bool) -> tuple[float, float]:
    """Run by jobflow's own manager; return wall and CPU time in s."""
    with TemporaryDirectory() as folder:
        store = JobStore(MemoryStore()) if in_memory else open_store(Path(folder))
        begin = clock()
        run_locally(flow, store=store, root_dir=folder, log=False, ensure_success=True)
        wall, cpu = np.subtract(clock(), begin)
        return wall, cpu


def overhead(sizes: list[int]) -> None:
    """Print the cost of a trivial job, and how the whole grows; what a worker costs to start is left out."""
    start = np.array(ours(trivial(1), 1))
    rows = []
    print("ms a job    run_local, embedded  run_locally, memory  run_locally, embedded")
    print(f"{'jobs':>8} " + "  ".join(f"{'wall':>10}{'CPU':>9}" for _ in range(3)))
    for n in sizes:
        runs = [
            np.array(ours(trivial(n), 1)) - start,
            jobflows(trivial(n), in_memory=True),
            jobflows(trivial(n), in_memory=False),
        ]
        rows.append(np.ravel(runs))
        print(f"{n:8} " + "  ".join(f"{1e3 * w / n:10.2f}{1e3 * c / n:9.2f}" for w, c in runs), flush=True)
    if len(sizes) > 1:
        slopes = np.polyfit(np.log(sizes), np.log(rows), 1)[0]
        print(f"{'slope':>8} " + "  ".join(f"{w:10.2f}{c:9.2f}" for w, c in slopes.reshape(-1, 2)))


def waiting(n_jobs: int, seconds: float) -> None:
    """Print what a second worker brings where the work is done elsewhere, as on a busy machine."""
    made = []
    for workers in (1, 2):
        flow = Flow(
            [Job(time.sleep, function_args=(seconds + 1e-9 * i,), name="wait") for i in range(n_jobs)]
        )
        made.append(ours(flow, workers)[0])
        print(f"{n_jobs} waits of {seconds} s, {workers} workers: {made[-1]:.1f} s", flush=True)
    print(f"ratio {made[0] / made[1]:.2f}")


def labels(n_labels: int, n_atoms: int) -> None:
    """Print what a second worker brings for short labels."""
    repeat = round((n_atoms / 4) ** (1 / 3))
    made = []
    for workers in (1, 2):
        jobs = []
        for seed in range(n_labels):
            atoms = bulk("Cu", cubic=True).repeat(repeat)
            atoms.rattle(0.1, seed=seed)
            jobs.append(AseStaticMaker().make(AtomicStructure.from_ase(atoms)))
        made.append(ours(Flow(jobs), workers)[0])
        print(f"{n_labels} labels of {len(atoms)} atoms, {workers} workers: {made[-1]:.1f} s", flush=True)
    print(f"ratio {made[0] / made[1]:.2f} on {len(os.sched_getaffinity(0))} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1000, 2000, 5000])
    parser.add_argument("--labels", type=int, default=40)
    parser.add_argument("--atoms", type=int, default=256)
    parser.add_argument("--wait", type=float, default=0.5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Some jobs are not connected")
    warnings.filterwarnings("ignore", "cd is deprecated")
    if options.wait:
        waiting(options.labels or 40, options.wait)
    if options.labels:
        labels(options.labels, options.atoms)
    if options.jobs:
        overhead(options.jobs)


if __name__ == "__main__":
    main()
