"""Contracts that Makers, documents and potentials keep, for the tests of this package and of others.

Nothing here needs pytest: a broken contract raises :class:`AssertionError` with what is wrong and where.
"""

from mlip_autopipec.testing.classes import document_classes, maker_classes
from mlip_autopipec.testing.documents import DocumentContract
from mlip_autopipec.testing.labels import label_batch
from mlip_autopipec.testing.makers import MakerContract, maker_unchanged
from mlip_autopipec.testing.potentials import PotentialContract
from mlip_autopipec.testing.watchdog import SignsAt, Stop, WatchdogContract, stop_by_verdict

__all__ = [
    "DocumentContract",
    "MakerContract",
    "PotentialContract",
    "SignsAt",
    "Stop",
    "WatchdogContract",
    "document_classes",
    "label_batch",
    "maker_classes",
    "maker_unchanged",
    "stop_by_verdict",
]
