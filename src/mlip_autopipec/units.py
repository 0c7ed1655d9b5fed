"""Conversion factors, named by direction. Inside the library: eV, Å, amu, K, fs, eV/Å^3.

Derived from the CODATA values of :mod:`scipy.constants`; nothing else in the package defines a factor.
"""

from typing import Final

from scipy import constants

_ATOMIC_LENGTH: Final = constants.physical_constants["atomic unit of length"][0]
_HARTREE: Final = constants.physical_constants["Hartree energy in eV"][0]

EV_PER_A3_TO_GPA: Final = constants.e / constants.angstrom**3 / constants.giga
"""Multiply a stress in eV/Å^3 by this to get GPa."""

EV_PER_A2_TO_J_PER_M2: Final = constants.e / constants.angstrom**2
"""Multiply an energy of a surface in eV/Å^2 by this to get J/m^2."""

GPA_TO_BAR: Final = constants.giga / constants.bar
"""Multiply a pressure in GPa by this to get bar."""

BAR_TO_GPA: Final = 1.0 / GPA_TO_BAR
"""Multiply a pressure in bar by this to get GPa."""

KBAR_TO_GPA: Final = constants.kilo * constants.bar / constants.giga
"""Multiply a stress in kbar by this to get GPa."""

KELVIN_TO_EV: Final = constants.k / constants.e
"""Multiply a temperature in K by this to get k_B T in eV."""

RY_TO_EV: Final = _HARTREE / 2.0
"""Multiply an energy in Ry by this to get eV."""

BOHR_TO_A: Final = _ATOMIC_LENGTH / constants.angstrom
"""Multiply a length in Bohr radii by this to get Å."""

FS_TO_PS: Final = 1.0e-3
PS_TO_FS: Final = 1.0e3
"""Multiply a time in fs by this to get ps."""

PS_TO_NS: Final = 1.0e-3
"""Multiply a time in ps by this to get ns."""
