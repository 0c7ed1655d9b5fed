"""`mlip-auto submit`: a campaign for a cluster, through a LaunchPad of FireWorks."""

from pathlib import Path

import typer

from mlip_autopipec.cli.check import ready_plan
from mlip_autopipec.cli.run import make_folder
from mlip_autopipec.execution.launchpad import Note, Submission, note_submission, open_launchpad, put
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.reproduce import write_reproduction
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import open_store


def submit_campaign(config: Path, directory: Path, launchpad: Path | None, remote: str | None = None) -> None:
    """Put a campaign into a LaunchPad or a project of jobflow-remote, or go on with the one that is there.

    Parameters
    ----------
    config
        The configuration file.
    directory
        The run folder; made if it is not there.
    launchpad
        A my_launchpad.yaml; none for the machine's setting.
    remote
        A project of jobflow-remote, instead.
    """
    if remote is not None:
        _submit_remote(config, directory, remote)
        return
    settings = get_settings()
    file = launchpad or settings.launchpad
    with open_launchpad(file) as pad:
        plan = ready_plan(config)
        flow = identify(plan.flow())
        directory = make_folder(directory, config)
        write_reproduction(plan, directory)
        with open_store(directory, settings) as store:
            queue = {role: needs.queue for role, needs in settings.resources.items()}
            done = put(flow, launchpad=pad, store=store, directory=directory, queue=queue)
            if done.number is not None:
                note_submission(directory, Note(flow.uuid, file))
            typer.echo(f"run folder {directory}\nstore {store.name}\n{_told(done)}")


def _submit_remote(config: Path, directory: Path, project: str) -> None:
    from mlip_autopipec.execution.remote import put_remote

    plan = ready_plan(config)
    flow = identify(plan.flow())
    done = put_remote(flow, project)
    directory = make_folder(directory, config)
    write_reproduction(plan, directory)
    note_submission(directory, Note(flow.uuid, remote=project))
    typer.echo(f"run folder {directory}\nproject {project} of jobflow-remote\n{_told(done)}")


def _told(done: Submission) -> str:
    if done.number is None:
        return "nothing is left to do; next: mlip-auto report"
    if done.added:
        return f"submitted, from job {done.number} on; next: start the workers, mlip-auto status"
    text = f"is there already, from job {done.number} on"
    numbers = ", ".join(map(str, done.retried))
    return f"{text}; failed jobs made ready again: {numbers}" if numbers else f"{text}; nothing was changed"
