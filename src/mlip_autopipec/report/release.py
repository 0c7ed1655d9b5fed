"""The delivered potential: its files in a folder of their own."""

import json
from pathlib import Path

from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas import CampaignDoc, PotentialDoc
from mlip_autopipec.schemas.files import write_atomic
from mlip_autopipec.store import load_output

_BULKY = {"files", "parity"}


def release_potential(store: JobStore, campaign: CampaignDoc, folder: Path) -> list[Path]:
    """Write the potential of a finished campaign.

    Parameters
    ----------
    store
        The store of the campaign.
    campaign
        Its last document.
    folder
        Where to write; made if it is not there.

    Returns
    -------
    list[pathlib.Path]
        ``potential.yaml``, ``potential.yace``, ``potential.asi`` and ``potential.json`` (E0, cut-off, core,
        errors, versions, verdict).

    Raises
    ------
    StoreError
        The store has no such potential, or the folder cannot be written.
    """
    uuid = campaign.state.potential
    potential = load_output(store, uuid)
    if not isinstance(potential, PotentialDoc):
        raise StoreError(f"the store holds no potential with the id {uuid!r}.")
    card = potential.model_dump(mode="json", exclude=_BULKY) | {"verdict": campaign.verdict}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        potential.write(folder)
        write_atomic(folder / "potential.json", json.dumps(card, indent=2, ensure_ascii=False))
    except OSError as error:
        raise StoreError(f"the potential cannot be written to {str(folder)!r}: {error.strerror}.") from error
    return [folder / file.name for file in potential.files] + [folder / "potential.json"]
