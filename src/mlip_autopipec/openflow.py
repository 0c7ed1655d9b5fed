"""Flows that refer to what other jobs have done."""

from typing import Any

from jobflow import Flow
from jobflow.core.reference import find_and_get_references


class OpenFlow(Flow):
    """A flow whose jobs may refer to jobs outside of it: what a job that looks back is replaced by.

    jobflow's own managers take any flow for that. jobflow-remote (1.0) calls ``get_flow`` on it, which
    refuses references to jobs that the flow does not list; so this one lists them. It is stored as an
    ordinary flow.
    """

    @property
    def job_uuids(self) -> tuple[str, ...]:
        """Ids of its jobs, and of those that they refer to."""
        own = super().job_uuids
        referred = {reference.uuid for reference in find_and_get_references(self.jobs)}
        return (*own, *sorted(referred.difference(own)))

    def as_dict(self) -> dict[str, Any]:
        """Return the dictionary of the flow that it is when it is read again."""
        return {**super().as_dict(), "@module": Flow.__module__, "@class": Flow.__name__}
