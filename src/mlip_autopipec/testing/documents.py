"""What every document keeps to."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from monty.json import MontyDecoder, jsanitize

from mlip_autopipec.schemas import Document
from mlip_autopipec.testing.require import require

_UNIT = re.compile(r"\[[^\]]+\]|`unit`")


@dataclass(frozen=True)
class DocumentContract:
    """A document describes every field, names the unit of every number, and survives the stores.

    Parameters
    ----------
    document_class
        The class.
    """

    document_class: type[Document]

    def check(self) -> None:
        """Check the class.

        Raises
        ------
        AssertionError
            The contract is broken.
        """
        self.check_closed()
        self.check_units()

    def check_closed(self) -> None:
        """Check that no unknown field is accepted and none can be changed."""
        config = self.document_class.model_config
        require(config.get("extra") == "forbid", f"{self._name} accepts unknown fields.")
        require(config.get("frozen"), f"{self._name} can be changed.")

    def check_units(self) -> None:
        """Check that the description of every number names its unit in brackets, or ``[1]``."""
        for name, info in self.document_class.model_fields.items():
            if get_origin(info.annotation) is Literal:
                continue
            description = info.description or ""
            require(description, f"{self._name}.{name} has no description.")
            if holds_numbers(info.annotation):
                require(
                    _UNIT.search(description),
                    f"{self._name}.{name} is a number without a unit: {description!r}; "
                    "name it in brackets, [1] if it has none.",
                )

    def check_instance(self, document: Document) -> None:
        """Check that a document survives JSON and the way through a JobStore.

        Parameters
        ----------
        document
            A document of the class.

        Raises
        ------
        AssertionError
            It comes back as something else.
        """
        again = self.document_class.model_validate_json(document.model_dump_json())
        require(again == document, f"{self._name} comes back from JSON as another document.")
        # What jobflow does to the output of a job; the text between is what an embedded store keeps.
        stored = json.dumps(jsanitize(document, strict=True, enum_values=True, allow_bson=True))
        loaded = MontyDecoder().process_decoded(json.loads(stored))
        require(type(loaded) is self.document_class, f"{self._name} comes back from the store as {loaded!r}.")
        require(loaded == document, f"{self._name} comes back from the store as another document.")

    @property
    def _name(self) -> str:
        return self.document_class.__qualname__


def holds_numbers(annotation: Any) -> bool:
    """Say whether a field holds numbers, alone or in a container; truth values are none.

    Parameters
    ----------
    annotation
        Its type.

    Returns
    -------
    bool
        Whether an ``int`` or ``float`` is found; nested documents answer for themselves.

    Examples
    --------
    >>> holds_numbers(dict[str, float | None]), holds_numbers(bool), holds_numbers(list[str])
    (True, False, False)
    """
    if get_origin(annotation) is Literal:
        return False
    arguments = get_args(annotation)
    if arguments:
        return any(holds_numbers(argument) for argument in arguments)
    return annotation in (int, float)
