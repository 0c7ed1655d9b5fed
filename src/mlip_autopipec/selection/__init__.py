"""Which structures are worth a label."""

from mlip_autopipec.selection.arm_errors import ArmErrorMaker
from mlip_autopipec.selection.base import SelectionMaker
from mlip_autopipec.selection.calibration import GammaCalibrationMaker
from mlip_autopipec.selection.d_optimal import DOptimalSelectionMaker
from mlip_autopipec.selection.embedding import EmbeddingMaker
from mlip_autopipec.selection.v_optimal import VOptimalSelectionMaker

__all__ = [
    "ArmErrorMaker",
    "DOptimalSelectionMaker",
    "EmbeddingMaker",
    "GammaCalibrationMaker",
    "SelectionMaker",
    "VOptimalSelectionMaker",
]
