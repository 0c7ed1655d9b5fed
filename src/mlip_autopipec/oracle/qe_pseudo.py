"""Pseudopotentials of pw.x: find an element's file, read its header, know its cut-off."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from mlip_autopipec.errors import ConfigError, MissingProgramError

PseudoType = Literal["NC", "US", "PAW"]

SETUP_HINT = "run `mlip-auto setup qe`, or point `pseudo_dir` (MLIP_AUTO_PSEUDO_DIR) to a folder that has it."

# How UPF headers spell the functionals.
FUNCTIONALS: Mapping[str, frozenset[str]] = {
    "PBE": frozenset({"PBE", "SLA PW PBE PBE", "SLA PW PBX PBC"}),
    "PBEsol": frozenset({"PBESOL", "SLA PW PSX PSC"}),
    "LDA": frozenset({"PZ", "LDA", "SLA PZ NOGX NOGC", "SLA PZ"}),
}

# Density cut-off over wavefunction cut-off: norm-conserving densities hold four times the kinetic energy of
# the wavefunctions, augmentation charges need more (pw.x documentation of `ecutrho`: 8 to 12).
DENSITY_FACTOR: Mapping[PseudoType, float] = {"NC": 4.0, "US": 10.0, "PAW": 10.0}

_HEADER = re.compile(r"<PP_HEADER(.*?)/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True)
class Pseudopotential:
    """A UPF file and what matters of its header.

    Parameters
    ----------
    path
        The file.
    element
        Chemical symbol.
    kind
        Norm-conserving, ultrasoft or PAW.
    functional
        Exchange-correlation functional as the file spells it, upper case, single spaces.
    suggested_ecutwfc
        Wavefunction cut-off in Ry that the header suggests; None if it has none.
    sha256
        Hash of the file.
    z_valence
        Number of valence electrons that the header states; None if it has none.
    relativistic
        Treatment of relativity as the file spells it: ``"no"``, ``"scalar"`` or ``"full"``; empty if it does
        not say.
    """

    path: Path
    element: str
    kind: PseudoType
    functional: str
    suggested_ecutwfc: float | None
    sha256: str
    z_valence: float | None = None
    relativistic: str = ""

    @classmethod
    def read(cls, path: Path) -> "Pseudopotential":
        """Read a UPF file of version 2.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Pseudopotential
            Its header and hash.

        Raises
        ------
        ConfigError
            It is no such file.
        """
        content = path.read_bytes()
        header = _HEADER.search(content.decode("utf-8", errors="replace"))
        found = {k: a or b for k, a, b in _ATTRIBUTE.findall(header.group(1))} if header else {}
        kind = found.get("pseudo_type", "").strip().upper()
        if kind not in DENSITY_FACTOR or "functional" not in found:
            raise ConfigError(
                f"{path.name} is not a UPF file of version 2 with a type and a functional in its header "
                f"(type {kind!r}); accepted types: {', '.join(DENSITY_FACTOR)}.",
                hint="convert it with upfconv.x, or use another pseudopotential.",
            )
        suggested = float(found.get("wfc_cutoff", "0").replace("D", "E"))
        z_valence = float(found.get("z_valence", "0").replace("D", "E"))
        return cls(
            path=path,
            element=found.get("element", "").strip(),
            kind=kind,
            functional=" ".join(found["functional"].upper().split()),
            suggested_ecutwfc=suggested if suggested > 0.0 else None,
            sha256=hashlib.sha256(content).hexdigest(),
            z_valence=z_valence if z_valence > 0.0 else None,
            relativistic=found.get("relativistic", "").strip().lower(),
        )

    def ecutwfc(self) -> float:
        """Return the recommended wavefunction cut-off.

        Returns
        -------
        float
            Cut-off in Ry: of the table, else of the header.

        Raises
        ------
        ConfigError
            Neither knows one.
        """
        cutoff = cutoff_table().get(self.sha256, self.suggested_ecutwfc)
        if cutoff is None:
            raise ConfigError(
                f"no cut-off is known for the pseudopotential {self.path.name} of {self.element}.",
                hint="give `ecutwfc` in Ry, converged for your elements.",
            )
        return cutoff


@cache
def cutoff_table() -> Mapping[str, float]:
    """Return the shipped table.

    Returns
    -------
    Mapping[str, float]
        Wavefunction cut-off in Ry by SHA-256 of the file.
    """
    return {
        entry["sha256"]: float(entry["ecutwfc"])
        for family in _shipped_table().values()
        for entry in family.values()
    }


def known_hashes(family: str) -> dict[str, str]:
    """Return the hashes of a family of the shipped table.

    Parameters
    ----------
    family
        Its name, which is that of its folder.

    Returns
    -------
    dict[str, str]
        SHA-256 by element; empty for a family that is not in the table.
    """
    return {element: entry["sha256"] for element, entry in _shipped_table().get(family, {}).items()}


@cache
def _shipped_table() -> dict[str, dict[str, dict[str, Any]]]:
    text = resources.files("mlip_autopipec.oracle").joinpath("qe_cutoffs.yaml").read_text()
    return yaml.safe_load(text)


def find_pseudopotentials(
    elements: Iterable[str], folder: Path, functional: str, chosen: Mapping[str, str]
) -> dict[str, Pseudopotential]:
    """Find the files of some elements and see that they are of the functional.

    Parameters
    ----------
    elements
        Chemical symbols.
    folder
        Where to look.
    functional
        Name of the functional, a key of ``FUNCTIONALS``.
    chosen
        File names given by the user, by element.

    Returns
    -------
    dict[str, Pseudopotential]
        The files by element, sorted.

    Raises
    ------
    ConfigError
        A file is of another functional or element, the functional is unknown, or some files are fully
        relativistic and others are not.
    """
    if functional not in FUNCTIONALS:
        raise ConfigError(f"'functional' must be one of {', '.join(FUNCTIONALS)}, got {functional!r}.")
    result = {}
    for element in sorted(set(elements)):
        pseudo = Pseudopotential.read(find_file(element, folder, chosen.get(element)))
        if pseudo.functional not in FUNCTIONALS[functional] or pseudo.element != element:
            raise ConfigError(
                f"{pseudo.path.name} in {folder} is for {pseudo.element} with {pseudo.functional!r}; "
                f"asked for: {element} with {functional}.",
                hint="choose another file in `pseudopotentials`, or another `functional`.",
            )
        result[element] = pseudo
    _check_one_family(result)
    return result


def _check_one_family(files: Mapping[str, Pseudopotential]) -> None:
    """Refuse fully relativistic files among others; kinds mix well (SSSP does), and the fingerprint tells."""
    full = [file.path.name for file in files.values() if file.relativistic == "full"]
    others = [file.path.name for file in files.values() if file.relativistic != "full"]
    if full and others:
        raise ConfigError(
            f"pseudopotentials of different families: {', '.join(full)} fully relativistic, "
            f"{', '.join(others)} not.",
            hint="choose files of one family in `pseudopotentials`, or point `pseudo_dir` to one.",
        )


def find_file(element: str, folder: Path, chosen: str | None) -> Path:
    """Find the file of an element: the chosen one, ``El.upf``, or the only one that begins with ``El.``.

    Parameters
    ----------
    element
        Chemical symbol.
    folder
        Where to look.
    chosen
        File name given by the user.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    MissingProgramError
        There is none.
    ConfigError
        There are several.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() == ".upf") if folder.is_dir() else []
    if chosen is not None:
        candidates = [p for p in files if p.name == chosen]
    else:
        exact = [p for p in files if p.stem == element]
        candidates = exact or [p for p in files if re.split(r"[._-]", p.name)[0] == element]
    if not candidates:
        there = ", ".join(p.name for p in files[:8]) + (" …" if len(files) > 8 else "")
        raise MissingProgramError(
            f"no pseudopotential of {element}{f' named {chosen!r}' if chosen else ''} in {folder}; "
            f"there: {there or 'no UPF file'}.",
            hint=SETUP_HINT,
        )
    if len(candidates) > 1:
        raise ConfigError(
            f"{len(candidates)} pseudopotentials of {element} in {folder}: "
            f"{', '.join(p.name for p in candidates)}.",
            hint=f"choose one, e.g. `pseudopotentials: {{{element}: {candidates[0].name}}}`.",
        )
    return candidates[0]
