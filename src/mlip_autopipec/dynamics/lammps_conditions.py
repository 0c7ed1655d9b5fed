"""The conditions of a molecular dynamics walk: ensemble, ramps, deformation, exchange of atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

from mlip_autopipec.errors import ConfigError

Vector = tuple[float, float, float]

_CHOICES = {"ensemble": ("nve", "nvt", "npt"), "coupling": ("iso", "aniso", "tri")}


@dataclass
class MDConditions:
    """What both LAMMPS back ends are told of the dynamics.

    Parameters
    ----------
    timestep
        Time step in fs.
    ensemble
        ``"nvt"`` or ``"npt"`` (Nose-Hoover chains), or ``"nve"``.
    coupling
        What ``"npt"`` lets go: ``"iso"`` the volume, ``"aniso"`` the three edges, ``"tri"`` the angles too.
    pressure
        Pressure of the barostat in GPa; for ``"npt"`` only.
    temperature_end
        Temperature in K that a ramp ends at with the last step of the walk, from the walker's; none for a
        constant one. A walk that was halted goes on with the ramp where it was.
    pressure_end
        Pressure in GPa that a ramp ends at, likewise.
    strain_rate
        True strain rates in 1/ps along x, y, z, 0 for an edge that is left alone; none for no deformation.
        With ``"npt"`` the barostat has the other edges.
    damping
        Relaxation time of the thermostat in time steps; the barostat's is ten times longer.
    swap_every
        Steps between two Monte Carlo moves that exchange atoms of two elements; 0 for none.
    swap_attempts
        Exchanges tried each time, of each pair of elements.
    swap_pairs
        Pairs ``'A-B'`` that are exchanged; all pairs of the potential's elements by default.
    swap_temperature
        Temperature of the Monte Carlo moves in K; the walker's by default.
    swap_rescale
        Whether exchanged atoms keep their kinetic energy; else they keep their velocity.
    chemical_potentials
        By element in eV: then atoms change their element instead (semi-grand canonical); none to exchange.
    gamma_every
        Steps between two grades of extrapolation, two looks of the watchdog and two lines of the log.
    """

    timestep: float = 1.0
    ensemble: Literal["nve", "nvt", "npt"] = "npt"
    coupling: Literal["iso", "aniso", "tri"] = "iso"
    pressure: float = 0.0
    temperature_end: float | None = None
    pressure_end: float | None = None
    strain_rate: Vector | None = None
    damping: float = 100.0
    swap_every: int = 0
    swap_attempts: int = 10
    swap_pairs: tuple[str, ...] | None = None
    swap_temperature: float | None = None
    swap_rescale: bool = True
    chemical_potentials: dict[str, float] | None = None
    gamma_every: int = 5

    def __post_init__(self) -> None:
        if self.timestep <= 0.0:
            raise ConfigError(f"'timestep' must be positive, got {self.timestep} fs.")
        if self.gamma_every < 1:
            raise ConfigError(f"'gamma_every' must be at least 1, got {self.gamma_every}.")
        if self.damping <= 0.0:
            raise ConfigError(f"'damping' must be positive, got {self.damping} steps.")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"'{name}' must be {', '.join(known)}, got {getattr(self, name)!r}.")
        self._check_ramps()
        self._check_strain()
        self._check_swaps()

    def temperature_at(self, begin: float, step: int, n_steps: int) -> float:
        """Return the thermostat's temperature.

        Parameters
        ----------
        begin
            Temperature at step 0 in K.
        step
            Step of the walk.
        n_steps
            Steps of the whole walk.

        Returns
        -------
        float
            In K.
        """
        end = begin if self.temperature_end is None else self.temperature_end
        return begin + (end - begin) * step / n_steps

    def barostat_stretch(self, begin: float, step: int, n_steps: int) -> float:
        """Return the factor on the barostat's relaxation time that keeps its mass in a resumed ramp.

        LAMMPS computes that mass once, when a run begins, as ``(N + 1) k T p_damp^2`` (fix_nh.cpp,
        ``omega_mass``), with T of that moment: without the factor a walk that was halted in a temperature
        ramp would go on with another barostat.

        Parameters
        ----------
        begin
            Temperature at step 0 in K.
        step
            Step at which the run begins.
        n_steps
            Steps of the whole walk.

        Returns
        -------
        float
            Dimensionless; 1 without a ramp or at its beginning.
        """
        return sqrt(begin / self.temperature_at(begin, step, n_steps))

    def check_elements(self, elements: Sequence[str]) -> None:
        """Check that the moves are possible with the elements of a material.

        Parameters
        ----------
        elements
            Chemical symbols.

        Raises
        ------
        ConfigError
            They are not.
        """
        if self.swap_every == 0:
            return
        if self.chemical_potentials is None:
            self.swapped(elements)
        elif len(elements) < 2 or sorted(self.chemical_potentials) != sorted(elements):
            raise ConfigError(
                f"'chemical_potentials' must be of two elements or more, one each of {', '.join(elements)}, "
                f"got {', '.join(self.chemical_potentials)}."
            )

    def swapped(self, elements: Sequence[str]) -> list[tuple[str, str]]:
        """List the pairs of elements that are exchanged.

        Parameters
        ----------
        elements
            Chemical symbols of the material.

        Returns
        -------
        list[tuple]
            The pairs.

        Raises
        ------
        ConfigError
            A pair is not of these elements, or there is none.
        """
        pairs = self.swap_pairs or ["-".join(pair) for pair in combinations(elements, 2)]
        wrong = [pair for pair in pairs if len({*pair.split("-")} & {*elements}) != 2 or pair.count("-") != 1]
        if wrong or not pairs:
            raise ConfigError(
                f"'swap_pairs' must be pairs 'A-B' of two elements among {', '.join(elements)}, "
                f"got {', '.join(wrong) or 'none'}.",
                hint="set swap_every: 0 for a material of one element.",
            )
        return [(first, second) for first, second in (pair.split("-") for pair in pairs)]

    def _check_ramps(self) -> None:
        if self.temperature_end is not None:
            if self.temperature_end <= 0.0:
                raise ConfigError(f"'temperature_end' must be positive, got {self.temperature_end} K.")
            if self.ensemble == "nve":
                raise ConfigError("'temperature_end' needs a thermostat, got ensemble nve.")
        if self.pressure_end is not None and self.ensemble != "npt":
            raise ConfigError(f"'pressure_end' needs a barostat, got ensemble {self.ensemble}.")

    def _check_strain(self) -> None:
        if self.strain_rate is None:
            return
        if len(self.strain_rate) != 3 or not any(self.strain_rate):
            raise ConfigError(
                f"'strain_rate' must be three rates along x, y, z, not all 0, got {self.strain_rate}."
            )
        if self.ensemble != "npt":
            return
        if self.coupling != "aniso":
            raise ConfigError(
                f"'strain_rate' in npt needs edges that move apart, got coupling {self.coupling}.",
                hint="set coupling: aniso, or ensemble: nvt.",
            )
        if all(self.strain_rate):
            raise ConfigError("'strain_rate' along all edges leaves none to the barostat.", hint="use nvt.")

    def _check_swaps(self) -> None:
        if self.swap_every < 0 or self.swap_attempts < 1:
            raise ConfigError(
                "'swap_every' must not be negative and 'swap_attempts' must be at least 1, "
                f"got {self.swap_every} and {self.swap_attempts}."
            )
        if self.swap_every == 0:
            given = [n for n in ("swap_pairs", "swap_temperature", "chemical_potentials") if getattr(self, n)]
            if given:
                raise ConfigError(f"{', '.join(given)} needs 'swap_every', the steps between two moves.")
            return
        if self.swap_temperature is not None and self.swap_temperature <= 0.0:
            raise ConfigError(f"'swap_temperature' must be positive, got {self.swap_temperature} K.")
        if self.temperature_end is not None and self.swap_temperature is None:
            raise ConfigError(
                "exchange of atoms in a temperature ramp needs a temperature of its own.",
                hint="set swap_temperature: LAMMPS keeps that of Monte Carlo moves constant.",
            )
        if self.chemical_potentials is not None and self.swap_pairs is not None:
            raise ConfigError("give either 'swap_pairs' or 'chemical_potentials', got both.")
