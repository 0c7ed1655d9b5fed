"""The user's YAML, exactly as given: no defaults of physics live here (the Makers own them)."""

import re
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
CheckName = Literal["elastic", "phonon", "vacancy", "stacking_fault", "surface"]

_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")
_DFT = {"functional", "k_spacing", "nspin", "allow_nonmagnetic", "vacuum", "timeout"}
_OF_ENGINE = {
    "qe": _DFT
    | {
        *("ecutwfc", "ecutrho", "k_shifted", "smearing", "degauss", "starting_moments"),
        *("conv_thr", "mixing_beta", "electron_maxstep"),
        *("max_seconds", "max_corrections", "physics_cures"),
    },
    "vasp": _DFT | {"encut", "sigma", "ediff", "nelm", "potcars", "incar"},
    "ase": {"calculator", "calculator_kwargs"},
}


class Section(BaseModel):
    """A part of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """Return what the user wrote, and nothing else."""
        return self.model_dump(exclude_unset=True)


class OracleConfig(Section):
    """Who computes the reference labels."""

    engine: Literal["qe", "vasp", "ase"] | None = Field(
        None, description="'qe' for pw.x, 'vasp' for VASP by atomate2, 'ase' for an ASE calculator."
    )
    calculator: str | None = Field(
        None, description="ASE calculator: a name like 'emt', or 'package.module:Class'."
    )
    calculator_kwargs: dict[str, Any] | None = Field(None, description="Arguments of the ASE calculator.")
    functional: Literal["PBE", "PBEsol", "LDA"] | None = Field(
        None, description="Exchange-correlation functional."
    )
    ecutwfc: Positive | None = Field(None, description="Wavefunction cut-off [Ry].")
    ecutrho: Positive | None = Field(None, description="Density cut-off [Ry].")
    k_spacing: Positive | None = Field(None, description="Largest k-point spacing, with 2 pi [1/Å].")
    k_shifted: bool | None = Field(None, description="Whether the k-point grid is shifted by half a step.")
    nspin: Literal[1, 2, "auto"] | None = Field(
        None, description="Spin polarisation: 1 without, 2 with, 'auto' with if an element is magnetic."
    )
    starting_moments: dict[str, float] | None = Field(
        None, description="Moments that an SCF starts from, by element [Bohr magneton]."
    )
    allow_nonmagnetic: bool | None = Field(
        None, description="Whether magnetic elements are labelled without spin."
    )
    smearing: Literal["gaussian", "mv", "fixed"] | None = Field(
        None, description="Smearing of occupations; 'fixed' for none, insulators only."
    )
    degauss: Positive | None = Field(None, description="Width of the smearing [Ry].")
    conv_thr: Positive | None = Field(None, description="SCF convergence threshold [Ry].")
    mixing_beta: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None, description="Density mixing [1]."
    )
    electron_maxstep: Count | None = Field(None, description="Largest number of SCF iterations [1].")
    encut: Positive | None = Field(None, description="Plane-wave cut-off of VASP [eV].")
    sigma: Positive | None = Field(None, description="Width of VASP's Gaussian smearing [eV].")
    ediff: Positive | None = Field(None, description="SCF convergence threshold of VASP [eV].")
    nelm: Count | None = Field(None, description="Largest number of SCF iterations of VASP [1].")
    potcars: dict[str, str] | None = Field(
        None, description="POTCAR by element where not atomate2's, e.g. {Na: Na_pv}."
    )
    incar: dict[str, Any] | None = Field(None, description="More INCAR tags of VASP.")
    vacuum: Positive | None = Field(None, description="Vacuum around molecules [Å].")
    max_seconds: Positive | None = Field(
        None, description="Wall time after which pw.x saves its state and is resumed [s]."
    )
    timeout: Positive | None = Field(
        None, description="Wall-time limit of one calculation with its corrections [s]."
    )
    max_corrections: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Corrections of one calculation at the most, resumptions apart [1]."
    )
    physics_cures: bool | None = Field(
        None, description="Whether corrections may change the physics: smear fixed occupations."
    )
    min_distance_ratio: Positive | None = Field(
        None, description="Shortest distance allowed, of the sum of covalent radii [1]."
    )
    max_force: Positive | None = Field(None, description="Largest force of a usable label [eV/Å].")
    max_failed_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="Share of labels of a batch that may fail [1]."
    )

    @model_validator(mode="after")
    def _belongs(self) -> "OracleConfig":
        engine = self.engine or "qe"
        foreign = set().union(*_OF_ENGINE.values()) - _OF_ENGINE[engine]
        wrong = sorted(foreign & self.model_fields_set)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} does not apply to engine {engine!r}")
        if self.engine == "ase" and self.calculator is None:
            raise ValueError("engine 'ase' needs a 'calculator', e.g. 'emt'")
        return self


class GenerationConfig(Section):
    """The structures of the first fit."""

    n_atoms: Count | None = Field(None, description="Smallest number of atoms of a cell to be labelled [1].")
    n_strained: int | None = Field(None, ge=0, description="Strained copies of each crystal in the pool [1].")
    n_rattled: int | None = Field(None, ge=0, description="Rattled copies of each crystal in the pool [1].")
    n_volumes: int | None = Field(None, ge=0, description="Evenly compressed and expanded copies [1].")
    n_vacancies: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Cells with one or two vacancies of each crystal in the pool [1]."
    )
    n_interstitials: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Cells with an interstitial of each crystal in the pool [1]."
    )
    n_antisites: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Cells with antisites of each crystal in the pool [1]."
    )
    n_surfaces: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Slabs with vacuum of each crystal in the pool [1]."
    )
    n_stacking_faults: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Cells with a stacking fault of each crystal in the pool [1]."
    )
    n_alloys: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Quasi-random occupations of each crystal in the pool [1]."
    )
    n_random_crystals: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Random symmetric crystals by the composition of each crystal in the pool [1]."
    )
    n_liquids: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Random packings by the composition of each crystal in the pool [1]."
    )
    max_strain: Annotated[float, Field(gt=0.0, lt=0.5)] | None = Field(
        None, description="Largest strain [1]."
    )
    rattle: Annotated[float, Field(gt=0.0, lt=0.5)] | None = Field(
        None, description="Largest displacement, of the nearest-neighbour distance [1]."
    )
    dimer_distances: list[Positive] | None = Field(
        None, description="Distances of dimers, of the sum of covalent radii [1]."
    )
    isolated_atoms: bool | None = Field(None, description="Whether free atoms are labelled for E0.")


class TrainingConfig(Section):
    """The fit."""

    cutoff: Annotated[float, Field(gt=1.0, le=15.0)] | None = Field(None, description="Cut-off radius [Å].")
    n_functions: Annotated[int, Field(ge=10, le=2000)] | None = Field(
        None, description="Basis functions per element, about [1]."
    )
    energy_sigma: Positive | None = Field(None, description="Standard deviation of energies [eV/atom].")
    force_sigma: Positive | None = Field(None, description="Standard deviation of forces [eV/Å].")
    stress_sigma: Positive | None = Field(None, description="Standard deviation of stresses [eV/Å^3].")
    energy_scale: Positive | None = Field(
        None, description="Energy above the convex hull at which they double [eV/atom]."
    )
    label_noise: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = Field(
        None, description="Noise of the labels' force components, as `mlip-auto probe` finds [eV/Å]."
    )
    label_noise_energy: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = Field(
        None, description="Noise of the labels' energies, as `mlip-auto probe` finds [eV/atom]."
    )
    realign: bool | None = Field(
        None, description="Whether labels of other conditions are shifted in E0 instead of refused."
    )
    baseline: Literal["core", "zbl", "lj"] | None = Field(
        None, description="'core': ZBL inside the potential file; 'zbl' or 'lj': delta learning over it."
    )
    baseline_reach: Positive | None = Field(
        None, description="End of the baseline over the shortest training distance of each pair [1]."
    )
    tune: bool | None = Field(
        None, description="Whether radial family, cut-off and size of the basis are chosen by the evidence."
    )
    max_cost: Positive | None = Field(
        None, description="Ceiling on the cost of a tuned basis by the cost model [µs/atom]."
    )
    final_fit: Literal["linear", "pacemaker"] | None = Field(
        None, description="The last fit: the loop's linear ACE, or the non-linear one of `pacemaker`."
    )
    milestone_every: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Generations between non-linear fits for the learning curve; 0 for none [1]."
    )


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


class LoopConfig(Section):
    """The active-learning loop."""

    n_initial: Count | None = Field(None, description="Labels of the first fit [1].")
    batch_size: Count | None = Field(None, description="Labels of a later generation [1].")
    quiet_rounds: Count | None = Field(None, description="Rounds without a halt that end the loop [1].")
    cost_exponent: Annotated[float, Field(ge=0.0)] | None = Field(
        None, description="Labels cost their number of atoms to this power; 3 for plane-wave DFT [1]."
    )
    quotas: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] | None = Field(
        None, description="Largest share of a batch by origin, e.g. {md: 0.5} [1]."
    )
    control_share: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="Share of a batch that is drawn at random, for comparison [1]."
    )
    audit_share: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="Share of labels for frames judged certain, to count those that were not [1]."
    )
    max_halt_rate: Positive | None = Field(
        None, description="Halts must be rarer than this, with 95 % confidence, before the loop ends [1/ns]."
    )
    max_labels: Count | None = Field(None, description="Labels that may be spent on training [1].")
    max_generations: Count | None = Field(None, description="Generations at the most [1].")
    max_repairs: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Times that the loop goes on after a failed validation, if labels are left [1]."
    )
    repair_labels: Count | None = Field(None, description="Labels of each failed check then [1].")
    max_failed_batches: Count | None = Field(
        None, description="Batches in a row of which too many labels failed that end the campaign [1]."
    )


class ValidationConfig(Section):
    """The judgement at the end."""

    n_held_out: Count | None = Field(None, description="Held-out structures [1].")
    max_energy_rmse: Positive | None = Field(None, description="Held-out energy error that passes [eV/atom].")
    max_force_rmse: Positive | None = Field(None, description="Held-out force error that passes [eV/Å].")
    n_volumes: Annotated[int, Field(ge=5)] | None = Field(None, description="Volumes of the EOS [1].")
    max_strain: Annotated[float, Field(gt=0.0, lt=0.2)] | None = Field(
        None, description="Largest linear strain of the EOS [1]."
    )
    max_volume_error: Positive | None = Field(None, description="Error of the volume that passes [%].")
    max_bulk_modulus_error: Positive | None = Field(
        None, description="Error of the bulk modulus that passes [%]."
    )
    n_phases: Count | None = Field(None, description="Given crystals, the first ones, that have an EOS [1].")
    max_phase_error: Positive | None = Field(
        None,
        description="Error of a crystal's energy above the first, if composed alike, that passes [eV/atom].",
    )
    n_atoms: Count | None = Field(None, description="Smallest number of atoms of the NVE run [1].")
    n_steps: Count | None = Field(None, description="Steps of the NVE run [1].")
    max_drift: Positive | None = Field(None, description="Energy drift in NVE that passes [eV/atom].")
    min_pressure: Positive | None = Field(
        None, description="Pressure that the crystal must bear evenly, beyond the walks' own [GPa]."
    )
    checks: list[CheckName] | None = Field(
        None, description="Properties of the crystal that are judged beside errors, EOS and stability."
    )
    max_cost: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Atoms, over all labels, that the oracle may be asked for these properties [1]."
    )
    strain: Annotated[float, Field(gt=0.0, lt=0.1)] | None = Field(
        None, description="Strains for the elastic constants [1]."
    )
    max_elastic_error: Positive | None = Field(
        None,
        description="Error of an elastic constant that passes, of it or of a quarter of the largest [%].",
    )
    phonon_length: Positive | None = Field(
        None, description="Smallest length of the supercell for phonons [Å]."
    )
    max_phonon_error: Positive | None = Field(
        None, description="RMS error of the phonon bands that passes, of the highest frequency [%]."
    )
    max_imaginary: Positive | None = Field(
        None, description="Imaginary frequency that passes, beyond the oracle's own [THz]."
    )
    vacancy_atoms: Count | None = Field(None, description="Smallest cell of a vacancy [1].")
    max_vacancy_error: Positive | None = Field(
        None, description="Error of a vacancy's energy that passes [eV]."
    )
    max_fault_error: Positive | None = Field(
        None, description="Error of a stacking fault's energy that passes [J/m^2]."
    )
    planes: list[tuple[int, int, int]] | None = Field(
        None, min_length=1, description="Miller indices of the surfaces, of the conventional cell."
    )
    max_surface_error: Positive | None = Field(
        None, description="Error of a surface's energy that passes [J/m^2]."
    )
    force_release: bool | None = Field(
        None, description="Whether a potential that failed is delivered all the same; its card says so."
    )


class MLIPConfig(Section):
    """One campaign. The smallest is `composition: Si`; all else is inferred or has a default."""

    composition: str | dict[str, Positive] | None = Field(
        None, description="Formula like 'Si' or 'Cu3Au', or fractions like {Cu: 0.5, Ni: 0.5} for an alloy."
    )
    structures: str | list[str] | None = Field(None, description="Structure files; paths may hold * and ?.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of all random choices.")
    oracle: OracleConfig = Field(default_factory=OracleConfig, description="Who computes labels.")
    generation: GenerationConfig = Field(default_factory=GenerationConfig, description="First structures.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="The fit.")
    exploration: ExplorationConfig = Field(default_factory=ExplorationConfig, description="The walks.")
    kmc: KmcConfig = Field(default_factory=KmcConfig, description="Kinetic Monte Carlo.")
    active_learning: LoopConfig = Field(default_factory=LoopConfig, description="The loop.")
    validation: ValidationConfig = Field(default_factory=ValidationConfig, description="The judgement.")

    @field_validator("composition")
    @classmethod
    def _known_elements(cls, value: str | dict[str, float] | None) -> str | dict[str, float] | None:
        if value is None:
            return None
        symbols = list(value) if isinstance(value, dict) else [s for s, _ in _ELEMENT.findall(value)]
        whole = isinstance(value, dict) or "".join(s + n for s, n in _ELEMENT.findall(value)) == value
        unknown = [s for s in symbols if s not in atomic_numbers or s == "X"]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not a chemical element")
        if not symbols or not whole:
            raise ValueError("it is not a chemical formula like 'Si', 'NaCl' or 'Cu3Au'")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "MLIPConfig":
        if (self.composition is None) == (self.structures is None):
            both = self.composition is not None
            raise ValueError(
                f"give either 'composition' or 'structures', got {'both' if both else 'neither'}"
            )
        return self
