"""Compare with results recorded by Pacemaker's own program: `recorded_potentials.py FOLDER`.

FOLDER holds `potentials/NAME.yaml`, `.yace`, `.asi` and `results/NAME.json` (frames with energies, forces,
stress, gamma and gamma_scale). Printed are the largest differences over all frames of each potential: of
energies, forces and stress over the largest component of the frame (at least 1 eV, 1 eV/Å and 1e-3 eV/Å^3),
of gamma over gamma_scale (the sum of the magnitudes that gamma is the sum of).
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential

COLUMNS = ("energies", "forces", "stress", "gamma", "yace_energy", "yace_forces", "yace_stress")
VOIGT = [0, 4, 8, 5, 2, 1]


def relative(found: np.ndarray, expected: np.ndarray, least: float) -> float:
    return float(np.abs(found - expected).max() / max(least, np.abs(expected).max()))


def differences(frame: dict, from_yaml: AcePotential, from_yace: AcePotential) -> dict[str, float]:
    atoms = Atoms(frame["symbols"], positions=frame["positions"], cell=frame["cell"], pbc=frame["pbc"])
    energies, forces = np.array(frame["energies"]), np.array(frame["forces"])
    yaml, yace = from_yaml.evaluate(atoms), from_yace.evaluate(atoms)
    off = {
        "energies": relative(yaml.energies, energies, 1.0),
        "forces": relative(yaml.forces, forces, 1.0),
        "gamma": float(np.max(np.abs(yaml.gamma - frame["gamma"]) / np.maximum(frame["gamma_scale"], 1e-12))),
        "yace_energy": relative(yace.energies.sum(), np.array(frame["yace_energy"]), 1.0),
        "yace_forces": relative(yace.forces, forces, 1.0),
    }
    if frame["stress"] is not None:
        for name, evaluation in (("stress", yaml), ("yace_stress", yace)):
            stress = -evaluation.virial.flat[VOIGT] / atoms.get_volume()
            off[name] = relative(stress, np.array(frame["stress"]), 1e-3)
    return off


def main(folder: Path) -> None:
    print(f"{'potential':32s} frames " + " ".join(f"{name:>11s}" for name in COLUMNS))
    for file in sorted((folder / "potentials").glob("*.yaml")):
        record = json.loads((folder / "results" / f"{file.stem}.json").read_text())
        potentials = AcePotential(file, file.with_suffix(".asi")), AcePotential(file.with_suffix(".yace"))
        worst = dict.fromkeys(COLUMNS, 0.0)
        for frame in record["frames"]:
            for name, value in differences(frame, *potentials).items():
                worst[name] = float(np.fmax(worst[name], value)) if np.isfinite(value) else np.inf
        print(f"{file.stem:32s} {len(record['frames']):6d} " + " ".join(f"{worst[c]:11.1e}" for c in COLUMNS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
