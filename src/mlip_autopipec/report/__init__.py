"""What a campaign brought, for people: a page and a summary, read from the store alone."""

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.html import report_page, write_report
from mlip_autopipec.report.lineage import Lineage
from mlip_autopipec.report.project import Project, open_project
from mlip_autopipec.report.read import read_campaign
from mlip_autopipec.report.summary import summary_data, summary_text

__all__ = [
    "Campaign",
    "Lineage",
    "Project",
    "open_project",
    "read_campaign",
    "report_page",
    "summary_data",
    "summary_text",
    "write_report",
]
