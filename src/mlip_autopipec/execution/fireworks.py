"""Our flows as workflows of FireWorks: ids by content, one category a role, nothing done twice.

jobflow has a `flow_to_workflow`, too. Its jobs give random ids to the flows they make, so that one that runs
again after a crash would label everything again, and they carry the store, with its password, into the
database. These here do neither.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fireworks import FiretaskBase, Firework, FWAction, Workflow, explicit_serialize
from jobflow import Flow, Job, JobStore, OnMissing
from jobflow.core.flow import get_flow
from monty.json import MontyDecoder, MontyEncoder

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.answer import HeldStore, is_reusable, is_settled, release, run_job
from mlip_autopipec.execution.journal import JobGrowth
from mlip_autopipec.flows.roles import role_of
from mlip_autopipec.settings import Role, get_settings
from mlip_autopipec.store import open_store


@explicit_serialize
class CampaignTask(FiretaskBase):
    """Runs one job on a worker, unless its output is in the store already.

    Parameters
    ----------
    job
        The job as JSON text; as text, it is not decoded by those who only look at the LaunchPad.
    ancestors
        Ids of the jobs that brought it into being.
    place
        What `place` says.
    """

    required_params = ("job", "ancestors", "place")

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002 - the signature is FireWorks'
        """Run the job and hand its new flows to the LaunchPad.

        Parameters
        ----------
        fw_spec
            The whole spec; all that counts is in the task.

        Returns
        -------
        fireworks.FWAction
            What comes next.
        """
        document = json.loads(self["job"])
        uuid, index = document["uuid"], document["index"]
        ancestors = [uuid, *self["ancestors"]]
        with _opened(self["place"]) as store:
            if is_reusable(store, uuid, index):
                return FWAction()
            held = HeldStore(store)
            growth = run_job(self["job"], held, ancestors)
            release(held, uuid, growth)
            return _action(growth, store, ancestors, self["place"])


def place(directory: Path, store: JobStore, queue: Mapping[Role, Mapping[str, Any]]) -> dict[str, Any]:
    """Say where the jobs of a campaign belong; the same for all that they bring into being.

    Parameters
    ----------
    directory
        The run folder.
    store
        Where outputs go. Only its name is passed on, which holds no password: workers open it by their own
        settings, and refuse to work on another.
    queue
        Keys of the queue adapter for each role.

    Returns
    -------
    dict
        For `CampaignTask`.
    """
    queued = {role: dict(keys) for role, keys in queue.items() if keys}
    return {"directory": str(directory.resolve()), "store": store.name, "queue": queued}


def workflow_of(
    flow: Flow | Job,
    store: JobStore,
    where: dict[str, Any],
    *,
    ancestors: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Workflow | None:
    """Make the workflow of a flow.

    Parameters
    ----------
    flow
        A flow or job with ids of `identify`.
    store
        Where finished jobs are looked up; those are left out.
    where
        What `place` says.
    ancestors
        Ids of the jobs that brought the flow into being.
    metadata
        Metadata of the workflow.

    Returns
    -------
    fireworks.Workflow or None
        None if all its jobs are finished.
    """
    fireworks: dict[str, Firework] = {}
    for job, parents in _in_order(flow):
        if is_settled(store, job.uuid):
            continue
        before = [fireworks[parent] for parent in parents if parent in fireworks]
        task = CampaignTask(job=json.dumps(job, cls=MontyEncoder), ancestors=ancestors or [], place=where)
        fireworks[job.uuid] = Firework([task], spec=_spec(job, where), name=job.name, parents=before)
    if not fireworks:
        return None
    return Workflow(list(fireworks.values()), name=flow.name, metadata=metadata)


def _in_order(flow: Flow | Job) -> list[tuple[Job, list[str]]]:
    """Return the jobs, each after those it waits for, whose ids stand beside it."""
    with warnings.catch_warnings():
        # jobflow finds it odd that jobs need nothing of each other.
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        return list(get_flow(flow, allow_external_references=True).iterflow())


def _spec(job: Job, where: dict[str, Any]) -> dict[str, Any]:
    role = role_of(job.metadata)
    spec: dict[str, Any] = {**job.metadata, "_category": role}
    if role in where["queue"]:
        spec["_queueadapter"] = where["queue"][role]
    if job.config.on_missing_references != OnMissing.ERROR:
        spec["_allow_fizzled_parents"] = True
    return spec | job.config.manager_config


def _action(growth: JobGrowth, store: JobStore, ancestors: list[str], where: dict[str, Any]) -> FWAction:
    def workflows(*texts: str | None) -> list[Workflow]:
        flows = [MontyDecoder().decode(text) for text in texts if text is not None]
        made = [workflow_of(flow, store, where, ancestors=ancestors) for flow in flows]
        return [workflow for workflow in made if workflow is not None]

    return FWAction(
        detours=workflows(growth.replace, growth.detour),
        additions=workflows(growth.addition),
        defuse_children=growth.stop_children,
        defuse_workflow=growth.stop_jobflow,
    )


def _opened(where: dict[str, Any]) -> JobStore:
    """Open the store of a campaign on this machine."""
    directory, settings = Path(where["directory"]), get_settings()
    if settings.store_uri is None and not (directory / "store.sqlite").is_file():
        raise StoreError(
            f"this worker cannot reach the store {where['store']}: it has no 'store_uri', and no run folder "
            f"{str(directory)!r} with a store.",
            hint="set MLIP_AUTO_STORE_URI as for `mlip-auto submit`; without it, all workers must run on the "
            "machine of the run folder.",
        )
    store = open_store(directory, settings)
    if store.name != where["store"]:
        store.close()
        raise StoreError(
            f"the worker's store must be {where['store']}, got {store.name}.",
            hint="give the worker the same MLIP_AUTO_STORE_URI and MLIP_AUTO_STORE_DATABASE as "
            "`mlip-auto submit` had.",
        )
    return store
