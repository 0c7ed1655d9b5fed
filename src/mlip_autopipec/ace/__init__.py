"""All that speaks ACE: basis, design matrix, files, evaluation. python-ace is imported where used."""

from mlip_autopipec.ace.active_set import active_set_inverse, grade, write_active_set
from mlip_autopipec.ace.basis import (
    BasisSpec,
    CoreSwitch,
    build_basis,
    function_counts,
    functions,
    import_pyace,
    smoothness_prior,
)
from mlip_autopipec.ace.core import SCAN_FROM, choose_core, dimer_scan, falling_pairs
from mlip_autopipec.ace.design import DesignBlock, DesignMatrix, RowScales
from mlip_autopipec.ace.environment import environment, nearest_distance, shortest_distances
from mlip_autopipec.ace.files import PotentialFiles, compare_files, write_potential
from mlip_autopipec.ace.potential import AceCalculator, AcePotential, Evaluation

__all__ = [
    "SCAN_FROM",
    "AceCalculator",
    "AcePotential",
    "BasisSpec",
    "CoreSwitch",
    "DesignBlock",
    "DesignMatrix",
    "Evaluation",
    "PotentialFiles",
    "RowScales",
    "active_set_inverse",
    "build_basis",
    "choose_core",
    "compare_files",
    "dimer_scan",
    "environment",
    "falling_pairs",
    "function_counts",
    "functions",
    "grade",
    "import_pyace",
    "nearest_distance",
    "shortest_distances",
    "smoothness_prior",
    "write_active_set",
    "write_potential",
]
