"""The report: one HTML page that needs nothing but itself."""

from collections.abc import Collection
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.report import details, sections
from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.kmc import kinetics
from mlip_autopipec.report.properties import properties
from mlip_autopipec.report.read import read_campaign
from mlip_autopipec.report.tables import join
from mlip_autopipec.report.trust import trust
from mlip_autopipec.report.words import VERDICT_WORDS
from mlip_autopipec.schemas.files import write_atomic


def write_report(
    store: JobStore,
    path: Path,
    *,
    job_ids: Collection[str] | None = None,
    refresh: float | None = None,
) -> Path:
    """Write the report of a campaign, finished or not.

    Parameters
    ----------
    store
        A connected store.
    path
        The file; its folder must exist.
    job_ids
        Jobs of the campaign, see :func:`read_campaign`.
    refresh
        Seconds after which browsers load the page again; never by default.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    StoreError
        A part of a document is missing, or the file cannot be written.
    """
    page = report_page(read_campaign(store, job_ids=job_ids), refresh=refresh)
    try:
        write_atomic(path, page)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {str(path)!r}: {error.strerror}.",
            hint="choose a file in a folder that exists and that you can write to.",
        ) from error
    return path


def report_page(campaign: Campaign, *, refresh: float | None = None) -> str:
    """Make the page.

    Parameters
    ----------
    campaign
        The campaign.
    refresh
        Seconds after which browsers load the page again; never by default.

    Returns
    -------
    str
        HTML without scripts and without any address outside the page.
    """
    body = join(
        (
            sections.headline(campaign),
            sections.judgement(campaign),
            sections.learning(campaign),
            sections.walks(campaign),
            kinetics(campaign),
            trust(campaign),
            details.small_cells(campaign),
            sections.physics(campaign),
            properties(campaign),
            details.decisions(campaign),
            sections.costs(campaign),
            details.labels(campaign),
            details.failures(campaign),
            details.potential(campaign),
        )
    )
    what = f"Potential for {' '.join(campaign.elements)}" if campaign.elements else "The potential"
    title = f"{what} {VERDICT_WORDS[campaign.verdict]}"
    template = files("mlip_autopipec.report").joinpath("template.html").read_text(encoding="utf-8")
    again = "" if refresh is None else f'<meta http-equiv="refresh" content="{max(1, round(refresh))}">\n'
    return Template(template).substitute(title=escape(title), body=body, refresh=again)
