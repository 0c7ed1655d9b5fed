"""Real programs, small ones."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlip_autopipec.errors import CalculationError, MissingProgramError
from mlip_autopipec.process import Executable, tail


def test_argv_puts_the_launcher_first():
    assert Executable("mpirun -np 4 'my pw.x'").argv("-in", "a b") == [
        "mpirun",
        "-np",
        "4",
        "my pw.x",
        "-in",
        "a b",
    ]


@pytest.mark.parametrize("command", ["", "  "])
def test_an_empty_command_is_refused(command):
    with pytest.raises(MissingProgramError, match="must not be empty"):
        Executable(command).argv()


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(MissingProgramError, match=r"'no-such-program' was not found on PATH"):
        Executable("no-such-program -x").run(directory=tmp_path)


def test_a_file_that_is_not_executable_is_no_program(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(MissingProgramError, match="not executable"):
        Executable(str(program)).resolve()
    program.chmod(0o755)
    assert Executable(str(program)).resolve() == program


def test_run_returns_status_and_output(tmp_path):
    result = Executable("sh -c").run(
        'cat; pwd; echo "$COLOUR" >&2; exit 3', directory=tmp_path, environment={"COLOUR": "blue"}
    )
    assert (result.returncode, result.stdout.strip(), result.stderr) == (3, str(tmp_path), "blue\n")
    assert result.argv[:2] == ("sh", "-c")


def test_output_that_is_no_text_does_not_hurt(tmp_path):
    assert "�" in Executable("sh -c").run(r"printf '\377'", directory=tmp_path).stdout


def test_time_out_kills_the_program_and_its_children(tmp_path):
    script = "echo begun; (sleep 30; touch late) & sleep 30"
    begin = time.monotonic()
    with pytest.raises(
        CalculationError, match=r"sh was killed after its wall-time limit of 0\.5 s"
    ) as caught:
        Executable("sh -c").run(script, directory=tmp_path, timeout=0.5)
    assert time.monotonic() - begin < 10
    assert caught.value.log_tail == "begun"
    assert caught.value.directory == tmp_path
    assert not (tmp_path / "late").exists()


def test_an_interrupt_kills_the_program_too(tmp_path):
    code = (
        "import pathlib, sys\n"
        "from mlip_autopipec.process import Executable\n"
        "Executable('sh -c').run('echo $$ > pid; sleep 30', directory=pathlib.Path(sys.argv[1]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True
    ) as parent:
        pid = wait_for(tmp_path / "pid")
        parent.send_signal(signal.SIGINT)
        _, stderr = parent.communicate(timeout=20)
    assert "KeyboardInterrupt" in stderr
    assert_gone(pid)


def test_a_killed_parent_takes_its_program_along(tmp_path):
    code = (
        "import pathlib, sys\n"
        "from mlip_autopipec.process import Executable\n"
        "Executable('sh -c').run('echo $$ > pid; exec sleep 30', directory=pathlib.Path(sys.argv[1]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as parent:
        pid = wait_for(tmp_path / "pid")
        parent.kill()
    assert_gone(pid)


def wait_for(path):
    for _ in range(400):
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        threading.Event().wait(0.05)
    raise AssertionError(f"{path.name} was not written")


def assert_gone(pid):
    """A process that nobody waited for yet is gone too."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(200):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")


def test_tail_keeps_the_last_lines_that_say_something():
    assert tail("a\n\nb\n  \nc\n", lines=2) == "b\nc"
    assert tail("") == ""
