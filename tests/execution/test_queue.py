"""Which waiting job starts next."""

import pytest

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.execution.queue import JobQueue
from mlip_autopipec.execution.schedule import JobNode
from mlip_autopipec.execution.stop import Stop
from mlip_autopipec.settings import ResourceRequest

FOREVER = float("inf")


def node(name, metadata=None, request=None):
    config = {"manager_config": {} if request is None else {"request": request}}
    return JobNode({"name": name, "metadata": metadata or {}, "config": config})


def names(queue, seconds=FOREVER):
    found = []
    while (taken := queue.take(seconds)) is not None:
        found.append(taken)
    return [one.document["name"] for one in found], found


def test_the_first_that_fits_comes_first():
    queue = JobQueue(2)
    for one in (node("a"), node("big", request={"cores": 2}), node("b"), node("c")):
        queue.put(one)
    first, running = names(queue)
    assert first == ["a", "b"]
    queue.free(running[0])
    assert names(queue)[0] == ["c"]
    assert len(queue) == 1
    queue.free(running[1])
    assert names(queue)[0] == []


def test_memory_is_shared_out_too():
    queue = JobQueue(4, memory=10.0, resources={"training": ResourceRequest(memory=6.0)})
    for name in ("one", "two"):
        queue.put(node(name, {"stage": "fit"}))
    queue.put(node("label", {"label": "1/1"}, {"cores": 1, "memory": 4.0}))
    first, running = names(queue)
    assert first == ["one", "label"]
    queue.free(running[0])
    assert names(queue)[0] == ["two"]


def test_no_job_starts_that_will_not_end():
    queue = JobQueue(4)
    fit, walk = node("fit", {"stage": "fit"}), node("walk", {"stage": "explore"})
    queue.put(fit)
    assert queue.take(1.0) is fit, "nothing is known yet"
    queue.free(fit, wall_time=100.0)
    queue.learn({"stage": "fit"}, 50.0)
    queue.put(fit)
    queue.put(walk)
    assert names(queue, 99.0)[0] == ["walk"]
    assert names(queue, 101.0)[0] == ["fit"]


@pytest.mark.parametrize(
    ("options", "request_", "message"),
    [
        (
            {"resources": {"oracle": ResourceRequest(cores=3)}},
            None,
            r"'resources.oracle' asks for cores of 3; the run has 2",
        ),
        (
            {"memory": 2.0, "resources": {"other": ResourceRequest(memory=3.5)}},
            None,
            r"'resources.other' asks for memory of 3.5 GB; the run has 2 GB",
        ),
        ({}, {"cores": 3}, r"job 'a' asks for cores of 3; the run has 2"),
        ({}, {"core": 3}, r"the request of job 'a' must be cores and memory, got {'core': 3}"),
    ],
)
def test_refuses_what_will_never_fit(options, request_, message):
    with pytest.raises(ConfigError, match=message):
        JobQueue(2, **options).put(node("a", request=request_))


def test_a_wall_time_is_positive():
    with pytest.raises(ConfigError, match="'walltime' must be a positive time in s, got -1"):
        Stop(-1.0)
    assert Stop().seconds_left == FOREVER
    assert 0.0 < Stop(5.0).seconds_left <= 5.0
