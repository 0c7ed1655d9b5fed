"""Which of the waiting jobs starts next: the first for which cores, memory and time are left."""

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.execution.schedule import JobNode
from mlip_autopipec.flows.roles import role_of
from mlip_autopipec.settings import ResourceRequest, Role

_ONE_CORE = ResourceRequest()
_GB = 1e9
_ROUNDING = 1e-6  # GB; what is taken and given back does not add up to the last digit


@dataclass(frozen=True)
class _Kind:
    """Jobs that need the same and are likely to take as long."""

    cores: int
    memory: float
    role: Role
    stage: str


class JobQueue:
    """Jobs that only wait for room; cores and memory are never promised twice.

    Parameters
    ----------
    cores
        Cores of the run [1].
    memory
        Its memory [GB]; None for that of the machine.
    resources
        What jobs of a role need; one core where nothing is said. The ``request`` in a job's
        ``manager_config`` wins.
    """

    def __init__(
        self, cores: int, memory: float | None = None, resources: Mapping[Role, ResourceRequest] | None = None
    ) -> None:
        self.cores = cores
        self.memory = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
        self._free_cores, self._free_memory = self.cores, self.memory
        self._resources = dict(resources or {})
        self._waiting: dict[_Kind, deque[tuple[int, JobNode]]] = {}
        self._longest: dict[tuple[Role, str], float] = {}
        self._n_put = 0
        for role, request in self._resources.items():
            self._check(request, f"'resources.{role}'")

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, node: JobNode) -> None:
        """Add a job.

        Parameters
        ----------
        node
            The job.

        Raises
        ------
        ConfigError
            It asks for more than there is.
        """
        self._n_put += 1
        self._waiting.setdefault(self._kind(node), deque()).append((self._n_put, node))

    def take(self, seconds: float) -> JobNode | None:
        """Take the next job out, and its cores and memory.

        Parameters
        ----------
        seconds
            Wall time that is left [s]. A job starts only if the longest of its kind so far would have ended.

        Returns
        -------
        JobNode or None
            None if there is no room for any.
        """
        fitting = [
            (jobs[0][0], kind)
            for kind, jobs in self._waiting.items()
            if jobs and self._has_room(kind) and self._longest.get((kind.role, kind.stage), 0.0) < seconds
        ]
        if not fitting:
            return None
        _, kind = min(fitting, key=lambda pair: pair[0])
        self._free_cores -= kind.cores
        self._free_memory -= kind.memory
        return self._waiting[kind].popleft()[1]

    def free(self, node: JobNode, wall_time: float | None = None) -> None:
        """Give the cores and the memory of a job back.

        Parameters
        ----------
        node
            A job that was taken.
        wall_time
            How long it took [s]; None if it did not end well.
        """
        kind = self._kind(node)
        self._free_cores += kind.cores
        self._free_memory += kind.memory
        if wall_time is not None:
            self.learn(node.document["metadata"], wall_time)

    def learn(self, metadata: Mapping[str, Any], wall_time: float) -> None:
        """Note how long a job took, in this run or an earlier one.

        Parameters
        ----------
        metadata
            Metadata of the job.
        wall_time
            Its wall time [s].
        """
        key = role_of(metadata), str(metadata.get("stage"))
        self._longest[key] = max(wall_time, self._longest.get(key, 0.0))

    def threads(self, node: JobNode) -> int:
        """Return how many threads a job may use [1]."""
        return self._kind(node).cores

    def _has_room(self, kind: _Kind) -> bool:
        return kind.cores <= self._free_cores and kind.memory <= self._free_memory + _ROUNDING

    def _kind(self, node: JobNode) -> _Kind:
        metadata = node.document["metadata"]
        role = role_of(metadata)
        request = self._resources.get(role, _ONE_CORE)
        own = node.document["config"]["manager_config"].get("request")
        if own is not None:
            try:
                request = ResourceRequest.model_validate(own)
            except ValidationError as error:
                raise ConfigError(
                    f"the request of job {node.document['name']!r} must be cores and memory, got {own!r}."
                ) from error
            self._check(request, f"job {node.document['name']!r}")
        return _Kind(request.cores, request.memory, role, str(metadata.get("stage")))

    def _check(self, request: ResourceRequest, who: str) -> None:
        for what, asked, there, unit in (
            ("cores", request.cores, self.cores, ""),
            ("memory", request.memory, self.memory, " GB"),
        ):
            if asked > there:
                option = "--workers" if what == "cores" else "MLIP_AUTO_MEMORY"
                raise ConfigError(
                    f"{who} asks for {what} of {asked:g}{unit}; the run has {there:.4g}{unit}.",
                    hint=f"raise {option}, or ask for less.",
                )
