"""Fits: labels in, potential out."""

from mlip_autopipec.training.base import FitMaker
from mlip_autopipec.training.linear_ace import LinearAceFitMaker

__all__ = ["FitMaker", "LinearAceFitMaker"]
