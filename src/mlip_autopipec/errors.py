"""The exception tree: every error a user can meet, with the exit code of the command line.

::

    MLIPError                      1
    ├── ConfigError                2   the input is wrong; nothing has run
    │   └── StructureError         2   ... it is the structures that are wrong
    ├── MissingProgramError        3   a program or Python package is not there; nothing has run
    ├── CalculationError           4   a program ran and its result cannot be used
    │   └── UnconvergedError       4   ... because it did not converge
    ├── FitError                   5   the data cannot be fitted, or the potential cannot be trusted
    ├── StoreError                 6   the run folder or the store cannot be read or written
    │   └── RunLockedError         6   ... because another process is using it
    ├── CampaignError              7   jobs failed and the campaign cannot go on
    ├── PotentialRejectedError     8   the campaign ended, its potential did not pass validation
    └── OutOfTimeError             9   the wall time is used up; the same command goes on
"""

from functools import partial
from pathlib import Path
from typing import Any


class MLIPError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message
        What is wrong, the value, what is accepted.
    hint
        What to do about it, in the imperative.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the trip between processes with the keyword-only extras intact."""
        return partial(type(self), **self.__dict__), self.args

    def __str__(self) -> str:
        text = str(self.args[0])
        return f"{text}\nhint: {self.hint}" if self.hint else text


class ConfigError(MLIPError):
    """The configuration is wrong; nothing has run."""

    exit_code = 2


class StructureError(ConfigError):
    """A structure given by the user cannot be used."""


class MissingProgramError(MLIPError):
    """A program or Python package that the configuration asks for is not installed."""

    exit_code = 3


class CalculationError(MLIPError):
    """A program or calculator ran and its result cannot be used.

    Parameters
    ----------
    message
        What is wrong with the result.
    hint
        What to do about it.
    directory
        Folder that holds the inputs and outputs of the failed calculation.
    log_tail
        Last lines of the program's log.
    """

    exit_code = 4

    def __init__(
        self, message: str, *, hint: str | None = None, directory: Path | None = None, log_tail: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.directory = directory
        self.log_tail = log_tail

    def __str__(self) -> str:
        where = f"\nfolder: {self.directory}" if self.directory else ""
        tail = f"\nlast lines of the log:\n{self.log_tail}" if self.log_tail else ""
        return super().__str__() + where + tail


class UnconvergedError(CalculationError):
    """A calculation ended without convergence; its numbers are never used."""


class FitError(MLIPError):
    """The data cannot be fitted, or the fitted potential cannot be trusted."""

    exit_code = 5


class StoreError(MLIPError):
    """The run folder or the store cannot be read or written."""

    exit_code = 6


class RunLockedError(StoreError):
    """Another process runs in this folder."""


class CampaignError(MLIPError):
    """Jobs failed and the campaign cannot go on without them."""

    exit_code = 7


class PotentialRejectedError(MLIPError):
    """The campaign ended, but its potential did not pass validation."""

    exit_code = 8


class OutOfTimeError(MLIPError):
    """The wall time of a run is used up before its flow is finished."""

    exit_code = 9
