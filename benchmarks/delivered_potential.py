"""Check what a finished run delivered, from its files alone: `delivered_potential.py RUN_DIR TEMPERATURE`."""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from pyace import PyACECalculator

from mlip_autopipec.ace import AceCalculator, AcePotential, PairBaseline, dimer_scan
from mlip_autopipec.numerics import isotropic_repeat
from mlip_autopipec.schemas import BaselineDoc


def main(run: Path, temperature: float) -> None:
    folder = run / "potential"
    card = json.loads((folder / "potential.json").read_text())
    baseline = None if card["baseline"] is None else PairBaseline.from_record(BaselineDoc(**card["baseline"]))
    ace = AcePotential(folder / "potential.yaml", folder / "potential.asi", baseline)
    ours = AceCalculator(ace, card["e0"])
    atoms = bulk(card["elements"][0], cubic=True)
    atoms = atoms.repeat(isotropic_repeat(atoms.cell.lengths(), len(atoms), 64))

    compared = atoms.copy()
    compared.rattle(0.1, seed=1)
    print("python-ace alone against ours, 64 rattled atoms")
    for name in ("potential.yaml", "potential.yace"):
        mine, alone = compared.copy(), compared.copy()
        mine.calc, alone.calc = ours, PyACECalculator(str(folder / name))
        e0 = sum(card["e0"][s] for s in alone.get_chemical_symbols())
        if baseline is not None:
            mine.calc = AceCalculator(AcePotential(folder / name), card["e0"])
        energy = abs(mine.get_potential_energy() - alone.get_potential_energy() - e0)
        forces = np.abs(mine.get_forces() - alone.get_forces()).max()
        print(f"  {name:15s} energy {energy:.1e} eV   forces {forces:.1e} eV/Å")

    thermalize_momenta(atoms, temperature_K=2 * temperature, rng=np.random.default_rng(0))
    Stationary(atoms)
    atoms.calc = ours
    start, begin = atoms.get_total_energy() / len(atoms), perf_counter()
    VelocityVerlet(atoms, timestep=1.0 * units.fs).run(500)
    spent = perf_counter() - begin
    drift = atoms.get_total_energy() / len(atoms) - start
    print(f"NVE: {len(atoms)} atoms, 500 steps of 1 fs, now {atoms.get_temperature():.0f} K")
    print(f"  total energy changed by {drift:+.1e} eV/atom; {len(atoms)} atoms left")
    print(f"  {1e6 * spent / 500 / len(atoms):.0f} µs per atom and step")

    for pair in card["core"]["r_in"]:
        distances = np.arange(0.4, card["core"]["r_in"][pair], 0.01)

        def energy_of(dimer: Atoms) -> float:
            return float(ace.evaluate(dimer, gamma=False).energies.sum())

        energies = dimer_scan(energy_of, pair, distances)
        falls = int((np.diff(energies) >= 0).sum())
        print(
            f"dimer {pair}: {energies[0]:.0f} eV at 0.40 Å, {energies[-1]:.2f} eV at {distances[-1]:.2f} Å, "
            f"{falls} falls on the way in"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
