"""What all documents share."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A frozen document that accepts no unknown field.

    Numbers are in eV, Å, K and fs; stress in eV/Å^3 with ASE's sign (tension positive).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")
