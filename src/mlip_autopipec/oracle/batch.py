"""Label a selection: one job a structure, and one that gathers what came of them."""

from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, JobConfig, Maker, OnMissing, Response, job

from mlip_autopipec.errors import CampaignError
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
    """Label all structures of a selection; some may fail.

    Parameters
    ----------
    name
        Name of the job.
    oracle_maker
        Labels one structure.
    max_failed_fraction
        The batch fails if a larger fraction of its labels failed (dimensionless, 0 to 1).
    """

    name: str = "label batch"
    oracle_maker: OracleMaker = field(default_factory=AseStaticMaker)
    max_failed_fraction: float = 0.5

    @job  # no output_schema: the job replaces itself (jobflow forbids both)
    def make(self, selection: SelectionDoc) -> Response[Any]:
        """Label a selection.

        Parameters
        ----------
        selection
            The chosen structures.

        Returns
        -------
        Response
            One label job a structure, and the job that gathers them to a ``LabelBatchDoc``.
        """
        candidates = selection.candidates
        labels = [self.label_job(i, len(candidates), c) for i, c in enumerate(candidates, start=1)]
        gather = gather_labels(
            [label.output for label in labels],
            [label.uuid for label in labels],
            candidates,
            self.max_failed_fraction,
        )
        return Response(replace=Flow([*labels, gather], output=gather.output))

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


@job(
    output_schema=LabelBatchDoc,
    data=["labels", "failed"],
    name="gather labels",
    config=JobConfig(on_missing_references=OnMissing.NONE, expose_store=True),
)
def gather_labels(
    labels: list[LabelDoc | None],
    label_ids: list[str],
    candidates: list[CandidateStructure],
    max_failed_fraction: float,
) -> LabelBatchDoc:
    """Collect the labels of a batch.

    Parameters
    ----------
    labels
        The labels; None where the job failed.
    label_ids
        Ids of the label jobs.
    candidates
        The structures that were to be labelled.
    max_failed_fraction
        Largest accepted fraction of failed labels, 0 to 1.

    Returns
    -------
    LabelBatchDoc
        What was labelled and what failed.

    Raises
    ------
    CampaignError
        Too many failed, or the labels were made under different conditions.
    """
    labelled, failed = [], []
    for label, label_id, candidate in zip(labels, label_ids, candidates, strict=True):
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
    check_failures(failed, len(labels), max_failed_fraction)
    check_one_fingerprint(labelled)
    return LabelBatchDoc(
        labels=labelled,
        failed=failed,
        n_labels=len(labelled),
        wall_time=sum(entry.label.wall_time for entry in labelled),
    )


def check_failures(failed: list[FailedLabel], n_total: int, max_failed_fraction: float) -> None:
    """Raise if too many labels failed.

    Parameters
    ----------
    failed
        The failed labels.
    n_total
        Number of labels asked for.
    max_failed_fraction
        Largest accepted fraction, 0 to 1.

    Raises
    ------
    CampaignError
        More failed.
    """
    if len(failed) > max_failed_fraction * n_total:
        raise CampaignError(
            f"{len(failed)} of {n_total} labels failed; at most {max_failed_fraction:.0%} may. "
            f"The first ({failed[0].structure.formula}): {failed[0].reason}",
            hint="run `mlip-auto status` for the error and the folder of each, and correct the cause.",
        )


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
