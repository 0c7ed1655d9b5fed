"""Campaigns in a project of jobflow-remote, which has an environment of its own: docs/cluster.md."""

from typing import Any

from jobflow import Flow

from mlip_autopipec.errors import ConfigError, MissingProgramError
from mlip_autopipec.execution.launchpad import ClusterJob, Submission
from mlip_autopipec.flows.roles import role_of
from mlip_autopipec.settings import Role

# How the names of a role's jobs begin (`label batch` goes to the oracle's worker, too). jobflow can look for
# the class of a Maker, but a class in what new jobs are to be told is no JSON (jobflow 0.4, monty 2026.10).
_NAMES: dict[Role, str] = {"oracle": "label ", "training": "fit ", "exploration": "explore "}
_FAILED = ("FAILED", "REMOTE_ERROR")


def open_project(project: str) -> Any:
    """Open a project of jobflow-remote.

    Parameters
    ----------
    project
        Its name.

    Returns
    -------
    jobflow_remote.jobs.jobcontroller.JobController
        Connected.

    Raises
    ------
    MissingProgramError
        jobflow-remote is not installed here.
    ConfigError
        There is no such project, or its file is wrong.
    """
    try:
        from jobflow_remote.config.base import ConfigError as ProjectError
        from jobflow_remote.jobs.jobcontroller import JobController
    except ImportError as error:
        raise MissingProgramError(
            "jobflow-remote is not installed.",
            hint="install both into an environment of their own; see docs/cluster.md.",
        ) from error
    try:
        return JobController.from_project_name(project)
    except ProjectError as error:
        raise ConfigError(
            f"jobflow-remote's project {project!r} cannot be used: {error}", hint="run `jf project check`."
        ) from error


def put_remote(flow: Flow, project: str) -> Submission:
    """Put a campaign into a project of jobflow-remote, unless it is there.

    Parameters
    ----------
    flow
        Its flow, with ids of `identify`.
    project
        Name of the project. Jobs go to its workers of the names oracle, training, exploration and other where
        there are such, and to its first one otherwise.

    Returns
    -------
    Submission
        What was done.
    """
    controller = open_project(project)
    known = controller.get_flow_info_by_flow_uuid(flow.uuid)
    if known is not None:
        return Submission(min(int(i) for i in _numbers(known)), added=False)
    from jobflow_remote import set_run_config, submit_flow

    workers = controller.project.workers
    for role, name in _NAMES.items():
        if role in workers:
            set_run_config(flow, name_filter=name, worker=role)
    numbers = submit_flow(flow, worker="other" if "other" in workers else None, project=project)
    return Submission(min(int(number) for number in numbers), added=True)


def remote_jobs(campaign: str, project: str) -> list[ClusterJob]:
    """List the jobs of a campaign in a project of jobflow-remote.

    Parameters
    ----------
    campaign
        Id of its flow.
    project
        Name of the project.

    Returns
    -------
    list[ClusterJob]
        In the order they were added; empty if it is not there.
    """
    found = open_project(project).get_jobs_info(flow_ids=[campaign])
    return sorted((_cluster_job(info) for info in found), key=lambda job: job.number)


def _cluster_job(info: Any) -> ClusterJob:
    return ClusterJob(
        number=int(info.db_id),
        name=info.name,
        role=role_of(info.metadata or {}),
        state="FIZZLED" if info.state.name in _FAILED else info.state.name,
        folder=info.run_dir,
        error=info.error or info.remote.error,
    )


def _numbers(known: dict[str, Any]) -> list[str]:
    return [str(ids[0]) for ids in known["ids"]]
