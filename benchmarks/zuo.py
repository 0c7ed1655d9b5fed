"""Accuracy on the published Cu, Si and Mo sets of Zuo et al., J. Phys. Chem. A 124, 731 (2020).

Usage: python benchmarks/zuo.py FOLDER [ELEMENT ...] [--no-tuner]

FOLDER holds ``Cu_train.extxyz.gz``, ``Cu_test.extxyz.gz`` and so on. Prints test errors beside the published
ones of GAP and MTP, the size of the basis, wall time and peak memory, and the tuner's decision table.
"""

import argparse
import gzip
import resource
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

from mlip_autopipec.ace import load_potential
from mlip_autopipec.schemas import ErrorStatistics, Fingerprint, ParityPoint
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.training.dataset_import import read_labelled
from mlip_autopipec.training.tuning import BasisTuner

PUBLISHED = {  # energy MAE in meV/atom and force MAE in eV/Å of GAP and MTP
    "Cu": ((0.46, 0.01), (0.41, 0.01)),
    "Mo": ((2.24, 0.09), (2.83, 0.09)),
    "Si": ((2.91, 0.07), (2.21, 0.06)),
}
CUTOFF = {"Cu": 5.0, "Mo": 5.2, "Si": 5.2}
SETTINGS = {"energy_sigma": 0.001, "energy_scale": 0.3}
VASP = Fingerprint(code="VASP", version="as published", settings={"functional": "PBE"})


def read(folder: Path, element: str, part: str, scratch: Path):
    """Read one file of the set."""
    path = scratch / f"{element}_{part}.extxyz"
    with gzip.open(folder / f"{path.name}.gz") as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return read_labelled(path, VASP, forces_key="force")


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("elements", nargs="*", default=list(PUBLISHED))
    parser.add_argument("--no-tuner", action="store_true")
    parser.add_argument("--max-cost", type=float, default=400.0, help="ceiling in µs/atom")
    parser.add_argument("--n-functions", type=int, default=200, help="size of the basis without the tuner")
    parser.add_argument("--force-sigma", type=float, default=0.1, help="eV/Å, beside 1 meV/atom")
    arguments = parser.parse_args()
    for element in arguments.elements:
        with tempfile.TemporaryDirectory() as name:
            run(arguments, element, Path(name))


def run(arguments: argparse.Namespace, element: str, scratch: Path) -> None:
    """Fit one element and print its row."""
    train, test = (read(arguments.folder, element, part, scratch) for part in ("train", "test"))
    tuner = None if arguments.no_tuner else BasisTuner(max_cost=arguments.max_cost, sizes=(200, 550, 1000))
    maker = LinearAceFitMaker(
        cutoff=CUTOFF[element],
        n_functions=arguments.n_functions,
        force_sigma=arguments.force_sigma,
        tuner=tuner,
        **SETTINGS,
    )
    begin = perf_counter()
    potential = maker.fit([train], scratch)
    seconds = perf_counter() - begin
    points = ParityPoint.predict(load_potential(potential, scratch), test.labels, potential.e0)
    errors, basis = ErrorStatistics.from_parity(points), potential.fit.basis
    gap, mtp = PUBLISHED[element]
    print(
        f"{element}: test MAE {1e3 * errors.energy_mae:.2f} meV/atom, {errors.force_mae:.4f} eV/Å  "
        f"(GAP {gap[0]}, {gap[1]}; MTP {mtp[0]}, {mtp[1]})  tuner {'on' if tuner else 'off'}  "
        f"{sum(potential.n_functions.values())} functions, {basis.radial}, {basis.cutoff} Å, "
        f"l weight {basis.l_weight}  {seconds:.0f} s  "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.2f} GiB"
    )
    left_out = potential.fit.force_error
    print(
        f"    groups left out: RMSE {1e3 * left_out.energy_rmse:.2f} meV/atom, "
        f"{left_out.force_rmse:.4f} eV/Å; "
        f"test RMSE {1e3 * errors.energy_rmse:.2f}, {errors.force_rmse:.4f}"
    )
    for trial in potential.fit.trials:
        b = trial.basis
        print(
            f"    {trial.stage:8} {b.radial:10} {b.radial_parameter:4} {b.cutoff:5} Å  l {b.l_weight}  "
            f"{b.n_functions:5}  evidence {trial.log_evidence:10.0f} nat  {trial.cost:6.0f} µs/atom  "
            f"{'*' if trial.chosen else ' '} {trial.reason}"
        )


if __name__ == "__main__":
    main()
