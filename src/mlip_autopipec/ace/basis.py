"""Which ACE functions describe an environment, and how smooth each is expected to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import ConfigError, MissingProgramError
from mlip_autopipec.numerics import PriorModel

Array = NDArray[np.float64]

RADIAL_FAMILIES = ("SBessel", "ChebExpCos", "ChebPow")
"""Radial bases of the file format that vanish at the cut-off (ChebLinear does not)."""

_ORDER_COST = (1.0, 1.0, 1.15, 1.8, 2.7)  # what a degree counts at body order 2, 3, 4, 5, 6 (rank 1 to 5)
_NRAD_LIMITS = (20, 18, 15, 9, 6)  # by rank; beyond them the product space explodes and teaches nothing
_LMAX_LIMITS = (0, 8, 6, 2, 1)
_MAX_LEVEL = 40
_SPLINE_STEP = 0.001
_PRIOR_GUESS = (-3.0, -7.5, -6.0, -4.0, -3.0, 1.0, 0.6)  # see prior_features; benchmarks/zuo.py
_PRIOR_WIDTH = (3.0, 3.0, 3.0, 3.0, 3.0, 0.5, 0.5)
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
        Number of functions per element; those of lowest level (see :func:`level`) are taken.
    radial
        Radial family, one of :data:`RADIAL_FAMILIES`.
    radial_parameter
        Its parameter lambda, dimensionless; of no effect for ``"SBessel"``.
    l_weight
        How much one unit of angular momentum counts against one of the radial index, dimensionless.
    """

    elements: tuple[str, ...]
    cutoff: float
    n_functions: int
    radial: str = "SBessel"
    radial_parameter: float = 1.0
    l_weight: float = 1.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(sorted(set(self.elements))))
        if not self.elements:
            raise ConfigError("a basis needs at least one element, got none.")
        if self.cutoff <= 1.0:
            raise ConfigError(f"'cutoff' must be larger than 1 Å, got {self.cutoff}.")
        if self.n_functions < 10:
            raise ConfigError(f"'n_functions' must be at least 10, got {self.n_functions}.")
        if self.radial not in RADIAL_FAMILIES:
            accepted = ", ".join(RADIAL_FAMILIES)
            raise ConfigError(f"'radial' must be one of {accepted}, got {self.radial!r}.")
        if min(self.radial_parameter, self.l_weight) <= 0.0:
            raise ConfigError(
                f"'radial_parameter' and 'l_weight' must be positive, "
                f"got {self.radial_parameter} and {self.l_weight}."
            )

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


def build_basis(
    spec: BasisSpec, core: Mapping[str, CoreSwitch] | None = None, core_strength: float = 1.0
) -> Any:
    """Build the basis set with all coefficients zero.

    Parameters
    ----------
    spec
        The choice of basis.
    core
        Core switch of each pair ``'A-B'`` (sorted symbols); none for one that is never switched off.
    core_strength
        Factor on ZBL in the core: 1, or 0 where a pair baseline outside the file gives the repulsion.

    Returns
    -------
    pyace.ACEBBasisSet
        Spherical-Bessel radial functions, one density, linear embedding.
    """
    config = _configuration(spec).copy()
    for block in config.funcspecs_blocks:
        members = block.block_name.split()
        if len(members) <= 2:  # larger blocks have no bond of their own
            pair = "-".join(sorted((members[0], members[-1])))
            switch = (core or {}).get(pair, CoreSwitch(*_NO_CORE))
            block.r_in, block.delta_in = switch.r_in, switch.delta_in
            block.core_rep_parameters = [core_strength, 1.0]
    return import_pyace().ACEBBasisSet(config)


def level(ns: Sequence[int], ls: Sequence[int], l_weight: float) -> float:
    r"""Degree by which functions are taken: :math:`c_\nu \sum_t (n_t - 1 + w\, l_t)`, dearer at high order.

    Parameters
    ----------
    ns
        Radial indices, from 1.
    ls
        Angular momenta.
    l_weight
        w, dimensionless.

    Returns
    -------
    float
        Dimensionless level.
    """
    return _ORDER_COST[len(ns) - 1] * (sum(ns) - len(ns) + l_weight * sum(ls))


