"""Does the potential hold atoms together? Constant-energy MD and dimer scans, with the potential alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from jobflow import Maker, job
from numpy.typing import NDArray
from scipy.optimize import newton

from mlip_autopipec.ace import RISES_BELOW, SCAN_FROM, AceCalculator, AcePotential, dimer_scan, load_potential
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.numerics import isotropic_repeat
from mlip_autopipec.schemas import AtomicStructure, Check, PotentialDoc, StabilityDoc
from mlip_autopipec.units import EV_PER_A3_TO_GPA
from mlip_autopipec.validation.base import above, check

Array = NDArray[np.float64]
_SCAN_STEP = 0.02
_COMPRESSION_STEP = 0.005
_SCALES = (0.75, 1.1)  # of the crystal's lengths, within which a pressure is looked for


@dataclass
class StabilityMaker(Maker):
    """Run short constant-energy MD and scan the dimers of every pair.

    Parameters
    ----------
    name
        Name of the job.
    n_atoms
        Smallest number of atoms of the MD cell.
    n_steps
        Number of MD steps.
    timestep
        Time step in fs.
    temperature
        Temperature to be held, in K; velocities start at twice that, half of which becomes potential energy.
    pressure
        Pressure in GPa that the crystal is brought to before; 0 to take it as it is.
    max_drift
        Largest drift of the total energy over the run that passes, in eV/atom.
    min_pressure
        Smallest pressure in GPa that the crystal must bear under even compression, beyond that of the run.
    seed
        Seed of the velocities.
    """

    name: str = "validate stability"
    n_atoms: int = 64
    n_steps: int = 500
    timestep: float = 1.0
    temperature: float = 1000.0
    pressure: float = 0.0
    max_drift: float = 0.001
    min_pressure: float = 20.0
    seed: int = 0

    @job(output_schema=StabilityDoc, data=["time", "total_energy", "dimer_energies", "dimer_distances"])
    def make(self, potential: PotentialDoc, structure: AtomicStructure) -> StabilityDoc:
        """Run MD from a crystal and scan dimers.

        Parameters
        ----------
        potential
            The potential.
        structure
            A crystal; repeated to the wanted size.

        Returns
        -------
        StabilityDoc
            Drift, grades, dimer curves and verdicts.
        """
        ace = load_potential(potential, Path.cwd())
        atoms = structure.to_ase()
        atoms = atoms.repeat(isotropic_repeat(atoms.cell.lengths(), len(atoms), self.n_atoms))
        if self.pressure:
            atoms = _compressed(ace, atoms, self.pressure)
        bears = _bears(ace, structure.to_ase()) if all(structure.pbc) else None
        energies, temperatures, gamma, lost = self._dynamics(ace, atoms)
        time = np.arange(len(energies)) * self.timestep
        drift = float(abs(np.polyfit(time, energies, 1)[0]) * time[-1])
        distances = np.arange(SCAN_FROM, potential.cutoff + 0.5 * _SCAN_STEP, _SCAN_STEP)
        scans = {
            pair: dimer_scan(
                lambda dimer: float(ace.evaluate(dimer, gamma=False).energies.sum()), pair, distances
            )
            for pair in potential.core.r_in
        }
        return StabilityDoc(
            n_atoms=len(atoms),
            n_steps=len(energies) - 1,
            timestep=self.timestep,
            temperature=float(np.mean(temperatures[len(temperatures) // 2 :])),
            energy_drift=drift,
            gamma_max=gamma,
            lost_atoms=lost,
            pressure=self.pressure,
            bears_pressure=bears,
            time=time.tolist(),
            total_energy=(energies - energies[0]).tolist(),
            dimer_distances=distances.tolist(),
            dimer_energies={pair: scan.tolist() for pair, scan in scans.items()},
            checks=[
                check("energy drift in NVE", drift, self.max_drift, "eV/atom", kind="stability"),
                check("lost atoms in NVE", lost, 0.0, "atoms", kind="stability"),
                *self._compression(bears),
                *(
                    _rises(pair, distances, scan, RISES_BELOW * potential.core.r_in[pair])
                    for pair, scan in scans.items()
                ),
            ],
        )

    def _compression(self, bears: float | None) -> list[Check]:
        if bears is None:
            return []
        least = self.pressure + self.min_pressure
        warn = self.pressure + 0.5 * self.min_pressure
        return [above("even compression is borne up to", bears, least, "GPa", warn=warn, kind="stability")]

    def _dynamics(self, ace: AcePotential, atoms: Atoms) -> tuple[Array, list[float], float | None, int]:
        """Return total energies per atom in eV, temperatures in K, largest gamma, number of lost atoms."""
        rng = np.random.default_rng(self.seed)
        thermalize_momenta(atoms, temperature_K=2.0 * self.temperature, rng=rng)
        Stationary(atoms)
        atoms.calc = AceCalculator(ace)
        energies = [atoms.get_total_energy() / len(atoms)]
        temperatures, gamma = [atoms.get_temperature()], 0.0 if ace.has_gamma else None
        dynamics = VelocityVerlet(atoms, timestep=self.timestep * units.fs)
        for _ in range(self.n_steps):
            dynamics.run(1)
            energies.append(atoms.get_total_energy() / len(atoms))
            temperatures.append(atoms.get_temperature())
            if gamma is not None:
                gamma = max(gamma, float(atoms.calc.results["gamma"].max()))
        if not np.isfinite(energies).all():
            raise CalculationError("the total energy of the NVE run is not finite.", directory=Path.cwd())
        travelled = np.linalg.norm(atoms.positions - atoms.get_positions(wrap=True), axis=1)
        lost = int(np.sum(travelled > 2.0 * atoms.cell.lengths().max()))
        return np.array(energies), temperatures, gamma, lost


def _rises(pair: str, distances: Array, energies: Array, r_in: float) -> Check:
    """Count the places inside the core where the energy falls on the way in."""
    reach = RISES_BELOW * r_in
    inside = energies[distances <= reach]
    return check(
        f"falls of the {pair} dimer below {reach:.2f} Å",
        float((np.diff(inside) >= 0).sum()),
        0.0,
        "1",
        kind="stability",
    )


def _bears(ace: AcePotential, crystal: Atoms) -> float:
    """Compress a crystal evenly until it gives way; return the largest pressure on the way in GPa."""
    pressures: list[float] = []
    for scale in np.arange(1.0, _SCALES[0], -_COMPRESSION_STEP):
        pressure = _pressure(ace, crystal, float(scale))
        if pressures and pressure < pressures[-1]:
            break
        pressures.append(pressure)
    return pressures[-1]


def _pressure(ace: AcePotential, crystal: Atoms, scale: float) -> float:
    found = ace.evaluate(_scaled(crystal, scale), gamma=False)
    volume = crystal.get_volume() * scale**3
    return EV_PER_A3_TO_GPA * float(np.trace(found.virial)) / (3.0 * volume)


def _compressed(ace: AcePotential, atoms: Atoms, pressure: float) -> Atoms:
    """Scale a crystal evenly until the potential says it is under a pressure in GPa, without motion."""
    low, high = _SCALES

    def excess(scale: float) -> float:
        if not low < scale < high:
            raise CalculationError(
                f"no cell between {low:g} and {high:g} times the lengths is under {pressure:g} GPa.",
                hint="let the walks go there, or lower their pressure: the potential knows no such cell.",
                directory=Path.cwd(),
            )
        return _pressure(ace, atoms, scale) - pressure

    # From the crystal on by small steps: far from it the potential has learned nothing.
    return _scaled(atoms, float(newton(excess, 1.0, x1=0.995, tol=1.0e-6, maxiter=50)))


def _scaled(atoms: Atoms, scale: float) -> Atoms:
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array * scale, scale_atoms=True)
    return moved
