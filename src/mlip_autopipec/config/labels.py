"""Configuration of the oracle and of the first structures."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mlip_autopipec.config.section import Count, Positive, Section

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
