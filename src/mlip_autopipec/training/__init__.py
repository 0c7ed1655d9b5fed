"""Fits: labels in, potential out."""

from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.dataset_builder import DatasetMaker
from mlip_autopipec.training.linear_ace import LinearAceFitMaker
from mlip_autopipec.training.pacemaker import PacemakerFitMaker

__all__ = ["DatasetMaker", "FitMaker", "LinearAceFitMaker", "PacemakerFitMaker"]
