"""What every Maker keeps to."""

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from jobflow import Maker, OutputReference
from monty.json import MontyDecoder

from mlip_autopipec.testing.require import require

_UNDERLINE = re.compile(r"^-{3,}$")


@dataclass(frozen=True)
class MakerContract:
    """A Maker builds from its defaults, survives JSON, documents its fields and never changes by itself.

    Parameters
    ----------
    maker_class
        The class.
    """

    maker_class: type[Maker]

    def check(self) -> None:
        """Check everything that needs no run.

        Raises
        ------
        AssertionError
            The contract is broken.
        """
        self.check_defaults()
        self.check_json()
        self.check_documented()
        self.check_make()

    def check_defaults(self) -> None:
        """Check that two Makers built from defaults are equal and share no mutable default."""
        first, second = self.maker_class(), self.maker_class()
        require(first.as_dict() == second.as_dict(), f"{self._name} builds differently each time.")
        for field in fields(first):
            mine, other = getattr(first, field.name), getattr(second, field.name)
            shared = mine is other and isinstance(mine, list | dict | set | Maker)
            require(not shared, f"{self._name}.{field.name} is shared between all instances.")

    def check_json(self) -> None:
        """Check that the Maker survives JSON; by ``as_dict``, for a tuple comes back as a list."""
        maker = self.maker_class()
        again = MontyDecoder().process_decoded(json.loads(maker.to_json()))
        require(type(again) is self.maker_class, f"{self._name} comes back from JSON as {type(again)}.")
        require(_plain(again) == _plain(maker), f"{self._name} comes back from JSON with other settings.")

    def check_documented(self) -> None:
        """Check that every field is described under "Parameters", in the class or a base class."""
        documented = {name for base in self.maker_class.__mro__ for name in _documented(base)}
        missing = sorted({field.name for field in fields(self.maker_class)} - documented)
        require(not missing, f"{self._name} does not describe its fields {', '.join(missing)}.")

    def check_make(self) -> None:
        """Check that making the job or flow, with references for its inputs, leaves the Maker as it was."""
        maker = self.maker_class()
        required = [
            parameter.name
            for parameter in inspect.signature(maker.make).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        with maker_unchanged(maker):
            maker.make(**{name: OutputReference(f"uuid-of-{name}") for name in required})

    @property
    def _name(self) -> str:
        return self.maker_class.__qualname__


@contextmanager
def maker_unchanged(maker: Maker) -> Iterator[None]:
    """Check that a block of code leaves a Maker as it was.

    Parameters
    ----------
    maker
        The Maker.

    Yields
    ------
    None
        Run it inside the block.

    Raises
    ------
    AssertionError
        A setting has changed.
    """
    before = _plain(maker)
    yield
    after = _plain(maker)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    require(not changed, f"{type(maker).__qualname__} changed its own {', '.join(changed)}.")


def _plain(maker: Maker) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(maker.to_json())
    return plain


def _documented(owner: type) -> set[str]:
    """Names under the heading "Parameters" of a numpydoc docstring."""
    lines = inspect.cleandoc(owner.__doc__ or "").splitlines()
    names: set[str] = set()
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if _UNDERLINE.match(following):
            inside = line.strip() == "Parameters"
        elif inside and line and not line.startswith((" ", "-")):
            names.update(name.strip() for name in line.split(":")[0].split(","))
    return names
