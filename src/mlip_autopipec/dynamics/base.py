"""What every explorer offers the loop."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobflow import Maker, job

from mlip_autopipec.dynamics.lifting import error_estimate, walk_on
from mlip_autopipec.dynamics.watchdog import StopRule
from mlip_autopipec.schemas import AtomicStructure, ErrorLimit, ExplorationDoc, PotentialDoc, Walker


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

    @job(output_schema=ExplorationDoc, data=["thermo", "frames", "certain", "final", "restart"])
    def make(
        self,
        potential: PotentialDoc,
        walker: Walker,
        structure: AtomicStructure,
        previous: ExplorationDoc | None = None,
        limit: ErrorLimit | None = None,
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
        limit
            Force error that is still good enough, and how to estimate it: a halt by gamma is lifted where the
            estimate lies below. None to halt by gamma alone.

        Returns
        -------
        ExplorationDoc
            The run.
        """
        run = self.judged(potential, walker, structure, previous, Path.cwd(), limit)
        frames = [frame.model_copy(update={"arm": walker.arm}) for frame in run.frames]
        return run.model_copy(update={"frames": frames})

    def judged(
        self,
        potential: PotentialDoc,
        walker: Walker,
        structure: AtomicStructure,
        previous: ExplorationDoc | None,
        directory: Path,
        limit: ErrorLimit | None,
    ) -> ExplorationDoc:
        """Walk, and lift halts; what :meth:`make` does, without a workflow."""

        def walk(gamma: float | None, before: ExplorationDoc | None) -> ExplorationDoc:
            maker = self if gamma is None else replace(self, stop_rule=self.stop_rule.at(gamma))
            return maker.explore(potential, walker, structure, before or previous, directory)

        estimate = None if limit is None else error_estimate(potential, limit, directory)
        if limit is None or estimate is None:
            return walk(None, None)
        return walk_on(walk, estimate, limit.tolerated_error)

    def check_elements(self, elements: Sequence[str]) -> None:
        """Check that the settings suit a material, before anything runs.

        Parameters
        ----------
        elements
            Its chemical symbols.

        Raises
        ------
        ConfigError
            They do not.
        """

    @abstractmethod
    def check_engine(self) -> None:
        """Check that the engine is there, without running it.

        Raises
        ------
        MissingProgramError
            It is not.
        """

    @abstractmethod
    def try_engine(self, directory: Path) -> str:
        """Have the engine show that it works.

        Parameters
        ----------
        directory
            Where it may work.

        Returns
        -------
        str
            Its name and state, in a few words.

        Raises
        ------
        MissingProgramError
            It is not there, or lacks something.
        CalculationError
            It does not run.
        """

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
