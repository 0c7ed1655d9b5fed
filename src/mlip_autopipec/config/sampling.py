"""Configuration of walks and of kinetic Monte Carlo."""

from typing import Annotated, Literal

from pydantic import Field

from mlip_autopipec.config.section import Count, Finite, Positive, Section


class ExplorationConfig(Section):
    """The walks."""

    temperatures: list[Positive] | None = Field(None, min_length=1, description="Temperatures [K].")
    n_steps: Count | None = Field(None, description="Steps of each walk [1].")
    timestep: Positive | None = Field(None, description="Time step [fs].")
    backend: Literal["auto", "program", "library"] | None = Field(
        None,
        description="LAMMPS as a program with ML-PACE, or in-process; 'auto': the program where the machine "
        "setting lammps_command is set.",
    )
    ensemble: Literal["nve", "nvt", "npt"] | None = Field(None, description="Ensemble.")
    coupling: Literal["iso", "aniso", "tri"] | None = Field(
        None, description="What npt lets go: the volume, the three edges, or the angles too."
    )
    pressure: Finite | None = Field(None, description="Pressure of the barostat [GPa].")
    temperature_end: Positive | None = Field(
        None, description="Temperature that every walk's ramp ends at; none for no ramp [K]."
    )
    pressure_end: Finite | None = Field(None, description="Pressure that every walk's ramp ends at [GPa].")
    strain_rate: tuple[Finite, Finite, Finite] | None = Field(
        None, description="True strain rates along x, y, z; 0 leaves an edge alone [1/ps]."
    )
    swap_every: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Steps between Monte Carlo moves that exchange atoms of two elements; 0: none [1]."
    )
    swap_attempts: Count | None = Field(None, description="Exchanges tried each time, of each pair [1].")
    swap_pairs: list[str] | None = Field(
        None, min_length=1, description="Pairs 'A-B' that are exchanged; all of the material by default."
    )
    swap_temperature: Positive | None = Field(
        None, description="Temperature of the Monte Carlo moves; the walk's by default [K]."
    )
    chemical_potentials: dict[str, Finite] | None = Field(
        None, description="By element: atoms then change their element (semi-grand canonical) [eV]."
    )
    gamma_halt: Annotated[float, Field(gt=1.0)] | None = Field(
        None, description="Extrapolation grade that halts a walk, MaxVol scale [1]."
    )
    gamma_select: Annotated[float, Field(ge=1.0)] | None = Field(
        None, description="Grade above which a frame becomes a candidate, MaxVol scale [1]."
    )
    tolerated_error: Positive | None = Field(
        None, description="Force error that is still good enough, of any atom of a halted frame [eV/Å]."
    )
    calibrated: bool | None = Field(
        None,
        description="Whether a walk halted by gamma goes on if its force errors are estimated below it.",
    )
    gamma_every: Count | None = Field(None, description="Steps between two grades [1].")
    smallest_distance: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="Distance that ends a walk, of that where the potential's core begins [1]."
    )
    temperature_ratio: Annotated[float, Field(gt=1.0)] | None = Field(
        None, description="Temperature that ends a walk, of the thermostat's [1]."
    )
    largest_pressure: Positive | None = Field(
        None, description="Pressure, of either sign, that ends a walk; none for no limit [GPa]."
    )
    energy_change: Positive | None = Field(
        None, description="Change of the energy since a run began that ends it; none for no limit [eV/atom]."
    )
    min_atoms: Count | None = Field(
        None, description="Smallest number of atoms that walk; smaller crystals are repeated [1]."
    )
    embed_above: Count | None = Field(
        None, description="Atoms above which a small periodic cell is cut out for the oracle [1]."
    )
    largest_whole: Count | None = Field(
        None, description="Atoms above which no frame is labelled whole, however bad its small cell is [1]."
    )
    policy: Literal["fixed", "adaptive"] | None = Field(
        None,
        description="'fixed': labels by given shares; 'adaptive': where they lower the expected error most.",
    )
    arms: dict[str, Annotated[float, Field(ge=0.0, allow_inf_nan=False)]] | None = Field(
        None,
        description="Explorers and their shares (fixed) or weights (adaptive), e.g. {md: 2, vacancy: 1} [1].",
    )
    arm_strain: Annotated[float, Field(gt=0.0, lt=0.5)] | None = Field(
        None, description="Largest strain of the structures that explorers beside MD make [1]."
    )
    offers: Count | None = Field(
        None, description="Uncertain structures that an adaptive policy asks each explorer beside MD for [1]."
    )


class KmcConfig(Section):
    """Adaptive kinetic Monte Carlo by eOn beside the walks."""

    defect: Literal["vacancy", "interstitial", "adatom"] | None = Field(
        None, description="What moves, in the first crystal; none for no kinetic Monte Carlo."
    )
    n_atoms: Annotated[int, Field(ge=8)] | None = Field(
        None, description="Smallest number of atoms of its cell, before the defect is made [1]."
    )
    method: Literal["akmc", "parallel_replica"] | None = Field(
        None, description="Saddle searches, or dynamics of replicas until one leaves its state."
    )
    temperature: Positive | None = Field(None, description="Temperature of the rates or replicas [K].")
    prefactor: Positive | Literal["htst"] | None = Field(
        None, description="Prefactor of all rates; htst: each by harmonic transition state theory [1/s]."
    )
    prefactor_radius: Positive | None = Field(
        None, description="Distance to the moving atoms within which atoms vibrate in that [Å]."
    )
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None, description="Confidence that a state's events are complete at which it is left [1]."
    )
    n_steps: Count | None = Field(None, description="Kinetic Monte Carlo steps with one potential [1].")
    max_states: Count | None = Field(None, description="States after which a run ends [1].")
    max_time: Positive | None = Field(None, description="Simulated time after which it ends [s].")
    max_wall_time: Positive | None = Field(None, description="Wall time after which it ends [s].")
    displacement: Positive | None = Field(
        None, description="Standard deviation of the displacements that a search begins with [Å]."
    )
    max_barrier: Positive | None = Field(None, description="Largest barrier of an event [eV].")
    superbasin: bool | None = Field(None, description="Whether states of low barriers are left together.")
    batch: Count | None = Field(None, description="Searches between two looks at a run [1].")
    max_halts: Count | None = Field(
        None, description="Uncertain searches after which a run ends, to label first [1]."
    )
    n_confirm: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Lowest barriers of a state that the oracle confirms before a step [1]."
    )
    barrier_tolerance: Positive | None = Field(
        None, description="Difference to the oracle's barrier that is tolerated then [eV]."
    )
    max_confirm: Count | None = Field(
        None, description="Times that the oracle is asked for one kind of event [1]."
    )
    timestep: Positive | None = Field(None, description="Time step of replicas [fs].")
    replica_time: Positive | None = Field(
        None, description="Time that a replica walks between two looks at a run [ps]."
    )
