"""What is forecast is what then happens."""

import sys
from pathlib import Path

import pytest
from jobflow import Flow

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.cost import MeasuredLabel, label_cost
from mlip_autopipec.execution.forecast import JobForecast, forecast
from mlip_autopipec.execution.journal import Journal, journal_beside
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.identity import document_of, identify_document
from mlip_autopipec.store import open_store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # worker processes get the path of this one
import jobs_for_tests as jobs  # noqa: E402


def fates(directory, flow, earlier=()):
    journal = Journal(directory)
    with open_store(directory) as store:
        before = store.count()
        found = forecast(identify_document(document_of(flow)), store, journal.entries(), earlier)
        assert store.count() == before
    journal.close()
    return {(job.name, job.index): (job.fate, job.reason) for job in found}


def chain(log, start=1, unless=None):
    first = jobs.add(start, 1, log)
    first.name = "first"
    second = jobs.numbers(first.output, log)
    loop = jobs.fibonacci(0, 1, 1, log)
    return Flow([first, second, loop, jobs.fail(7, unless)])


def test_says_what_is_reused_runs_failed_or_is_gone(tmp_path):
    log = str(tmp_path / "log")
    directory = tmp_path / "run"
    with open_store(directory) as store:
        assert fates(directory, chain(log))["first", 1] == ("runs", "new")
        assert run_local(chain(log), store=store, directory=directory, workers=1).failed == 1
    told = fates(directory, chain(log))
    assert told["first", 1] == told["numbers", 1] == told["fibonacci", 1] == ("reused", "finished before")
    assert told["store_inputs", 2] == ("reused", "finished before")
    assert told["fail", 1] == ("runs", "failed before")
    with open_store(directory) as store:
        store.additional_stores["data"].remove_docs({})
    assert fates(directory, chain(log))["numbers", 1] == ("runs", "its output is no longer in the store")
    earlier = [identify_document(document_of(chain(log)))]
    told = fates(directory, chain(log, start=2), earlier)
    assert told["first", 1] == ("runs", "0: 1 -> 2")
    assert told["numbers", 1] == ("runs", "takes the output of 'first'")
    assert told["fibonacci", 1] == ("reused", "finished before")


def test_a_failure_that_nobody_needs_any_more_is_left(tmp_path):
    def flow():
        broken = jobs.fail(7)
        return Flow([broken, jobs.collect([broken.output, 1])])

    with open_store(tmp_path) as store:
        run_local(flow(), store=store, directory=tmp_path, workers=1)
    told = fates(tmp_path, flow())
    assert told["fail", 1] == ("failed", "failed before, and what needs it is finished without it")
    assert told["collect", 1] == ("reused", "finished before")


def label(n_atoms, fate="runs"):
    return JobForecast("id", 1, "label 1/1", {"label": "1/1"}, fate, "new", n_atoms)


def test_the_cost_rests_on_labels_of_the_same_oracle():
    measured = [
        MeasuredLabel("ase:emt", 8, 1e-3),
        *(MeasuredLabel("pw.x", n, n**2 / 8) for n in (1, 2, 4, 8, 16)),
    ]
    cost = label_cost([label(32), label(64, "reused"), label(None)], measured, 2)
    assert (cost.n_labels, cost.n_at_most) == (1, 3)
    assert cost.wall_time == pytest.approx(128.0)
    assert cost.at_most == pytest.approx(3 * 128.0)
    assert cost.basis == "rests on 5 labels by pw.x and atoms^2 (fitted)"


def test_a_cost_that_rests_on_nothing_is_unknown():
    cost = label_cost([label(32)], [], 2)
    assert (cost.wall_time, cost.at_most, cost.basis) == (None, None, "no label was made yet")


def test_a_journal_has_its_place_beside_known_stores_only(tmp_path):
    from maggma.stores import MemoryStore

    with pytest.raises(StoreError, match="is not in a MongoDB that open_store opened"):
        journal_beside(MemoryStore())
