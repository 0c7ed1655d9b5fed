"""The user's YAML, exactly as given: no defaults of physics live here (the Makers own them)."""

import re

from ase.data import atomic_numbers
from pydantic import Field, field_validator, model_validator

from mlip_autopipec.config.labels import GenerationConfig, OracleConfig
from mlip_autopipec.config.learning import LoopConfig, TrainingConfig, ValidationConfig
from mlip_autopipec.config.sampling import ExplorationConfig, KmcConfig
from mlip_autopipec.config.section import Positive, Section

_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")


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
