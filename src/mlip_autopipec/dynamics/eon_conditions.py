"""What an adaptive kinetic Monte Carlo run is told, and how eOn is told it."""

from dataclasses import dataclass
from typing import Literal, get_args

from mlip_autopipec.dynamics.eon_input import CLIENT, Options
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.units import PS_TO_FS

Method = Literal["akmc", "parallel_replica"]
Displace = Literal["least_coordinated", "under_coordinated", "random"]

_CHOICES = {"method": get_args(Method), "displace": get_args(Displace)}
_DISPLACED = 5.0  # eV; what a displacement of the first neighbours puts in at the start (docs/kmc.md)
_NEVER = 2.0  # a confidence that is never reached


@dataclass
class KmcConditions:
    """Fields of an adaptive kinetic Monte Carlo run; a mix-in of its Maker.

    Parameters
    ----------
    method
        ``"akmc"`` (searches for saddles, adaptive kinetic Monte Carlo) or ``"parallel_replica"`` (molecular
        dynamics of replicas until one leaves the state; knows no barriers).
    temperature
        Temperature of the rates, or of the replicas, in K.
    prefactor
        Prefactor of all rates in 1/s, or ``"htst"`` to compute each by harmonic transition state theory.
    prefactor_radius
        Distance in Å to the moving atoms within which atoms vibrate in that; less than the whole cell.
    confidence
        Confidence that no relevant event of a state is missing at which a step is taken, between 0 and 1.
    n_steps
        Kinetic Monte Carlo steps of a run.
    max_states
        States after which a run ends.
    max_time
        Simulated time after which a run ends in s; none for no limit.
    max_wall_time
        Wall time after which a run ends in s; what it found until then is kept.
    displacement
        Standard deviation of the displacements that a search begins with in Å.
    displacement_radius
        Radius about its centre within which atoms are displaced in Å; none for its first neighbours.
    displace
        Which atoms are centres: ``"least_coordinated"`` (vacancies, adatoms), ``"under_coordinated"`` or
        ``"random"``.
    converged_force
        Norm of the force over all atoms below which minima and saddles are converged in eV/Å.
    max_barrier
        Largest barrier of an event in eV; higher ones are refused.
    thermal_window
        Events whose barrier is higher than the lowest by more than this are left out, in units of kT.
    superbasin
        Whether states joined by low barriers are left together (eOn's Monte Carlo with absorbing Markov
        chains).
    batch
        Searches between two looks at the run.
    max_halts
        Searches ended by the watchdog after which a run ends: what they met is to be labelled first.
    max_force_calls
        Force calls after which a search is stuck and ended.
    max_idle
        Looks in a row without any finished search after which a run ends as failed.
    n_confirm
        Number of the lowest barriers of a state that the oracle confirms before a step is taken; 0 for none.
    barrier_tolerance
        Difference between the oracle's barrier and the potential's that is tolerated then in eV.
    max_confirm
        Times that the oracle is asked for one kind of event; then its error is reported and the run goes on.
    timestep
        Time step of replicas in fs.
    replica_time
        Time that a replica walks between two looks in ps.
    check_time
        Time in ps between two looks of a replica whether it left the state, and which it takes to forget
        where it started.
    """

    method: Method = "akmc"
    temperature: float = 300.0
    prefactor: float | Literal["htst"] = 1.0e12
    prefactor_radius: float = 4.0
    confidence: float = 0.95
    n_steps: int = 10
    max_states: int = 50
    max_time: float | None = None
    max_wall_time: float = 3600.0
    displacement: float = 0.2
    displacement_radius: float | None = None
    displace: Displace = "least_coordinated"
    converged_force: float = 0.01
    max_barrier: float = 5.0
    thermal_window: float = 20.0
    superbasin: bool = False
    batch: int = 6
    max_halts: int = 4
    max_force_calls: int = 2000
    max_idle: int = 3
    n_confirm: int = 3
    barrier_tolerance: float = 0.01
    max_confirm: int = 3
    timestep: float = 2.0
    replica_time: float = 2.0
    check_time: float = 0.4

    def __post_init__(self) -> None:
        positive: tuple[str, ...] = ("temperature", "max_wall_time", "displacement")
        positive += ("converged_force", "max_barrier", "thermal_window", "barrier_tolerance")
        positive += ("timestep", "replica_time", "check_time", "prefactor_radius")
        for name in positive:
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name!r} must be positive, got {getattr(self, name)}.")
        counts = ("n_steps", "max_states", "batch", "max_halts", "max_force_calls", "max_idle", "max_confirm")
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name!r} must be at least 1, got {getattr(self, name)}.")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name!r} must be {' or '.join(known)}, got {getattr(self, name)!r}.")
        self._check_ranges()

    def _check_ranges(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            raise ConfigError(f"'confidence' must lie between 0 and 1, got {self.confidence}.")
        if self.displacement_radius is not None and not self.displacement_radius > 0.0:
            raise ConfigError(f"'displacement_radius' must be positive, got {self.displacement_radius} Å.")
        if self.n_confirm < 0:
            raise ConfigError(f"'n_confirm' must not be negative, got {self.n_confirm}.")
        if self.prefactor != "htst" and not 1.0e9 <= float(self.prefactor) <= 1.0e16:
            raise ConfigError(
                f"'prefactor' must lie between 1e9 and 1e16 1/s or be htst, got {self.prefactor}."
            )
        if self.max_time is not None and not self.max_time > 0.0:
            raise ConfigError(f"'max_time' must be positive, got {self.max_time} s.")

    @property
    def dynamical(self) -> bool:
        """Whether states are left by dynamics, not over saddles that were searched."""
        return self.method == "parallel_replica"

    @property
    def max_calls(self) -> int:
        """Force calls after which a search or a replica is stuck."""
        # As long again: the time of a transition is sought behind it.
        times = 2.0 * self.replica_time + 4.0 * self.check_time
        return self.max_force_calls + self.dynamical * round(PS_TO_FS * times / self.timestep)

    def options(self, neighbour_cutoff: float, seed: int, *, may_step: bool = True) -> Options:
        """Render the configuration of eOn's server.

        Parameters
        ----------
        neighbour_cutoff
            Distance in Å within which atoms are neighbours: it tells the centres and compares structures.
        seed
            Seed of eOn's random numbers.
        may_step
            Whether a step may be taken; not while a search of the state was too uncertain to be followed.

        Returns
        -------
        dict
            Values by section and key.
        """
        looks = PS_TO_FS * self.check_time
        return {
            "Main": {"job": self.method, "temperature": self.temperature, "random_seed": seed},
            "Potential": {"potential": "ext_pot", "ext_pot_path": "/bin/false"},  # the client brings its own
            "AKMC": {
                "confidence": self.confidence if may_step else _NEVER,
                "max_kmc_steps": 1,  # a pass
                "thermally_accessible_window": self.thermal_window,
            },
            "Communicator": {
                "type": "local",
                "client_path": f"./{CLIENT}",
                "number_of_CPUs": 1,
                "num_jobs": self.batch,
            },
            "Process Search": {"minimize_first": True},
            "Saddle Search": {
                "method": "min_mode",
                "min_mode_method": "dimer",
                f"displace_{self.displace}_weight": 1.0,
                "displace_magnitude": self.displacement,
                "displace_radius": self.displacement_radius or neighbour_cutoff,
                "max_energy": self.max_barrier + _DISPLACED,
                "max_iterations": 150,
                "zero_mode_abort_curvature": 1.0e-3,  # eV/Å^2; back in the minimum, following a translation
                "converged_force": self.converged_force,
            },
            "Optimizer": {
                "opt_method": "lbfgs",
                "converged_force": self.converged_force,
                "max_iterations": 500,
            },
            "Dynamics": {
                "time_step": self.timestep,
                "time": PS_TO_FS * self.replica_time,
                "thermostat": "langevin",
            },
            "Parallel Replica": {
                "dephase_time": looks,
                "state_check_interval": looks,
                "post_transition_time": looks,
                "state_save_interval": looks / 4.0,
            },
            "Structure Comparison": {"neighbor_cutoff": neighbour_cutoff},
            # Of atoms near those that move. With all atoms eOn takes translations for negative modes.
            "Prefactor": {
                "default_value": 0 if self.prefactor == "htst" else self.prefactor,
                "filter_scheme": "cutoff",
                "within_radius": self.prefactor_radius,
            },
            "Coarse Graining": {"use_mcamc": self.superbasin},
            "Debug": {"interactive_shell": False},
        }
