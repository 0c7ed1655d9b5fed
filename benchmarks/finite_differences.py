"""Forces and stress of the pw.x oracle against central differences of its own energies.

    python benchmarks/finite_differences.py FOLDER [SYSTEM ...]

FOLDER holds UPF files (Debian's ``/usr/share/espresso/pseudo`` has all that is needed). Cells are small and
cut-offs low: forces are derivatives of the energy at any cut-off, a stress is so at a constant basis only.
The basis changes with the cell, so a low cut-off shows as a difference of the stress (Pulay), which
shrinks as the cut-off grows.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from mlip_autopipec.oracle import QeStaticMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.units import EV_PER_A3_TO_GPA

STEP = 0.01  # Å
STRAIN = 0.004
COMPONENTS = {"xx": (0, 0), "xy": (0, 1)}


@dataclass(frozen=True)
class System:
    """A displaced cell, the oracle for it, and names of pseudopotentials that will do, the best first."""

    atoms: Atoms
    maker: QeStaticMaker
    files: dict[str, tuple[str, ...]]
    cutoffs: tuple[float, ...]


def displaced(atoms: Atoms) -> Atoms:
    """Displace and shear, so that no force and no stress is zero by symmetry."""
    atoms.rattle(0.08, seed=1)
    shear = np.array([[1.01, 0.02, 0.0], [0.02, 0.99, 0.0], [0.0, 0.01, 1.0]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


SYSTEMS = {
    "Si": System(
        displaced(bulk("Si", a=5.43)),
        QeStaticMaker(functional="PBE", k_spacing=0.9, conv_thr=1e-11),
        {"Si": ("Si.upf", "Si.pbe-rrkj.UPF")},
        (16.0, 28.0, 40.0),
    ),
    "Al (smearing)": System(
        displaced(bulk("Al", cubic=True)),
        QeStaticMaker(functional="LDA", k_spacing=0.6, smearing="mv", degauss=0.02, conv_thr=1e-11),
        {"Al": ("Al.pz-vbc.UPF",)},
        (12.0, 20.0, 36.0),
    ),
    "MgO": System(
        displaced(bulk("MgO", "rocksalt", a=4.21)),
        QeStaticMaker(functional="LDA", k_spacing=1.2, conv_thr=1e-11),
        {"Mg": ("Mg.pz-n-vbc.UPF",), "O": ("O.pz-rrkjus.UPF",)},
        (30.0, 45.0, 70.0),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of UPF files")
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS), help=", ".join(SYSTEMS))
    arguments = parser.parse_args()
    os.environ["MLIP_AUTO_PSEUDO_DIR"] = str(arguments.folder)
    print(f"{'system':<14} {'Ry':>4}  {'what':<9} {'pw.x':>10} {'differences':>12} {'off':>9}  unit")
    for name in arguments.systems:
        system = SYSTEMS[name]
        files = {
            element: next((file for file in names if (arguments.folder / file).exists()), None)
            for element, names in system.files.items()
        }
        if None in files.values():
            print(f"{name:<14} skipped: the folder has none of {system.files}")
            continue
        for cutoff in system.cutoffs:
            maker = replace(system.maker, ecutwfc=cutoff, pseudopotentials=files)
            compare(f"{name:<14} {cutoff:4g}", system.atoms, maker)


def compare(title: str, atoms: Atoms, maker: QeStaticMaker) -> None:
    """Print one line a component."""
    here = labelled(atoms, maker)
    for axis in range(2):
        energies = [labelled(moved(atoms, sign * STEP, axis), maker).energy for sign in (1, -1)]
        show(
            title,
            f"F 1{'xyz'[axis]}",
            here.forces[1][axis],
            -(energies[0] - energies[1]) / (2 * STEP),
            1.0,
            "eV/Å",
        )
    for what, component in COMPONENTS.items():
        energies = [labelled(sheared(atoms, sign * STRAIN, component), maker).energy for sign in (1, -1)]
        derivative = (energies[0] - energies[1]) / (2 * STRAIN) / atoms.get_volume()
        stress = here.stress[component[0], component[1]]
        show(title, f"stress {what}", stress, derivative, EV_PER_A3_TO_GPA, "GPa")


def show(title: str, what: str, analytic: float, numeric: float, factor: float, unit: str) -> None:
    values = factor * analytic, factor * numeric
    print(
        f"{title}  {what:<9} {values[0]:10.4f} {values[1]:12.4f} {values[0] - values[1]:9.4f}  {unit}",
        flush=True,
    )


def labelled(atoms: Atoms, maker: QeStaticMaker):
    with tempfile.TemporaryDirectory() as folder:
        return maker.compute(AtomicStructure.from_ase(atoms), Path(folder))


def moved(atoms: Atoms, by: float, axis: int) -> Atoms:
    other = atoms.copy()
    other.positions[1, axis] += by
    return other


def sheared(atoms: Atoms, by: float, component: tuple[int, int]) -> Atoms:
    """Apply a symmetric strain whose only independent component is the given one."""
    strain = np.zeros((3, 3))
    strain[component] += by / 2
    strain[component[::-1]] += by / 2
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return other


if __name__ == "__main__":
    main()
