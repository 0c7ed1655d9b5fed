"""What all documents share: no unknown fields, no change, and a version that old ones are brought up to."""

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from mlip_autopipec.errors import StoreError

Migration = Callable[[dict[str, Any]], dict[str, Any]]


class Document(BaseModel):
    """A frozen document that accepts no unknown field.

    Numbers are in eV, Å, K and fs; stress in eV/Å^3 with ASE's sign (tension positive).

    A document that is stored by itself has a ``schema_version``. Whoever changes its fields so that old ones
    are not accepted any more, or mean something else, raises the version and adds to ``migrations`` the
    function that makes version n + 1 of version n, and to the tests a document of version n.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    migrations: ClassVar[dict[int, Migration]] = {}

    @model_validator(mode="before")
    @classmethod
    def _migrated(cls, data: Any) -> Any:
        """Bring a document of an older version up to this one."""
        if not isinstance(data, dict) or "schema_version" not in data:
            return data
        current = cls.model_fields["schema_version"].default if "schema_version" in cls.model_fields else None
        found = data["schema_version"]
        if current is None or found == current:
            return data
        if not isinstance(found, int) or found > current:
            raise StoreError(
                f"a {cls.__name__} of version {found!r} cannot be read; this program reads versions up to "
                f"{current}.",
                hint="it was written by a newer mlip_autopipec: upgrade this one.",
            )
        for version in range(found, current):
            if version not in cls.migrations:
                raise StoreError(
                    f"a {cls.__name__} of version {found} cannot be read: nothing is known of version "
                    f"{version}; accepted: {sorted(cls.migrations)} and {current}.",
                    hint="run the campaign again in a new folder.",
                )
            data = {**cls.migrations[version](data), "schema_version": version + 1}
        return data
