"""Accuracy on the published Cu, Si and Mo sets of Zuo et al., J. Phys. Chem. A 124, 731 (2020).

    python benchmarks/zuo.py FOLDER [ELEMENT ...] [--max-cost 400]

FOLDER holds ``Cu_train.extxyz.gz``, ``Cu_test.extxyz.gz`` and so on. Test errors with the basis as it is by
default and with the one that the tuner chooses, beside the published ones of GAP and MTP; size of the basis,
wall time and peak memory, and the tuner's decision table.
"""

import argparse
import gzip
import resource
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from _record import Record, parser

from mlip_autopipec.ace import load_potential
from mlip_autopipec.schemas import ErrorStatistics, Fingerprint, ParityPoint, PotentialDoc
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


@dataclass(frozen=True)
class Fitted:
    """A fit to a whole training set."""

    potential: PotentialDoc
    errors: ErrorStatistics
    seconds: float

    def row(self, element: str, name: str) -> list[object]:
        """Cells of the table."""
        errors, basis = self.errors, self.potential.fit.basis
        return [
            element,
            name,
            f"{1e3 * errors.energy_mae:.2f}",
            f"{errors.force_mae:.4f}",
            f"{1e3 * errors.energy_rmse:.2f}",
            f"{errors.force_rmse:.4f}",
            sum(self.potential.n_functions.values()),
            f"{basis.radial}, {basis.cutoff} Å, l {basis.l_weight}",
            f"{self.seconds:.0f}",
        ]


def main() -> None:
    """Fit, and write the page after each element."""
    command = parser(__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("elements", nargs="*", default=list(PUBLISHED))
    command.add_argument("--max-cost", type=float, default=400.0, help="ceiling in µs/atom")
    command.add_argument("--force-sigma", type=float, default=0.1, help="eV/Å, beside 1 meV/atom")
    given = command.parse_args()
    rows, trials = [], {}
    for element in given.elements:
        for name, tuner in (
            ("default basis", None),
            ("tuned", BasisTuner(max_cost=given.max_cost, sizes=(200, 550, 1000))),
        ):
            found = fit(given, element, tuner)
            rows.append(found.row(element, name))
            trials[element] = found.potential.fit.trials
        for name, errors in zip(("GAP", "MTP"), PUBLISHED[element], strict=True):
            rows.append([element, f"{name}, published", *errors, *["" for _ in range(5)]])
    record = Record("accuracy", "Accuracy on published sets", given.out, "of the tuner's sample: 0")
    header = ["element", "potential", "MAE meV/atom", "MAE eV/Å", "RMSE meV/atom", "RMSE eV/Å"]
    record.table([*header, "functions", "basis", "s"], rows, "Errors on the published test sets.")
    record.say(f"Peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.1f} GiB.")
    for element, some in trials.items():
        record.say(f"## {element}: what the tuner tried")
        record.table(
            ["stage", "basis", "functions", "log evidence [nat]", "µs/atom", "", "reason"],
            [
                [
                    trial.stage,
                    f"{trial.basis.radial} {trial.basis.radial_parameter}, {trial.basis.cutoff} Å, "
                    f"l {trial.basis.l_weight}",
                    trial.basis.n_functions,
                    f"{trial.log_evidence:.0f}",
                    f"{trial.cost:.0f}",
                    "chosen" if trial.chosen else "",
                    trial.reason,
                ]
                for trial in some
            ],
        )


def fit(given: argparse.Namespace, element: str, tuner: BasisTuner | None) -> Fitted:
    """Fit one element and look at its test set."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        train, test = (read(given.folder, element, part, scratch) for part in ("train", "test"))
        maker = LinearAceFitMaker(
            cutoff=CUTOFF[element], force_sigma=given.force_sigma, tuner=tuner, **SETTINGS
        )
        begin = perf_counter()
        potential = maker.fit([train], scratch)
        seconds = perf_counter() - begin
        points = ParityPoint.predict(load_potential(potential, scratch), test.labels, potential.e0)
    return Fitted(potential, ErrorStatistics.from_parity(points), seconds)


if __name__ == "__main__":
    main()
