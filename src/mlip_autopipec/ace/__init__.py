"""All that speaks ACE: basis, design matrix, files, evaluation. python-ace is imported where used."""

from mlip_autopipec.ace.active_set import active_set_inverse, grade, write_active_set
from mlip_autopipec.ace.baseline import PairBaseline, choose_baseline, lammps_lines, unseen_distance
from mlip_autopipec.ace.basis import (
    BasisSpec,
    CoreSwitch,
    build_basis,
    default_prior,
    function_counts,
    functions,
    import_pyace,
)
from mlip_autopipec.ace.core import RISES_BELOW, SCAN_FROM, choose_core, dimer_scan, falling_pairs
from mlip_autopipec.ace.cost import evaluation_cost
from mlip_autopipec.ace.design import (
    DesignBlock,
    DesignMatrix,
    RowScales,
    RowWeights,
    apply_weights,
    row_weights,
)
from mlip_autopipec.ace.environment import environment
from mlip_autopipec.ace.files import PotentialFiles, compare_files, write_potential
from mlip_autopipec.ace.neighbours import Bonds, bonds, closest_pair, nearest_distance, shortest_distances
from mlip_autopipec.ace.potential import (
    AceCalculator,
    AcePotential,
    Evaluation,
    load_error_model,
    load_potential,
)
from mlip_autopipec.ace.uncertainty import ForceErrorModel, Posterior

__all__ = [
    "RISES_BELOW",
    "SCAN_FROM",
    "AceCalculator",
    "AcePotential",
    "BasisSpec",
    "Bonds",
    "CoreSwitch",
    "DesignBlock",
    "DesignMatrix",
    "Evaluation",
    "ForceErrorModel",
    "PairBaseline",
    "Posterior",
    "PotentialFiles",
    "RowScales",
    "RowWeights",
    "active_set_inverse",
    "apply_weights",
    "bonds",
    "build_basis",
    "choose_baseline",
    "choose_core",
    "closest_pair",
    "compare_files",
    "default_prior",
    "dimer_scan",
    "environment",
    "evaluation_cost",
    "falling_pairs",
    "function_counts",
    "functions",
    "grade",
    "import_pyace",
    "lammps_lines",
    "load_error_model",
    "load_potential",
    "nearest_distance",
    "row_weights",
    "shortest_distances",
    "unseen_distance",
    "write_active_set",
    "write_potential",
]
