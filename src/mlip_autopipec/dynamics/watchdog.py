"""The watchdog: when an exploration must stop, the same for every engine."""

from dataclasses import dataclass

from monty.json import MSONable

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import EndReason


@dataclass
class StopRule(MSONable):
    """Limits of an exploration; the first one met ends it.

    Parameters
    ----------
    gamma
        Largest extrapolation grade, MaxVol scale (1 = inside the active set).
    smallest_distance
        Shortest distance as a fraction of the distance below which the potential's core begins,
        dimensionless. Closer atoms mean that the walk has left what any label could repair.
    temperature_ratio
        Largest instantaneous temperature over the thermostat's, dimensionless.
    """

    gamma: float = 10.0
    smallest_distance: float = 0.85
    temperature_ratio: float = 6.0

    def __post_init__(self) -> None:
        if self.gamma <= 1.0:
            raise ConfigError(f"'gamma' must be larger than 1, the edge of the active set, got {self.gamma}.")
        if not 0.0 <= self.smallest_distance <= 1.0:
            raise ConfigError(f"'smallest_distance' must be between 0 and 1, got {self.smallest_distance}.")
        if self.temperature_ratio <= 1.0:
            raise ConfigError(f"'temperature_ratio' must be larger than 1, got {self.temperature_ratio}.")

    def verdict(
        self, *, gamma: float, distance_ratio: float, temperature_ratio: float
    ) -> tuple[EndReason, float] | None:
        """Judge one step.

        Parameters
        ----------
        gamma
            Largest extrapolation grade over the atoms, MaxVol scale.
        distance_ratio
            Smallest distance over the distance where the core begins, dimensionless.
        temperature_ratio
            Temperature over the thermostat's, dimensionless.

        Returns
        -------
        tuple or None
            The limit that was met and the value that met it; none if the walk may go on. A broken
            geometry is named before the extrapolation that it brings with it.
        """
        if distance_ratio < self.smallest_distance:
            return "smallest_distance", distance_ratio
        if temperature_ratio > self.temperature_ratio:
            return "temperature", temperature_ratio
        if gamma > self.gamma:
            return "gamma", gamma
        return None
