"""What `pacemaker` is asked for: its input.yaml, from typed choices alone, so that no key is misspelt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from mlip_autopipec.errors import ConfigError

Evaluator = Literal["tensorpot", "pyace"]
Weighting = Literal["uniform", "importance", "energy"]

INPUT = "input.yaml"
START = "start.yaml"
OUTPUT = "output_potential.yaml"
TRAINING_DATA = "training.pckl.gzip"
TEST_DATA = "test.pckl.gzip"

RADIAL_BASES = ("SBessel", "ChebExpCos", "ChebPow")
OPTIMIZERS = ("BFGS", "L-BFGS-B")
LADDER_TYPES = ("body_order", "power_order")

_SPLINE_STEP = 0.001  # Å
_DCUT = 0.01  # Å; TensorFlow ignores it, so it must not matter
UNREACHED = {"r_in": 0.1, "delta_in": 0.05}
"""Core in Å that no structure reaches: it is set after the fit. The width must never be 0."""

_ENERGY_POLICY = {
    "type": "EnergyBasedWeightingPolicy",
    "DElow": 1.0,
    "DEup": 10.0,
    "DFup": 50.0,
    "DE": 1.0,
    "DF": 1.0,
    "wlow": 0.75,
    "energy": "convex_hull",
    "reftype": "all",
}
_DISPLAY_STEP = 50


@dataclass(frozen=True)
class PotentialShape:
    """The functions that are fitted.

    Parameters
    ----------
    elements
        Chemical symbols, alphabetically.
    cutoff
        Cut-off radius of every bond in Å.
    n_functions
        Largest number of functions of each element.
    fs_parameters
        Weight and exponent of each density, dimensionless.
    radial_basis
        ``'SBessel'``, ``'ChebExpCos'`` or ``'ChebPow'``; ``'ChebLinear'`` does not vanish at the cut-off.
    nradmax_by_orders
        Radial functions by body order.
    lmax_by_orders
        Angular momenta by body order.
    """

    elements: tuple[str, ...]
    cutoff: float
    n_functions: int
    fs_parameters: tuple[float, ...]
    radial_basis: str
    nradmax_by_orders: tuple[int, ...]
    lmax_by_orders: tuple[int, ...]

    def __post_init__(self) -> None:
        _require("cutoff", self.cutoff, self.cutoff > 1.0, "larger than 1 Å")
        _require("n_functions", self.n_functions, self.n_functions > 0, "positive")
        _require(
            "fs_parameters",
            self.fs_parameters,
            len(self.fs_parameters) > 0 and len(self.fs_parameters) % 2 == 0,
            "pairs of weight and exponent, one for each density",
        )
        _require(
            "radial_basis",
            self.radial_basis,
            self.radial_basis in RADIAL_BASES,
            f"one of {', '.join(RADIAL_BASES)}",
            "take SBessel; ChebLinear does not vanish at the cut-off.",
        )
        _require(
            "lmax_by_orders",
            self.lmax_by_orders,
            0 < len(self.lmax_by_orders) == len(self.nradmax_by_orders),
            f"of the same length as 'nradmax_by_orders' ({len(self.nradmax_by_orders)})",
        )

    @property
    def n_densities(self) -> int:
        """Number of densities."""
        return len(self.fs_parameters) // 2

    def section(self) -> dict[str, Any]:
        """Build the section ``potential``.

        Returns
        -------
        dict
            What pacemaker and ``pyace.create_multispecies_basis_config`` take.
        """
        radparameters = [5.25] if self.radial_basis == "ChebExpCos" else [1.0]
        return {
            "deltaSplineBins": _SPLINE_STEP,
            "elements": list(self.elements),
            "embeddings": {
                "ALL": {
                    "npot": "FinnisSinclairShiftedScaled",
                    "fs_parameters": list(self.fs_parameters),
                    "ndensity": self.n_densities,
                }
            },
            "bonds": {
                "ALL": {
                    "radbase": self.radial_basis,
                    "radparameters": radparameters,
                    "rcut": self.cutoff,
                    "dcut": _DCUT,
                    "NameOfCutoffFunction": "cos",
                    "core-repulsion": [1.0, 1.0],
                    "inner_cutoff_type": "zbl",
                    **UNREACHED,
                }
            },
            "functions": {
                "number_of_functions_per_element": self.n_functions,
                "ALL": {
                    "nradmax_by_orders": list(self.nradmax_by_orders),
                    "lmax_by_orders": list(self.lmax_by_orders),
                },
            },
        }


@dataclass(frozen=True)
class FitChoice:
    """How the functions are fitted.

    Parameters
    ----------
    kappa
        Share of the forces in the loss, dimensionless, 0 to 1, or ``'auto'``.
    l1, l2
        Strength of the L1 and L2 regularisation, in pacemaker's own unit.
    weighting
        ``'uniform'``, ``'importance'`` (columns of the data set) or ``'energy'`` (pacemaker's policy).
    optimizer
        ``'BFGS'`` or ``'L-BFGS-B'``.
    max_iterations
        Largest number of iterations, of each ladder step.
    ladder_step
        Functions added at a time, as a number or a fraction; none for all at once.
    ladder_type
        Order in which they are added: ``'body_order'`` or ``'power_order'``.
    """

    kappa: float | str
    l1: float
    l2: float
    weighting: str
    optimizer: str
    max_iterations: int
    ladder_step: float | None
    ladder_type: str

    def __post_init__(self) -> None:
        in_range = not isinstance(self.kappa, str) and 0.0 <= self.kappa <= 1.0
        _require("kappa", self.kappa, self.kappa == "auto" or in_range, "between 0 and 1, or 'auto'")
        _require("l1_coeffs", self.l1, self.l1 >= 0.0, "at least 0")
        _require("l2_coeffs", self.l2, self.l2 >= 0.0, "at least 0")
        weightings = ("uniform", "importance", "energy")
        _require("weighting", self.weighting, self.weighting in weightings, f"one of {', '.join(weightings)}")
        _require("optimizer", self.optimizer, self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}")
        _require("max_iterations", self.max_iterations, self.max_iterations > 0, "positive")
        _require(
            "ladder_step", self.ladder_step, self.ladder_step is None or self.ladder_step > 0, "positive"
        )
        _require(
            "ladder_type",
            self.ladder_type,
            self.ladder_type in LADDER_TYPES,
            f"one of {', '.join(LADDER_TYPES)}",
        )

    def section(self) -> dict[str, Any]:
        """Build the section ``fit``; the core repulsion is not asked for but set after the fit.

        Returns
        -------
        dict
            Its keys and values.
        """
        fit: dict[str, Any] = {
            "loss": {"kappa": self.kappa, "L1_coeffs": self.l1, "L2_coeffs": self.l2},
            "optimizer": self.optimizer,
            "maxiter": self.max_iterations,
        }
        if self.weighting == "energy":
            fit["weighting"] = dict(_ENERGY_POLICY)
        if self.ladder_step is not None:
            fit |= {"ladder_step": self.ladder_step, "ladder_type": self.ladder_type}
        return fit


def input_dict(
    shape: PotentialShape,
    choice: FitChoice,
    *,
    evaluator: str,
    batch_size: int,
    seed: int,
    tested: bool = False,
) -> dict[str, Any]:
    """Build the whole input.

    Parameters
    ----------
    shape
        The functions.
    choice
        How they are fitted.
    evaluator
        Back end, ``'tensorpot'`` or ``'pyace'``.
    batch_size
        Structures evaluated at once.
    seed
        Seed of pacemaker's random numbers.
    tested
        Whether there are test structures.

    Returns
    -------
    dict
        Content of ``input.yaml``. There is no ``reference_energy``: the data set holds energies without E0.
    """
    data = {"filename": TRAINING_DATA, "datapath": "."}
    if tested:
        data["test_filename"] = TEST_DATA
    fit = choice.section()
    if "weighting" in fit:
        fit["weighting"]["seed"] = seed
    return {
        "cutoff": shape.cutoff,
        "seed": seed,
        "metadata": {"origin": "mlip_autopipec"},
        "potential": shape.section(),
        "data": data,
        "fit": fit,
        "backend": {"evaluator": evaluator, "batch_size": batch_size, "display_step": _DISPLAY_STEP},
    }


def input_text(content: dict[str, Any]) -> str:
    """Write the input as YAML.

    Parameters
    ----------
    content
        Content of ``input.yaml``.

    Returns
    -------
    str
        The text, keys in the order given.
    """
    return yaml.safe_dump(content, sort_keys=False)


def arguments(*, warm: bool) -> Sequence[str]:
    """Return the arguments of pacemaker.

    Parameters
    ----------
    warm
        Whether it starts from the coefficients in ``start.yaml``.

    Returns
    -------
    Sequence[str]
        Its arguments. Predictions are left out: they are TensorFlow's, not those of the written file.
    """
    return [INPUT, "--no-predict", "-o", OUTPUT, *(["-p", START] if warm else [])]


def _require(name: str, value: object, fine: bool, accepted: str, hint: str | None = None) -> None:
    if not fine:
        raise ConfigError(f"{name!r} must be {accepted}, got {value!r}.", hint=hint)
