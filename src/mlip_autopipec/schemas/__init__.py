"""Documents: pydantic models with the unit of every field."""

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.exploration import EndReason, ExplorationDoc, ThermoTable, Walker
from mlip_autopipec.schemas.fit import LinearFitReport, PacemakerFitReport
from mlip_autopipec.schemas.label import (
    FailedLabel,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
)
from mlip_autopipec.schemas.potential import (
    BaselineDoc,
    CoreRepulsion,
    ErrorStatistics,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.state import CampaignDoc, GenerationRecord, StopReason, WorkflowState
from mlip_autopipec.schemas.structure import (
    AtomicStructure,
    CandidateSetDoc,
    CandidateStructure,
    FileData,
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
    "AtomicStructure",
    "BaselineDoc",
    "CampaignDoc",
    "CandidateSetDoc",
    "CandidateStructure",
    "Check",
    "CoreRepulsion",
    "Document",
    "EndReason",
    "EosDoc",
    "EosFit",
    "ErrorStatistics",
    "ExplorationDoc",
    "FailedLabel",
    "FileData",
    "Fingerprint",
    "GenerationRecord",
    "HeldOutDoc",
    "LabelBatchDoc",
    "LabelDoc",
    "LabelledStructure",
    "LearningPoint",
    "LinearFitReport",
    "Origin",
    "PacemakerFitReport",
    "ParityPoint",
    "PotentialDoc",
    "SelectionDoc",
    "StabilityDoc",
    "StopReason",
    "ThermoTable",
    "ValidationDoc",
    "Verdict",
    "Walker",
    "WorkflowState",
]
