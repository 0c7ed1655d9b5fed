"""What every selection offers the loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jobflow import Maker, job

from mlip_autopipec.schemas import CandidateStructure, LabelBatchDoc, PotentialDoc, SelectionDoc


@dataclass
class SelectionMaker(Maker, ABC):
    """Choose the structures that are worth a label.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "select"

    @job(output_schema=SelectionDoc, data=["candidates", "spare"])
    def make(
        self,
        candidates: list[CandidateStructure],
        n_choose: int,
        batches: list[LabelBatchDoc] | None = None,
        potential: PotentialDoc | None = None,
    ) -> SelectionDoc:
        """Choose among candidates.

        Parameters
        ----------
        candidates
            What to choose from; lists of them are flattened.
        n_choose
            How many to choose; required candidates are chosen even beyond it.
        batches
            Labels already paid for; what failed in them is not chosen again.
        potential
            The current potential, if there is one.

        Returns
        -------
        SelectionDoc
            The choice, best first.
        """
        flat = [c for entry in candidates for c in (entry if isinstance(entry, list) else [entry])]
        return self.select(flat, n_choose, batches or [], potential)

    @abstractmethod
    def select(
        self,
        candidates: list[CandidateStructure],
        n_choose: int,
        batches: list[LabelBatchDoc],
        potential: PotentialDoc | None,
    ) -> SelectionDoc:
        """Choose; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        candidates
            What to choose from.
        n_choose
            How many to choose.
        batches
            Labels already paid for.
        potential
            The current potential.

        Returns
        -------
        SelectionDoc
            The choice.
        """
