"""Coefficients to start from: those of an earlier potential, where its functions are among the new ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.ace import import_pyace
from mlip_autopipec.training.pacemaker_input import UNREACHED, PotentialShape

Array = NDArray[np.float64]

_SMALL = 1.0e-6  # eV; coefficients of a new density: at exactly zero their gradient may vanish


def target_basis(shape: PotentialShape) -> Any:
    """Build the functions that pacemaker will fit, as it builds them itself.

    Parameters
    ----------
    shape
        The functions.

    Returns
    -------
    pyace.BBasisConfiguration
        All coefficients zero, radial functions equal to the radial basis.
    """
    return import_pyace().create_multispecies_basis_config(shape.section())


def starting_basis(initial: Path, shape: PotentialShape, seed: int) -> tuple[Any, str | None]:
    """Build the functions to fit, with the coefficients of an earlier potential.

    Parameters
    ----------
    initial
        The earlier potential, ``.yaml``.
    shape
        The functions to fit. If those of the earlier potential are not all among them, they are taken in
        their place.
    seed
        Seed of the small coefficients of densities that the earlier potential lacks.

    Returns
    -------
    basis
        The functions, as ``BBasisConfiguration``.
    reason
        Why the earlier potential cannot be started from: all coefficients are zero then; else None.
    """
    old, new = import_pyace().BBasisConfiguration(str(initial)), target_basis(shape)
    reason = incompatible(old, new)
    if reason is not None:
        return new, reason
    if not function_keys(old) <= function_keys(new):
        new = with_densities(old, shape)
    transfer(old, new, seed)
    return new, None


def incompatible(old: Any, new: Any) -> str | None:
    """Say why coefficients of one basis mean nothing in another.

    Parameters
    ----------
    old, new
        The two, as ``BBasisConfiguration``.

    Returns
    -------
    str or None
        The reason, or None if they can be carried over.
    """
    before, after = _bonds(old), _bonds(new)
    if before.keys() != after.keys():
        return f"elements {_elements(old)} instead of {_elements(new)}"
    for name, block in after.items():
        for field in ("radbase", "rcutij", "radparameters"):
            mine, theirs = getattr(before[name], field), getattr(block, field)
            if mine != theirs and not (field == "radparameters" and block.radbase == "SBessel"):
                return f"{field} of {name} {mine} instead of {theirs}"
        if " " not in name:
            known, wanted = list(before[name].fs_parameters), list(block.fs_parameters)
            if known != wanted[: len(known)]:
                return f"embedding {known} instead of {wanted}"
    return None


def with_densities(old: Any, shape: PotentialShape) -> Any:
    """Give the functions of a potential another embedding.

    Parameters
    ----------
    old
        The potential, as ``BBasisConfiguration``.
    shape
        Gives the embedding.

    Returns
    -------
    pyace.BBasisConfiguration
        The same functions, with a coefficient for each density; a core that is never reached.
    """
    new = old.copy()
    for block in new.funcspecs_blocks:
        block.ndensityi = shape.n_densities
        names = block.block_name.split()
        if len(names) == 1:
            block.fs_parameters = list(shape.fs_parameters)
        if len(names) <= 2:
            block.r_in, block.delta_in = UNREACHED["r_in"], UNREACHED["delta_in"]
        listed = block.funcspecs
        for function in listed:
            function.coeffs = [0.0] * shape.n_densities
        block.funcspecs = listed
    return new


def transfer(old: Any, new: Any, seed: int) -> None:
    """Carry radial functions and coefficients over; new functions start at zero, new densities close to it.

    Parameters
    ----------
    old
        The earlier basis.
    new
        The new basis, which gets its coefficients.
    seed
        Seed of the small coefficients.
    """
    known, random = dict(_functions(old)), np.random.default_rng(seed)
    before = _bonds(old)
    for block in new.funcspecs_blocks:
        listed = block.funcspecs
        for function in listed:
            coefficients = np.zeros(len(function.coeffs))
            had = known.get(_key(block, function), [])
            coefficients[: len(had)] = had
            if had:
                coefficients[len(had) :] = _SMALL * random.standard_normal(len(coefficients) - len(had))
            function.coeffs = coefficients.tolist()
        block.funcspecs = listed
        if block.block_name in before:
            block.radcoefficients = _merge(before[block.block_name].radcoefficients, block.radcoefficients)


def _merge(old: Any, new: Any) -> Any:
    merged, had = np.array(new, dtype=float), np.array(old, dtype=float)
    if merged.size and had.size:
        overlap = tuple(slice(0, min(a, b)) for a, b in zip(merged.shape, had.shape, strict=True))
        merged[overlap] = had[overlap]
    return merged.tolist()


def _bonds(basis: Any) -> dict[str, Any]:
    return {b.block_name: b for b in basis.funcspecs_blocks if len(b.block_name.split()) <= 2}


def _elements(basis: Any) -> str:
    return ", ".join(sorted(name for name in _bonds(basis) if " " not in name))


def _key(block: Any, function: Any) -> tuple[Any, ...]:
    return (block.block_name, *(tuple(getattr(function, f)) for f in ("elements", "ns", "ls", "LS")))


def _functions(basis: Any) -> Iterator[tuple[tuple[Any, ...], list[float]]]:
    for block in basis.funcspecs_blocks:
        for function in block.funcspecs:
            yield _key(block, function), list(function.coeffs)


def function_keys(basis: Any) -> set[tuple[Any, ...]]:
    """Identify the functions of a basis.

    Parameters
    ----------
    basis
        A ``BBasisConfiguration``.

    Returns
    -------
    set
        Block, elements, n, l and L of each function.
    """
    return {key for key, _ in _functions(basis)}
