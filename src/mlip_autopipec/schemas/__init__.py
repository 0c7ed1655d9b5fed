"""Documents: pydantic models with the unit of every field."""

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.calibration import GammaCalibrationDoc
from mlip_autopipec.schemas.dataset import (
    DatasetDoc,
    DuplicatePair,
    E0Mode,
    ExcludedLabel,
    Outlier,
    OutlierKind,
)
from mlip_autopipec.schemas.embedding import EmbeddedCell, EmbeddingDoc
from mlip_autopipec.schemas.exploration import EndReason, ExplorationDoc, ReplayedFrame, ThermoTable, Walker
from mlip_autopipec.schemas.fit import (
    BasisChoice,
    BasisTrial,
    ForceErrorCalibration,
    LinearFitReport,
    PacemakerFitReport,
)
from mlip_autopipec.schemas.label import (
    Correction,
    EnergyShift,
    FailedLabel,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
)
from mlip_autopipec.schemas.policy import (
    ArmError,
    ArmErrorsDoc,
    ArmSearch,
    ArmStatistics,
    PerturbationDoc,
    PolicyDecision,
)
from mlip_autopipec.schemas.potential import (
    BaselineDoc,
    CoreRepulsion,
    ErrorStatistics,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.probe import ProbeDoc, ProbeRole, ProbeRow
from mlip_autopipec.schemas.state import CampaignDoc, GenerationRecord, StopReason, WorkflowState
from mlip_autopipec.schemas.structure import (
    AtomicStructure,
    CandidateSetDoc,
    CandidateStructure,
    FileData,
    LabelWeights,
    Origin,
    SelectionDoc,
)
from mlip_autopipec.schemas.validation import (
    Check,
    EosDoc,
    EosFit,
    HeldOutDoc,
    LearningPoint,
    StabilityDoc,
    ValidationDoc,
    Verdict,
)

__all__ = [
    "ArmError",
    "ArmErrorsDoc",
    "ArmSearch",
    "ArmStatistics",
    "AtomicStructure",
    "BaselineDoc",
    "BasisChoice",
    "BasisTrial",
    "CampaignDoc",
    "CandidateSetDoc",
    "CandidateStructure",
    "Check",
    "CoreRepulsion",
    "Correction",
    "DatasetDoc",
    "Document",
    "DuplicatePair",
    "E0Mode",
    "EmbeddedCell",
    "EmbeddingDoc",
    "EndReason",
    "EnergyShift",
    "EosDoc",
    "EosFit",
    "ErrorStatistics",
    "ExcludedLabel",
    "ExplorationDoc",
    "FailedLabel",
    "FileData",
    "Fingerprint",
    "ForceErrorCalibration",
    "GammaCalibrationDoc",
    "GenerationRecord",
    "HeldOutDoc",
    "LabelBatchDoc",
    "LabelDoc",
    "LabelWeights",
    "LabelledStructure",
    "LearningPoint",
    "LinearFitReport",
    "Origin",
    "Outlier",
    "OutlierKind",
    "PacemakerFitReport",
    "ParityPoint",
    "PerturbationDoc",
    "PolicyDecision",
    "PotentialDoc",
    "ProbeDoc",
    "ProbeRole",
    "ProbeRow",
    "ReplayedFrame",
    "SelectionDoc",
    "StabilityDoc",
    "StopReason",
    "ThermoTable",
    "ValidationDoc",
    "Verdict",
    "Walker",
    "WorkflowState",
]
