"""What every explorer offers the loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, job

from mlip_autopipec.dynamics.watchdog import StopRule
from mlip_autopipec.schemas import AtomicStructure, ExplorationDoc, PotentialDoc, Walker


@dataclass
class ExplorationMaker(Maker, ABC):
    """Walk with a potential until the walk is done or the watchdog barks.

    Parameters
    ----------
    name
        Name of the job.
    stop_rule
        The watchdog's limits.
    """

    name: str = "explore"
    stop_rule: StopRule = field(default_factory=StopRule)

    @job(output_schema=ExplorationDoc, data=["thermo", "frames", "final", "restart"])
    def make(
        self,
        potential: PotentialDoc,
        walker: Walker,
        structure: AtomicStructure,
        previous: ExplorationDoc | None = None,
    ) -> ExplorationDoc:
        """Run one walker with one potential.

        Parameters
        ----------
        potential
            The potential to walk with.
        walker
            How hot and how long it walks, how far it is.
        structure
            Where it starts.
        previous
            The exploration whose end it continues from; none to start afresh.

        Returns
        -------
        ExplorationDoc
            The run.
        """
        run = self.explore(potential, walker, structure, previous, Path.cwd())
        frames = [frame.model_copy(update={"arm": walker.arm}) for frame in run.frames]
        return run.model_copy(update={"frames": frames})

    @abstractmethod
    def explore(
        self,
        potential: PotentialDoc,
        walker: Walker,
        structure: AtomicStructure,
        previous: ExplorationDoc | None,
        directory: Path,
    ) -> ExplorationDoc:
        """Run in a folder; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        potential
            The potential.
        walker
            The walker.
        structure
            Where it starts.
        previous
            Where to continue from; none to start afresh.
        directory
            Where the engine works.

        Returns
        -------
        ExplorationDoc
            The run.
        """