@lru_cache(maxsize=16)
def _configuration(spec: BasisSpec) -> Any:
    """Let python-ace list all functions up to a level that is high enough, and keep the lowest."""
    orders = len(_ORDER_COST) if len(spec.elements) == 1 else len(_ORDER_COST) - 1
    for highest in range(2, _MAX_LEVEL):
        reach = [highest / cost for cost in _ORDER_COST[:orders]]
        config = import_pyace().create_multispecies_basis_config(
            {
                "deltaSplineBins": _SPLINE_STEP,
                "elements": list(spec.elements),
                "embeddings": {
                    "ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
                },
                "bonds": {"ALL": _bond(spec)},
                "functions": {
                    "ALL": {
                        "nradmax_by_orders": [
                            min(int(r) + 1, limit) for r, limit in zip(reach, _NRAD_LIMITS, strict=False)
                        ],
                        "lmax_by_orders": [
                            min(int(0.5 * r / spec.l_weight), limit)
                            for r, limit in zip(reach, _LMAX_LIMITS, strict=False)
                        ],
                    }
                },
            }
        )
        if _keep_lowest(config, spec, highest):
            return config
    raise ConfigError(
        f"'n_functions' of {spec.n_functions} for {len(spec.elements)} elements is more than can be listed."
    )


def _keep_lowest(config: Any, spec: BasisSpec, highest: int) -> bool:
    """Keep each element's functions of lowest level; say whether there were enough of them."""
    for element in spec.elements:
        blocks = [block for block in config.funcspecs_blocks if block.block_name.split()[0] == element]
        keyed = [[(_key(f, spec.l_weight), f) for f in block.funcspecs] for block in blocks]
        complete = sorted(key for block in keyed for key, _ in block if key[0] <= highest)
        if len(complete) < spec.n_functions:
            return False
        last = complete[spec.n_functions - 1]
        for block, functions_of in zip(blocks, keyed, strict=True):
            block.funcspecs = [f for key, f in functions_of if key <= last]
    return True


def _key(f: Any, l_weight: float) -> tuple[Any, ...]:
    ns, ls = f.ns, f.ls
    return level(ns, ls, l_weight), len(ns), f.elements, ns, ls, f.LS


def _bond(spec: BasisSpec) -> dict[str, Any]:
    r_in, delta_in = _NO_CORE
    return {
        "radbase": spec.radial,
        "radparameters": [spec.radial_parameter],
        "rcut": spec.cutoff,
        "dcut": 0.01,
        "NameOfCutoffFunction": "cos",
        "core-repulsion": [1.0, 1.0],
        "inner_cutoff_type": "zbl",
        "r_in": r_in,
        "delta_in": delta_in,
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


def prior_features(basis: Any) -> Array:
    r"""Describe each function for the prior: its rank, its radial and its angular degree.

    The log precision of a coefficient is linear in them, :math:`\ln\pi = a_\nu + b \sum_t (n_t - 1) +
    c \sum_t l_t`: an exponential smoothness prior with an amplitude for each rank [1]_.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.

    Returns
    -------
    numpy.ndarray
        One column each of ranks 1 to 5 (1 where the function has it), radial and angular degree, shape
        ``(n_functions, 7)``.

    References
    ----------
    .. [1] W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023), section II.D.
    """
    listed = functions(basis)
    ranks = np.array([f.rank for f in listed])
    columns = [ranks == rank for rank in range(1, len(_ORDER_COST) + 1)]
    columns += [[sum(f.ns) - f.rank for f in listed], [sum(f.ls) for f in listed]]
    return np.array(columns, dtype=float).T


def default_prior(basis: Any) -> PriorModel:
    """Return the prior that is expected before any data: what silicon, copper and molybdenum agree on.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.

    Returns
    -------
    PriorModel
        For rows in units of 1 meV/atom, 0.05 eV/Å and 0.003 eV/Å^3; wide enough for other units.
    """
    return PriorModel(prior_features(basis), np.array(_PRIOR_GUESS), np.array(_PRIOR_WIDTH))
