import cProfile
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from jobflow import Flow, JobOrder, Maker, OutputReference, Response, job, run_locally
from pydantic import BaseModel

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.identity import document_of, identify, identify_document
from mlip_autopipec.store import open_store

# jobflow 0.4 uses a function of monty that is deprecated, and has no order for jobs without connection.
pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning", "ignore:Some jobs are not")


class SumDoc(BaseModel):
    value: float


@job
def add(a, b=0):
    return a + b


@job(output_schema=SumDoc)
def add_documents(a, b):
    return SumDoc(value=a + b)


@job
def collect(values):
    return values


@job
def again():
    return Response(replace=collect([1]))


@dataclass
class AddMaker(Maker):
    name: str = "adder"
    offset: int = 1
    inner: dict = field(default_factory=dict)

    @job
    def make(self, a):
        return a + self.offset


def ids(flow):
    return flow.all_uuids if isinstance(flow, Flow) else (flow.uuid,)


def build(scale=1):
    first, second = add_documents(1.0 * scale, 2.0), AddMaker().make(3)
    third = add(first.output.value, b=second.output)
    nested = Flow([third], output={"sum": third.output})
    last = collect(
        {"all": [nested.output["sum"], second.output], "labels": [first.uuid, second.uuid], first.uuid: 1}
    )
    return Flow([first, second, nested, last], output=last.output["all"][0])


def test_the_same_flow_has_the_same_ids():
    first, second = identify(build()), identify(build())
    assert ids(first) == ids(second)
    assert len(set(ids(first))) == 5
    assert all(old not in ids(first) for old in ids(build()))


def test_a_second_time_changes_nothing():
    once = identify(build())
    assert json.dumps(document_of(identify(once))) == json.dumps(document_of(once))


def test_ids_do_not_depend_on_the_process():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_identity as t; print(*t.ids(t.identify(t.build())))"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(done.stdout.split()) == 5
        # The module has another name there, which is part of a function's path.
        if seed == "1":
            first = done.stdout
    assert done.stdout == first


def test_all_of_the_flow_stays_consistent():
    flow = identify(build())
    first, second, nested, last = flow.jobs
    for one in (first, second, last, *nested.jobs):
        assert one.output.uuid == one.uuid
        assert one.hosts[-1] == flow.uuid
    assert nested.jobs[0].hosts == [nested.uuid, flow.uuid]
    assert set(nested.jobs[0].input_uuids) == {first.uuid, second.uuid}
    assert nested.output["sum"].uuid == nested.jobs[0].uuid
    (values,) = last.function_args
    assert values["labels"] == [first.uuid, second.uuid]
    assert values[first.uuid] == 1
    assert flow.output.uuid == last.uuid
    assert flow.output.attributes == [["i", "all"], ["i", 0]] or flow.output.attributes == (
        ("i", "all"),
        ("i", 0),
    )


def test_an_identified_flow_runs(tmp_path):
    flow = identify(build())
    with open_store(tmp_path) as store:
        run_locally(flow, store=store, log=False, root_dir=tmp_path, ensure_success=True)
        assert store.get_output(flow.jobs[-1].uuid)["all"] == [7.0, 4]


def test_content_counts():
    assert identify(add(1)).uuid != identify(add(2)).uuid
    assert identify(add(1)).uuid != identify(collect(1)).uuid
    assert identify(AddMaker().make(1)).uuid != identify(AddMaker(offset=2).make(1)).uuid
    changed, original = identify(build(2)), identify(build())
    same = [a == b for a, b in zip(changed.job_uuids, original.job_uuids, strict=True)]
    assert same == [False, True, False, False]


def test_name_metadata_place_and_version_do_not_count():
    plain = identify(AddMaker().make(1)).uuid
    renamed = AddMaker(name="other").make(1)
    renamed.append_name(" gen 3")
    renamed.update_metadata({"generation": 3})
    assert identify(renamed).uuid == plain
    assert identify(Flow([add(5), Flow([AddMaker().make(1)])])).jobs[1].jobs[0].uuid == plain
    document = document_of(AddMaker().make(1))
    document["function"]["@bound"]["@version"] = "99"
    assert identify_document(document)["uuid"] == plain


def test_equal_jobs_are_numbered():
    flow = identify(Flow([add(1), add(1), add(1)]))
    assert len(set(flow.job_uuids)) == 3
    assert flow.job_uuids[0] == identify(add(1)).uuid
    assert identify(flow).job_uuids == flow.job_uuids
    assert identify(Flow([add(1), add(1), add(1)])).job_uuids == flow.job_uuids


def test_ids_of_ancestors_are_not_given_again():
    own = identify(add(1)).uuid
    other = identify_document(document_of(add(1)), ancestors=[own])["uuid"]
    assert other != own
    assert identify_document(document_of(add(1)), ancestors=[own])["uuid"] == other


def test_a_replaced_job_keeps_its_id():
    inner = add(1)
    stored = collect(inner.output)
    stored.set_uuid("0123456789abcdef-replaced")
    stored.index = 2
    flow = identify(Flow([inner, stored]))
    assert flow.jobs[1].uuid == "0123456789abcdef-replaced"
    assert flow.jobs[1].index == 2
    assert flow.jobs[1].input_uuids == (flow.jobs[0].uuid,)


def test_references_to_other_flows_stay():
    outside = OutputReference("5c1c5f0e-0000-4000-8000-000000000000", (("a", "value"),))
    (value,) = identify(add(outside)).function_args
    assert value == outside


def test_short_ids_are_not_mistaken_for_text():
    first = add("a")
    first.set_uuid("a")
    second = collect(["a", first.output])
    flow = identify(Flow([first, second]))
    assert flow.jobs[0].function_args[0] == "a"
    assert flow.jobs[1].function_args[0][0] == "a"
    assert flow.jobs[1].input_uuids == (flow.jobs[0].uuid,)


def test_order_and_index_are_kept():
    flow = identify(Flow([add(1), add(2)], order=JobOrder.LINEAR, name="line"))
    assert flow.order == JobOrder.LINEAR
    assert flow.name == "line"


def test_circles_are_refused():
    first, second = add(1), add(2)
    first.function_args = (second.output,)
    second.function_args = (first.output,)
    with pytest.raises(ConfigError, match="jobs need each other's output in a circle: add, add"):
        identify(Flow([first, second]))


def test_cost_is_linear():
    def calls(n):
        jobs = [add(0)]
        for i in range(n):
            jobs.append(add(jobs[-1].output, i))
        document = document_of(Flow(jobs))
        profile = cProfile.Profile()
        profile.runcall(identify_document, document)
        return sum(entry.callcount for entry in profile.getstats())

    small, large = calls(50), calls(200)
    assert large < 4.1 * small
