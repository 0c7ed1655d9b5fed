"""Label a selection: one job a structure, and one that gathers what came of them, or tries others."""

from dataclasses import dataclass, field
from typing import Any

from jobflow import Job, JobConfig, Maker, OnMissing, OutputReference, Response, job

from mlip_autopipec.errors import CampaignError
from mlip_autopipec.openflow import OpenFlow
from mlip_autopipec.oracle.ase import AseStaticMaker
from mlip_autopipec.oracle.base import OracleMaker
from mlip_autopipec.oracle.failures import recorded_reason
from mlip_autopipec.schemas import (
    CandidateStructure,
    FailedLabel,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
    SelectionDoc,
)


@dataclass
class LabelBatchMaker(Maker):
    """Label all structures of a selection; some may fail. If too many do, its spare ones are labelled, too.

    Parameters
    ----------
    name
        Name of the job.
    oracle_maker
        Labels one structure.
    max_failed_fraction
        The batch fails if a larger fraction of its labels failed (dimensionless, 0 to 1).
    lenient
        Whether such a batch is handed on all the same, with what it has.
    """

    name: str = "label batch"
    oracle_maker: OracleMaker = field(default_factory=AseStaticMaker)
    max_failed_fraction: float = 0.5
    lenient: bool = False

    @job  # no output_schema: the job replaces itself (jobflow forbids both)
    def make(self, selection: SelectionDoc, n_before: int = 0) -> Response[Any]:
        """Label a selection.

        Parameters
        ----------
        selection
            The chosen structures.
        n_before
            Batches in a row before this one of which too many failed [1].

        Returns
        -------
        Response
            One label job a structure, and the job that gathers them to a ``LabelBatchDoc``.
        """
        return self._asked(selection, [], len(selection.candidates), n_before)

    def _asked(self, selection: SelectionDoc, tried: list[str], n_more: int, n_before: int) -> Response[Any]:
        """Label the next structures of a selection, beyond those that were tried, and gather all."""
        candidates = [*selection.candidates, *selection.spare][: len(tried) + n_more]
        numbered = list(enumerate(candidates, start=1))[len(tried) :]
        labels = [self.label_job(number, len(candidates), candidate) for number, candidate in numbered]
        outputs = [*map(OutputReference, tried), *(label.output for label in labels)]
        gather = self.gather(outputs, [*tried, *(label.uuid for label in labels)], selection, n_before)
        return Response(replace=OpenFlow([*labels, gather], output=gather.output))

    # No output_schema: the job may replace itself, if too many labels failed.
    @job(
        data=["labels", "failed"],
        name="gather labels",
        config=JobConfig(on_missing_references=OnMissing.NONE, expose_store=True),
    )
    def gather(
        self,
        labels: list[LabelDoc | None],
        label_ids: list[str],
        selection: SelectionDoc,
        n_before: int = 0,
    ) -> Any:
        """Collect the labels of a batch, or have spare structures labelled in the place of those that failed.

        Parameters
        ----------
        labels
            The labels; None where the job failed.
        label_ids
            Ids of the label jobs.
        selection
            The structures that were to be labelled; of the spare ones as many as there are labels.
        n_before
            Batches in a row before this one of which too many failed [1].

        Returns
        -------
        LabelBatchDoc or Response
            What was labelled and what failed; or further labels, and the job that gathers all.

        Raises
        ------
        CampaignError
            Too many failed, or the labels were made under different conditions.
        """
        labelled, failed = [], []
        candidates = [*selection.candidates, *selection.spare]
        for label, label_id, candidate in zip(labels, label_ids, candidates, strict=False):
            if label is None:
                failed.append(
                    FailedLabel(
                        label_id=label_id,
                        structure=candidate.structure,
                        origin=candidate.origin,
                        reason=recorded_reason(label_id),
                    )
                )
            else:
                labelled.append(LabelledStructure.of(label, label_id, candidate))
        if len(failed) > self.max_failed_fraction * len(labels):
            if len(candidates) > len(labels):
                n_missing = len(selection.candidates) - len(labelled)
                return self._asked(selection, label_ids, n_missing, n_before)
            if not self.lenient:
                raise self._too_many(failed, len(labels), n_before)
        check_one_fingerprint(labelled)
        return LabelBatchDoc(
            labels=labelled,
            failed=failed,
            n_labels=len(labelled),
            wall_time=sum(entry.label.wall_time for entry in labelled),
        )

    def _too_many(self, failed: list[FailedLabel], n_total: int, n_before: int) -> CampaignError:
        row = f" So it was in the {n_before} batches before." if n_before > 1 else ""
        row = " So it was in the batch before." if n_before == 1 else row
        return CampaignError(
            f"{len(failed)} of {n_total} labels failed; at most {self.max_failed_fraction:.0%} may.{row} "
            f"The first ({failed[0].structure.formula}): {failed[0].reason}",
            hint="run `mlip-auto status` for the error and the folder of each, and correct the cause.",
        )

    def label_job(self, index: int, total: int, candidate: CandidateStructure) -> Job:
        """Return the named job that labels one structure.

        Parameters
        ----------
        index
            Its number, from 1.
        total
            Number of structures.
        candidate
            The structure.

        Returns
        -------
        jobflow.Job
            The job.
        """
        label: Job = self.oracle_maker.make(candidate.structure)
        label.name = f"label {index}/{total}"
        label.update_metadata({"label": f"{index}/{total}", "origin": candidate.origin})
        return label


def check_one_fingerprint(labelled: list[LabelledStructure]) -> None:
    """Raise if the labels of a batch were made under different conditions.

    Parameters
    ----------
    labelled
        The labels.

    Raises
    ------
    CampaignError
        Two of them differ.
    """
    for entry in labelled[1:]:
        differences = labelled[0].label.fingerprint.differences(entry.label.fingerprint)
        if differences:
            raise CampaignError(
                f"labels {labelled[0].label_id} and {entry.label_id} were made under different conditions: "
                + "; ".join(differences)
                + ". One data set needs one set of conditions.",
                hint="use one oracle, one version of its program and explicit cut-offs for all elements.",
            )
