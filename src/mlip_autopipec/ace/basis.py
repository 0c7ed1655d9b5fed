"""Which ACE functions describe an environment, and how smooth each is expected to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import ConfigError, MissingProgramError

Array = NDArray[np.float64]

_NRAD_BY_ORDER = (12, 8, 5, 3)
_LMAX_BY_ORDER = (0, 6, 4, 2)
_SPLINE_STEP = 0.001
_NO_CORE = (0.1, 0.05)  # r_in and delta_in in Å that no structure reaches


@dataclass(frozen=True)
class CoreSwitch:
    """Distances of one pair between which its atoms go over to the ZBL core.

    Parameters
    ----------
    r_in
        Distance in Å below which the switch begins; the ACE energy is untouched above it.
    delta_in
        Width of the switch in Å; below ``r_in - delta_in`` the energy is ZBL alone.
    """

    r_in: float
    delta_in: float


@dataclass(frozen=True)
class BasisSpec:
    """The choice of a linear ACE basis.

    Parameters
    ----------
    elements
        Chemical symbols; sorted here, as the file formats require.
    cutoff
        Cut-off radius of every bond in Å.
    n_functions
        Number of functions per element; those of lowest total degree are taken, so about this many result.
    """

    elements: tuple[str, ...]
    cutoff: float
    n_functions: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(sorted(set(self.elements))))
        if not self.elements:
            raise ConfigError("a basis needs at least one element, got none.")
        if self.cutoff <= 1.0:
            raise ConfigError(f"'cutoff' must be larger than 1 Å, got {self.cutoff}.")
        if self.n_functions < 10:
            raise ConfigError(f"'n_functions' must be at least 10, got {self.n_functions}.")

    @property
    def pairs(self) -> list[str]:
        """Unordered pairs of elements as 'A-B'."""
        return ["-".join(pair) for pair in combinations_with_replacement(self.elements, 2)]


def import_pyace() -> Any:
    """Import python-ace where it is used.

    Returns
    -------
    module
        The package ``pyace``.

    Raises
    ------
    MissingProgramError
        It is not installed.
    """
    try:
        import pyace
    except ImportError as error:
        raise MissingProgramError(
            "python-ace, the ACE basis and evaluator, is not installed.",
            hint="install it: pip install --pre 'python-ace>=0.4.0rc1' (licence: non-commercial).",
        ) from error
    return pyace


def build_basis(spec: BasisSpec, core: Mapping[str, CoreSwitch] | None = None) -> Any:
    """Build the basis set with all coefficients zero.

    Parameters
    ----------
    spec
        The choice of basis.
    core
        Core switch of each pair ``'A-B'`` (sorted symbols); none for one that is never switched off.

    Returns
    -------
    pyace.ACEBBasisSet
        Spherical-Bessel radial functions, one density, linear embedding.
    """
    pyace = import_pyace()
    bonds: dict[Any, Any] = {"ALL": _bond(spec.cutoff, CoreSwitch(*_NO_CORE))}
    for pair, switch in (core or {}).items():
        first, second = pair.split("-")
        bonds[(first, second)] = _bond(spec.cutoff, switch)
    config = pyace.create_multispecies_basis_config(
        {
            "deltaSplineBins": _SPLINE_STEP,
            "elements": list(spec.elements),
            "embeddings": {
                "ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
            },
            "bonds": bonds,
            "functions": {
                "number_of_functions_per_element": spec.n_functions,
                "ALL": {"nradmax_by_orders": list(_NRAD_BY_ORDER), "lmax_by_orders": list(_LMAX_BY_ORDER)},
            },
        }
    )
    return pyace.ACEBBasisSet(config)


def _bond(cutoff: float, core: CoreSwitch) -> dict[str, Any]:
    return {
        "radbase": "SBessel",
        "radparameters": [1.0],
        "rcut": cutoff,
        "dcut": 0.01,
        "NameOfCutoffFunction": "cos",
        "core-repulsion": [1.0, 1.0],
        "inner_cutoff_type": "zbl",
        "r_in": core.r_in,
        "delta_in": core.delta_in,
    }


def functions(basis: Any) -> list[Any]:
    """List the basis functions in the order of coefficients and design-matrix columns.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.

    Returns
    -------
    list
        Per element, in alphabetical order: first those of rank 1, then the others.
    """
    return [
        f for rank1, others in zip(basis.basis_rank1, basis.basis, strict=True) for f in (*rank1, *others)
    ]


def function_counts(basis: Any) -> dict[str, int]:
    """Count the functions of each element.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.

    Returns
    -------
    dict
        Number of functions by chemical symbol.
    """
    counts = [len(a) + len(b) for a, b in zip(basis.basis_rank1, basis.basis, strict=True)]
    return dict(zip(basis.elements_name, counts, strict=True))


def smoothness_prior(basis: Any, power: float = 4.0) -> Array:
    r"""Relative prior precision of each function: rough functions are expected to matter less.

    The precision is :math:`\left(\sum_t n_t + l_t\right)^{p}`, the algebraic smoothness prior [1]_.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.
    power
        Exponent p, dimensionless.

    Returns
    -------
    numpy.ndarray
        Dimensionless precisions, shape ``(n_functions,)``.

    References
    ----------
    .. [1] W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023), section II.D.
    """
    degrees = np.array([sum(f.ns) + sum(f.ls) for f in functions(basis)], dtype=float)
    return np.asarray(degrees**power)
