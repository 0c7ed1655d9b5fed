"""What every fit offers the loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from jobflow import Maker, job

from mlip_autopipec.schemas import LabelBatchDoc, PotentialDoc


@dataclass
class FitMaker(Maker, ABC):
    """Fit a potential to labelled structures.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "fit"

    @job(output_schema=PotentialDoc, data=["files", "parity"])
    def make(self, batches: list[LabelBatchDoc], initial: PotentialDoc | None = None) -> PotentialDoc:
        """Fit to all labels of some batches.

        Parameters
        ----------
        batches
            The labels, in the order in which they were bought.
        initial
            A potential to start from, for fits that can; linear fits need none.

        Returns
        -------
        PotentialDoc
            The potential, its files read back and compared.
        """
        return self.fit(batches, Path.cwd(), initial)

    @abstractmethod
    def fit(
        self, batches: list[LabelBatchDoc], directory: Path, initial: PotentialDoc | None = None
    ) -> PotentialDoc:
        """Fit in a folder; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        batches
            The labels.
        directory
            Where files are written.
        initial
            A potential to start from, for fits that can.

        Returns
        -------
        PotentialDoc
            The potential.
        """
