"""Configuration of the fit, the loop and the judgement at the end."""

from typing import Annotated, Literal

from pydantic import Field

from mlip_autopipec.config.section import CheckName, Count, Positive, Section


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
