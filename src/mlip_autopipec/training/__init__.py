"""Fits: labels in, potential out."""

from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.dataset_builder import DatasetMaker, partition
from mlip_autopipec.training.dataset_import import read_labelled
from mlip_autopipec.training.given import GivenPotentialMaker
from mlip_autopipec.training.linear_ace import LinearAceFitMaker
from mlip_autopipec.training.pacemaker import PacemakerFitMaker
from mlip_autopipec.training.tuning import BasisTuner

__all__ = [
    "BasisTuner",
    "DatasetMaker",
    "FitMaker",
    "GivenPotentialMaker",
    "LinearAceFitMaker",
    "PacemakerFitMaker",
    "partition",
    "read_labelled",
]
