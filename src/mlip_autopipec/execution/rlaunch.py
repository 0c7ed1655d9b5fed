"""FireWorks' `rlaunch` with an offline mode that runs: ``python -m mlip_autopipec.execution.rlaunch …``.

FireWorks 2.1.4 opens FW_offline.json without a mode, which monty has not allowed since 2025
(https://github.com/materialyzeai/monty/pull/752). Without ``--offline`` plain `rlaunch` does.
"""

from typing import Any

from fireworks.core import rocket
from fireworks.scripts.rlaunch_run import rlaunch
from monty.io import zopen


def _opened(file: Any, mode: str = "rt", **options: Any) -> Any:
    """Open a file as monty did: to read text unless something else is said."""
    return zopen(file, mode, **options)


if __name__ == "__main__":
    rocket.zopen = _opened
    raise SystemExit(rlaunch())
