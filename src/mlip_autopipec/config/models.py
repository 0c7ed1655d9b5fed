"""The user's YAML, exactly as given: no defaults of physics live here (the Makers own them)."""

import re
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]

_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")
_QE_ONLY = {
    "functional",
    "ecutwfc",
    "ecutrho",
    "k_spacing",
    "k_shifted",
    "allow_nonmagnetic",
    "smearing",
    "degauss",
    "conv_thr",
    "mixing_beta",
    "electron_maxstep",
    "vacuum",
    "timeout",
}
_ASE_ONLY = {"calculator", "calculator_kwargs"}


class Section(BaseModel):
    """A part of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """Return what the user wrote, and nothing else."""
        return self.model_dump(exclude_unset=True)


class OracleConfig(Section):
    """Who computes the reference labels."""

    engine: Literal["qe", "ase"] | None = Field(
        None, description="'qe' for pw.x, 'ase' for an ASE calculator."
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
    allow_nonmagnetic: bool | None = Field(
        None, description="Whether magnetic elements are labelled without spin."
    )
    smearing: Literal["gaussian", "mv"] | None = Field(None, description="Smearing of occupations.")
    degauss: Positive | None = Field(None, description="Width of the smearing [Ry].")
    conv_thr: Positive | None = Field(None, description="SCF convergence threshold [Ry].")
    mixing_beta: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None, description="Density mixing [1]."
    )
    electron_maxstep: Count | None = Field(None, description="Largest number of SCF iterations [1].")
    vacuum: Positive | None = Field(None, description="Vacuum around molecules [Å].")
    timeout: Positive | None = Field(None, description="Wall-time limit of one calculation [s].")
    min_distance_ratio: Positive | None = Field(
        None, description="Shortest distance allowed, of the sum of covalent radii [1]."
    )
    max_force: Positive | None = Field(None, description="Largest force of a usable label [eV/Å].")
    max_failed_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="Share of labels of a batch that may fail [1]."
    )

    @model_validator(mode="after")
    def _belongs(self) -> "OracleConfig":
        foreign = {"qe": _ASE_ONLY, "ase": _QE_ONLY, None: _ASE_ONLY}[self.engine]
        wrong = sorted(foreign & self.model_fields_set)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} does not apply to engine {(self.engine or 'qe')!r}")
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
        None, description="Noise of the labels' force components [eV/Å]."
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
    ensemble: Literal["nve", "nvt", "npt"] | None = Field(None, description="Ensemble.")
    pressure: float | None = Field(None, allow_inf_nan=False, description="Pressure of the barostat [GPa].")
    gamma_halt: Annotated[float, Field(gt=1.0)] | None = Field(
        None, description="Extrapolation grade that halts a walk, MaxVol scale [1]."
    )
    gamma_select: Annotated[float, Field(ge=1.0)] | None = Field(
        None, description="Grade above which a frame becomes a candidate, MaxVol scale [1]."
    )
    gamma_every: Count | None = Field(None, description="Steps between two grades [1].")
    policy: Literal["fixed", "adaptive"] | None = Field(
        None,
        description="'fixed': labels by given shares; 'adaptive': by the error they were seen to uncover.",
    )
    arms: dict[str, Annotated[float, Field(ge=0.0, allow_inf_nan=False)]] | None = Field(
        None,
        description="Explorers and their shares (fixed) or weights (adaptive), e.g. {md: 2, vacancy: 1} [1].",
    )
    arm_strain: Annotated[float, Field(gt=0.0, lt=0.5)] | None = Field(
        None, description="Largest strain of the structures that explorers beside MD make [1]."
    )
    cost: Literal["labels", "wall_time"] | None = Field(
        None, description="What an adaptive policy saves: labels, or the oracle's wall time."
    )


class LoopConfig(Section):
    """The active-learning loop."""

    n_initial: Count | None = Field(None, description="Labels of the first fit [1].")
    batch_size: Count | None = Field(None, description="Labels of a later generation [1].")
    quiet_rounds: Count | None = Field(None, description="Rounds without a halt that end the loop [1].")
    max_labels: Count | None = Field(None, description="Labels that may be spent on training [1].")
    max_generations: Count | None = Field(None, description="Generations at the most [1].")


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
    n_atoms: Count | None = Field(None, description="Smallest number of atoms of the NVE run [1].")
    n_steps: Count | None = Field(None, description="Steps of the NVE run [1].")
    max_drift: Positive | None = Field(None, description="Energy drift in NVE that passes [eV/atom].")


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
