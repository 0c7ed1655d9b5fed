"""Find the classes that a contract is for by walking a package."""

import importlib
import inspect
import pkgutil
from typing import TypeVar

from jobflow import Maker

from mlip_autopipec.schemas import Document

T = TypeVar("T")


def maker_classes(package: str = "mlip_autopipec") -> list[type[Maker]]:
    """Find all Makers of a package that can be built, i.e. are not abstract.

    Parameters
    ----------
    package
        Import name of the package or module.

    Returns
    -------
    list[type]
        The classes, by name.
    """
    return _classes(package, Maker)


def document_classes(package: str = "mlip_autopipec") -> list[type[Document]]:
    """Find all documents of a package.

    Parameters
    ----------
    package
        Import name of the package or module.

    Returns
    -------
    list[type]
        The classes, by name.
    """
    return _classes(package, Document)


def _classes(package: str, base: type[T]) -> list[type[T]]:
    root = importlib.import_module(package)
    modules = pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{package}.")
    # Importing a `__main__` would run it.
    names = [package, *(m.name for m in modules if not m.name.endswith(".__main__"))]
    found = {
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == name
        and not inspect.isabstract(value)
    }
    return sorted(found - {base}, key=lambda c: c.__qualname__)
