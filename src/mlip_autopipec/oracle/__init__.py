"""Reference labels: the codes that say what energy, forces and stress of a structure are."""

from mlip_autopipec.oracle.ase import AseStaticMaker
from mlip_autopipec.oracle.base import OracleMaker, OracleResult
from mlip_autopipec.oracle.batch import LabelBatchMaker
from mlip_autopipec.oracle.qe import QeStaticMaker
from mlip_autopipec.oracle.vasp import VaspStaticMaker

__all__ = [
    "AseStaticMaker",
    "LabelBatchMaker",
    "OracleMaker",
    "OracleResult",
    "QeStaticMaker",
    "VaspStaticMaker",
]
