"""`mlip-auto export`: labels and potential in the files of other programs."""

from collections.abc import Callable
from pathlib import Path

import typer
from jobflow import JobStore

from mlip_autopipec.errors import ConfigError, StoreError
from mlip_autopipec.report import read_campaign
from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.release import release
from mlip_autopipec.schemas import LabelledStructure
from mlip_autopipec.store import open_existing
from mlip_autopipec.training.dataset_export import to_ase_db, to_extxyz, to_pacemaker_frame

_ENDINGS = (".extxyz", ".xyz", ".extxyz.gz", ".xyz.gz", ".db", ".pckl.gzip", ".pkl.gz")
Writer = Callable[[list[LabelledStructure], Campaign, Path], Path]


def export(target: Path, directory: Path, *, validation: bool, force_release: bool = False) -> None:
    """Write the labels of a campaign to a file, or its potential to a folder.

    Parameters
    ----------
    target
        File whose ending says what it is, or a folder (a name without ending) for the potential.
    directory
        The run folder.
    validation
        Whether the labels are those of the validation instead of the training.
    force_release
        Whether to write a potential that failed its validation.

    Raises
    ------
    ConfigError
        The ending is unknown.
    StoreError
        There is nothing to write, or the file cannot be written.
    PotentialRejectedError
        The potential failed its validation and nobody insists.
    """
    writer = None if not target.suffix else _writer(target)
    store = open_existing(directory)
    campaign = read_campaign(store)
    if writer is None:
        _potential(store, campaign, target, forced=force_release)
        return
    labels = campaign.distinct_labels(validation=validation)
    if not labels:
        raise StoreError(f"{str(directory)!r} holds no such label yet.", hint="see mlip-auto status.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        typer.echo(f"wrote {writer(labels, campaign, target)}: {len(labels)} labels")
    except OSError as error:
        raise StoreError(f"{str(target)!r} cannot be written: {error.strerror}.") from error


def _writer(target: Path) -> Writer:
    if target.name.endswith((".pckl.gzip", ".pkl.gz")):
        return write_frame
    if target.suffix == ".db":
        return lambda labels, _, path: to_ase_db(labels, path)
    if target.name.endswith(_ENDINGS[:4]):
        return lambda labels, _, path: to_extxyz(labels, path)
    raise ConfigError(
        f"nothing is known to write to {target.name!r}; accepted endings: {', '.join(_ENDINGS)}.",
        hint="give a name without an ending to write the potential into that folder.",
    )


def write_frame(labels: list[LabelledStructure], campaign: Campaign, path: Path) -> Path:
    """Write Pacemaker's data frame with the E0 of a campaign.

    Parameters
    ----------
    labels
        The labels.
    campaign
        Where they come from.
    path
        The file.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    StoreError
        The campaign has not fitted yet.
    """
    if campaign.potential is None:
        raise StoreError("Pacemaker's data frame needs E0, which is known after the first fit.")
    return to_pacemaker_frame(labels, path, campaign.potential.e0)


def _potential(store: JobStore, campaign: Campaign, folder: Path, *, forced: bool) -> None:
    if campaign.end is None:
        raise StoreError(
            f"the campaign has no potential to deliver: {campaign.progress}.",
            hint="mlip-auto run goes on with it.",
        )
    for path in release(store, campaign.end, folder, forced=forced):
        typer.echo(f"wrote {path}")
