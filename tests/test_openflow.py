"""A flow that refers to jobs outside of it, as jobflow-remote takes replacements."""

import json

import pytest
from jobflow import Flow, OutputReference, job
from jobflow.core.flow import get_flow
from monty.json import MontyDecoder, MontyEncoder

from mlip_autopipec.openflow import OpenFlow


@job
def add(a, b):
    return a + b


def jobs():
    first = add(1, OutputReference("earlier"))
    return [first, add(first.output, OutputReference("earliest").length)]


def test_it_may_refer_to_jobs_outside():
    with pytest.raises(ValueError, match="were not found in the jobs array"):
        get_flow(Flow(jobs()))
    flow = OpenFlow(jobs())
    assert get_flow(flow) is flow
    assert flow.job_uuids == (*(j.uuid for j in flow.jobs), "earlier", "earliest")


def test_it_is_stored_as_a_flow():
    flow = OpenFlow(jobs(), name="generation 3")
    stored = json.loads(json.dumps(flow, cls=MontyEncoder))
    assert (stored["@module"], stored["@class"]) == ("jobflow.core.flow", "Flow")
    read = MontyDecoder().process_decoded(stored)
    assert type(read) is Flow
    assert (read.name, read.job_uuids) == ("generation 3", flow.job_uuids[:2])
