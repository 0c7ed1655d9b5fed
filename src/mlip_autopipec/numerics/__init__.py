"""Linear algebra of fitting and of optimal design: arrays in, arrays out."""

from mlip_autopipec.numerics.cells import isotropic_repeat
from mlip_autopipec.numerics.doptimal import Budget, DesignChoice, greedy_d_optimal
from mlip_autopipec.numerics.eos import BirchMurnaghan, fit_birch_murnaghan
from mlip_autopipec.numerics.evidence import (
    EvidenceFit,
    Moments,
    PriorModel,
    evidence_fit,
    posterior_precision,
)
from mlip_autopipec.numerics.hull import atomic_fractions, hull_distances, hull_energies
from mlip_autopipec.numerics.maxvol import maxvol
from mlip_autopipec.numerics.rates import (
    ErrorCurve,
    conformal_quantile,
    error_curve,
    rate_limit,
    share_interval,
)
from mlip_autopipec.numerics.voptimal import greedy_v_optimal

__all__ = [
    "BirchMurnaghan",
    "Budget",
    "DesignChoice",
    "ErrorCurve",
    "EvidenceFit",
    "Moments",
    "PriorModel",
    "atomic_fractions",
    "conformal_quantile",
    "error_curve",
    "evidence_fit",
    "fit_birch_murnaghan",
    "greedy_d_optimal",
    "greedy_v_optimal",
    "hull_distances",
    "hull_energies",
    "isotropic_repeat",
    "maxvol",
    "posterior_precision",
    "rate_limit",
    "share_interval",
]
