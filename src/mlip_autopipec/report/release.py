"""The delivered potential: its files in a folder of their own."""

import json
from pathlib import Path

from jobflow import JobStore

from mlip_autopipec.ace import lammps_lines, load_potential
from mlip_autopipec.errors import PotentialRejectedError, StoreError
from mlip_autopipec.report.examples import write_examples
from mlip_autopipec.report.model_card import model_card, write_model_card
from mlip_autopipec.report.read import read_campaign
from mlip_autopipec.schemas import CampaignDoc, CandidateSetDoc, PotentialDoc
from mlip_autopipec.schemas.files import write_atomic
from mlip_autopipec.store import load_output

_BULKY = {"files", "parity"}


def release(store: JobStore, campaign: CampaignDoc, folder: Path, *, forced: bool = False) -> list[Path]:
    """Write a potential that may be released, and what goes with it.

    Parameters
    ----------
    store
        The store of the campaign.
    campaign
        Its last document.
    folder
        Where to write; made if it is not there.
    forced
        Whether to release it although it failed.

    Returns
    -------
    list[pathlib.Path]
        The files of :func:`release_potential` and :func:`release_documents`.

    Raises
    ------
    PotentialRejectedError
        It failed and nobody insists.
    """
    check_release(campaign, forced=forced)
    written = release_potential(store, campaign, folder)
    return [*written, *release_documents(store, campaign, folder, forced=forced)]


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
        The potential's files, ``potential.json`` (E0, cut-off, core, baseline, errors, versions, verdict) and
        ``potential.lammps`` (the lines that use it in LAMMPS).

    Raises
    ------
    StoreError
        The store has no such potential, or the folder cannot be written.
    """
    uuid = campaign.state.delivered
    potential = load_output(store, uuid)
    if not isinstance(potential, PotentialDoc):
        raise StoreError(f"the store holds no potential with the id {uuid!r}.")
    card = potential.model_dump(mode="json", exclude=_BULKY) | {"verdict": campaign.verdict}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        potential.write(folder)
        write_atomic(folder / "potential.json", json.dumps(card, indent=2, ensure_ascii=False))
        write_atomic(folder / "potential.lammps", lammps_input(potential))
    except OSError as error:
        raise StoreError(f"the potential cannot be written to {str(folder)!r}: {error.strerror}.") from error
    names = [*(file.name for file in potential.files), "potential.json", "potential.lammps"]
    return [folder / name for name in names]


def release_documents(
    store: JobStore, campaign: CampaignDoc, folder: Path, *, forced: bool = False
) -> list[Path]:
    """Write what goes with a released potential: examples, which are run, and the model card.

    Parameters
    ----------
    store
        The store of the campaign.
    campaign
        Its last document.
    folder
        Where :func:`release_potential` wrote the potential.
    forced
        Whether it is released although it failed.

    Returns
    -------
    list[pathlib.Path]
        The files.
    """
    found = read_campaign(store)
    seeds = load_output(store, campaign.state.seeds)
    if not isinstance(seeds, CandidateSetDoc) or found.potential is None:
        raise StoreError("the store holds no crystals or no potential of this campaign.")
    crystals = [structure.to_ase() for structure in seeds.reference]
    ace = load_potential(found.potential, folder)
    examples = write_examples(found.potential, ace, crystals[0], folder)
    card = model_card(found, ace, crystals, examples, forced=forced)
    return [*(folder / name for name in examples), *write_model_card(card, folder)]


def check_release(campaign: CampaignDoc, *, forced: bool) -> None:
    """Refuse to release a potential that failed.

    Parameters
    ----------
    campaign
        The last document of its campaign.
    forced
        Whether it is released all the same.

    Raises
    ------
    PotentialRejectedError
        It failed and nobody insists.
    """
    if campaign.verdict == "fail" and not forced:
        raise PotentialRejectedError(
            "the potential did not pass validation and is not released; see the table above.",
            hint="allow more labels, hotter walks or more basis functions and run the same command again, or "
            "add --force-release.",
        )


def lammps_input(potential: PotentialDoc) -> str:
    """Write the lines that use a potential in LAMMPS, with what a user must know as comments.

    Parameters
    ----------
    potential
        The potential.

    Returns
    -------
    str
        To be read by ``include``.
    """
    types = ", ".join(f"{index} = {element}" for index, element in enumerate(potential.elements, start=1))
    e0 = ", ".join(f"{element} {energy:.6f}" for element, energy in potential.e0.items())
    notes = [
        "include this file after the box and its atoms are defined; LAMMPS needs the ML-PACE package.",
        f"units metal; atom types: {types}",
        f"energies are relative to free atoms; add per atom for total energies [eV]: {e0}",
    ]
    lines = lammps_lines(None, potential.elements)
    if potential.baseline is not None:
        lines = potential.baseline.lammps
        notes.append(
            f"potential.yace is only a part of this potential: the pair baseline ({potential.baseline.kind}) "
            "below belongs to it."
        )
    return "\n".join([*(f"# {note}" for note in notes), *lines]) + "\n"
