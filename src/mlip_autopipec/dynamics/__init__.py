"""Exploration: engines that walk with a potential under one watchdog."""

from mlip_autopipec.dynamics.base import ExplorationMaker
from mlip_autopipec.dynamics.eon import EonKmcMaker
from mlip_autopipec.dynamics.lammps import LammpsMDMaker
from mlip_autopipec.dynamics.watchdog import Signs, StopRule

__all__ = ["EonKmcMaker", "ExplorationMaker", "LammpsMDMaker", "Signs", "StopRule"]
