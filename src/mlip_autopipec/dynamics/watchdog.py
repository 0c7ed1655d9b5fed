"""The watchdog: when an exploration must stop, the same for every engine."""

from dataclasses import dataclass, replace
from math import isnan
from typing import Literal, Self

from monty.json import MSONable

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import EndReason


@dataclass(frozen=True)
class Signs:
    """What the watchdog looks at. An engine that has no such quantity leaves its sign at rest.

    Parameters
    ----------
    gamma
        Largest extrapolation grade over the atoms, MaxVol scale.
    distance_ratio
        Smallest distance over the distance where the core begins, dimensionless.
    temperature_ratio
        Temperature over the thermostat's at this step, dimensionless.
    pressure
        Pressure in GPa, of either sign.
    energy_change
        Energy per atom minus that of the first step in eV, of either sign: total energy where it is
        conserved, potential energy elsewhere.
    """

    gamma: float
    distance_ratio: float = float("inf")
    temperature_ratio: float = 0.0
    pressure: float = 0.0
    energy_change: float = 0.0


@dataclass(frozen=True)
class Limit:
    """One limit, for a verdict in Python and for a line of input alike.

    Parameters
    ----------
    reason
        Why an exploration ends that meets it.
    operator
        ``"<"`` or ``">"``: the sign, or its size, is beyond the value.
    value
        In the unit of the sign.
    """

    reason: EndReason
    operator: Literal["<", ">"]
    value: float

    def met(self, sign: float) -> bool:
        """Say whether a sign is beyond the limit.

        Parameters
        ----------
        sign
            The sign, in its own unit.

        Returns
        -------
        bool
            Whether it is; a sign that is not a number is not.
        """
        return sign < self.value if self.operator == "<" else sign > self.value


@dataclass
class StopRule(MSONable):
    """Limits of an exploration; the first one met ends it.

    Atoms that are lost and numbers that are none end it always.

    Parameters
    ----------
    gamma
        Largest extrapolation grade, MaxVol scale (1 = inside the active set).
    smallest_distance
        Shortest distance as a fraction of the distance below which the potential's core begins,
        dimensionless. Closer atoms mean that the walk has left what any label could repair.
    temperature_ratio
        Largest instantaneous temperature over the thermostat's, dimensionless.
    largest_pressure
        Largest pressure in GPa, compression or tension; none for no limit.
    energy_change
        Largest change of the energy per atom since the run began in eV, up or down; none for no limit. In
        NVE it is the total energy that is looked at (a drift), elsewhere the potential energy (a fall into
        a hole, an explosion), which heating and melting change by some 0.1 eV/atom.
    """

    gamma: float = 10.0
    smallest_distance: float = 0.85
    temperature_ratio: float = 6.0
    largest_pressure: float | None = None
    energy_change: float | None = None

    def __post_init__(self) -> None:
        if self.gamma <= 1.0:
            raise ConfigError(f"'gamma' must be larger than 1, the edge of the active set, got {self.gamma}.")
        if not 0.0 <= self.smallest_distance <= 1.0:
            raise ConfigError(f"'smallest_distance' must be between 0 and 1, got {self.smallest_distance}.")
        if self.temperature_ratio <= 1.0:
            raise ConfigError(f"'temperature_ratio' must be larger than 1, got {self.temperature_ratio}.")
        if self.largest_pressure is not None and self.largest_pressure <= 0.0:
            raise ConfigError(f"'largest_pressure' must be positive, got {self.largest_pressure} GPa.")
        if self.energy_change is not None and self.energy_change <= 0.0:
            raise ConfigError(f"'energy_change' must be positive, got {self.energy_change} eV/atom.")

    def limits(self) -> list[Limit]:
        """List the limits in the order in which they are named if several are met at once.

        Returns
        -------
        list[Limit]
            A broken geometry comes before the extrapolation that it brings with it.
        """
        limits = [
            Limit("smallest_distance", "<", self.smallest_distance),
            Limit("temperature", ">", self.temperature_ratio),
        ]
        if self.largest_pressure is not None:
            limits.append(Limit("pressure", ">", self.largest_pressure))
        if self.energy_change is not None:
            limits.append(Limit("energy", ">", self.energy_change))
        return [*limits, Limit("gamma", ">", self.gamma)]

    def at(self, gamma: float) -> Self:
        """Put the limit of gamma elsewhere.

        Parameters
        ----------
        gamma
            The new limit, MaxVol scale.

        Returns
        -------
        StopRule
            The rule with the new limit.
        """
        return replace(self, gamma=gamma)

    def verdict(self, signs: Signs) -> tuple[EndReason, float] | None:
        """Judge one step.

        Parameters
        ----------
        signs
            What was seen.

        Returns
        -------
        tuple or None
            The limit that was met and the value that met it; none if the walk may go on.
        """
        seen: dict[EndReason, float] = {
            "smallest_distance": signs.distance_ratio,
            "temperature": signs.temperature_ratio,
            "pressure": abs(signs.pressure),
            "energy": abs(signs.energy_change),
            "gamma": signs.gamma,
        }
        for limit in self.limits():
            if limit.met(seen[limit.reason]):
                return limit.reason, seen[limit.reason]
        if any(isnan(value) for value in seen.values()):
            return "not_finite", float("nan")
        return None
