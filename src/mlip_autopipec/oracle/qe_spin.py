"""Spin polarisation: when it is on, and the moments an SCF starts from."""

from collections.abc import Iterable, Mapping

from ase.data import atomic_numbers, ground_state_magnetic_moments

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.oracle.qe_pseudo import Pseudopotential

# Elements whose common phases have a moment; without spin their energies are of another phase.
MAGNETIC = frozenset({"Cr", "Mn", "Fe", "Co", "Ni", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm"})

# From 1 on, versions after 7.2 read a moment in Bohr magnetons (INPUT_PW, starting_magnetization).
_LARGEST = 0.999


def resolve_nspin(nspin: int | str, elements: Iterable[str], allow_nonmagnetic: bool) -> int:
    """Decide on spin polarisation.

    Parameters
    ----------
    nspin
        1, 2 or "auto".
    elements
        Chemical symbols present.
    allow_nonmagnetic
        Whether magnetic elements may be computed without spin.

    Returns
    -------
    int
        1 or 2; "auto" is 2 with a magnetic element, unless they may be computed without.

    Raises
    ------
    ConfigError
        The value is none of these, or is 1 with a magnetic element that may not be computed so.
    """
    magnetic = sorted(set(elements) & MAGNETIC)
    if nspin == "auto":
        return 2 if magnetic and not allow_nonmagnetic else 1
    if isinstance(nspin, bool) or nspin not in (1, 2):
        raise ConfigError(f"'nspin' must be 1, 2 or 'auto', got {nspin!r}.")
    if nspin == 1 and magnetic and not allow_nonmagnetic:
        raise ConfigError(
            f"{', '.join(magnetic)} is usually magnetic, but 'nspin' is 1: labels would be made without spin "
            "polarisation, and the potential would be one of a phase that does not exist.",
            hint="set `nspin: auto`, or `allow_nonmagnetic: true` if the phases you want are not magnetic.",
        )
    return int(nspin)


def starting_moment(element: str, given: Mapping[str, float]) -> float:
    """Return the moment an SCF starts from.

    The moment of the free atom, as tabulated in ``ase.data.ground_state_magnetic_moments``. It is above that
    of the solid, from where the SCF comes down; from zero it cannot leave the unpolarised solution.

    Parameters
    ----------
    element
        Chemical symbol.
    given
        Moments chosen by the user in Bohr magnetons, by element.

    Returns
    -------
    float
        Moment in Bohr magnetons; 0 for elements that are not usually magnetic.
    """
    if element in given:
        return float(given[element])
    return float(ground_state_magnetic_moments[atomic_numbers[element]]) if element in MAGNETIC else 0.0


def starting_magnetization(
    files: Mapping[str, Pseudopotential], given: Mapping[str, float]
) -> dict[str, float]:
    """Return the spin variables of namelist SYSTEM.

    pw.x wants the polarisation of the valence electrons, -1 to 1, not a moment.

    Parameters
    ----------
    files
        Pseudopotentials by element.
    given
        Moments chosen by the user in Bohr magnetons, by element.

    Returns
    -------
    dict[str, float]
        ``starting_magnetization(i)``, elements in alphabetical order (dimensionless).

    Raises
    ------
    ConfigError
        A pseudopotential does not say how many valence electrons it has.
    """
    result = {}
    for index, element in enumerate(sorted(files), start=1):
        moment, electrons = starting_moment(element, given), files[element].z_valence
        if moment and not electrons:
            raise ConfigError(
                f"{files[element].path.name} does not say how many valence electrons {element} has; "
                "the starting magnetisation cannot be derived.",
                hint="use a UPF file with `z_valence` in its header.",
            )
        ratio = moment / electrons if electrons else 0.0
        result[f"starting_magnetization({index})"] = round(max(-_LARGEST, min(_LARGEST, ratio)), 6)
    return result
