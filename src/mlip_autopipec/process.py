"""The only module that starts a program."""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlip_autopipec.errors import CalculationError, MissingProgramError

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended. Whether its result is good is for the caller to read from its files."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Executable:
    """A program with the words that come before its arguments.

    Parameters
    ----------
    command
        Program and leading words, as in a shell but never run by one:
        ``"pw.x"``, ``"mpirun -np 4 pw.x"``.
    """

    command: str

    def argv(self, *arguments: str) -> list[str]:
        """Return the argument vector: launcher and program first.

        Parameters
        ----------
        *arguments
            Arguments of the program.

        Returns
        -------
        list[str]
            What the operating system is given.

        Raises
        ------
        MissingProgramError
            The command is empty.
        """
        words = shlex.split(self.command)
        if not words:
            raise MissingProgramError(f"a program's command must not be empty, got {self.command!r}.")
        return [*words, *arguments]

    def resolve(self) -> Path:
        """Return the path of the first word.

        Returns
        -------
        pathlib.Path
            The file that would be started.

        Raises
        ------
        MissingProgramError
            It is not on ``PATH`` or not executable.
        """
        program = self.argv()[0]
        found = shutil.which(program)
        if found is None:
            raise MissingProgramError(f"program {program!r} was not found on PATH or is not executable.")
        return Path(found)

    def run(
        self,
        *arguments: str,
        directory: Path,
        timeout: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run the program to its end in a folder.

        Parameters
        ----------
        *arguments
            Arguments of the program.
        directory
            Working folder.
        timeout
            Wall time in s after which the program and its children are killed; none by default.
        environment
            Variables set on top of the caller's environment.

        Returns
        -------
        ProcessResult
            Exit status and output; a non-zero status is not an error here.

        Raises
        ------
        MissingProgramError
            The program cannot be started.
        CalculationError
            The time ran out.
        """
        self.resolve()
        argv = self.argv(*arguments)
        with subprocess.Popen(
            argv,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=die_with_parent,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, _ = process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise CalculationError(
                        f"{argv[0]} was killed after its wall-time limit of {timeout:g} s.",
                        hint="raise the time limit, or make the calculation smaller.",
                        directory=directory,
                        log_tail=tail(stdout),
                    ) from error
                raise
        return ProcessResult(tuple(argv), process.returncode, stdout, stderr)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux), so that none is left behind."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def bound_command(command: str) -> str:
    """Return a command that dies with whoever starts it, for libraries that start programs themselves.

    Parameters
    ----------
    command
        Program and leading words, as in a shell but never run by one.

    Returns
    -------
    str
        The same behind a Python that becomes the program after it has asked the kernel for that.
    """
    return shlex.join([sys.executable, "-P", "-m", __name__, *Executable(command).argv()])


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of a log.

    Parameters
    ----------
    text
        The log.
    lines
        Number of non-empty lines to keep.

    Returns
    -------
    str
        Those lines.
    """
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - an argv list, no shell
