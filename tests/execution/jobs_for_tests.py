"""Jobs for the tests of the local manager; a module of its own, as worker processes import it by name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobflow import Flow, JobConfig, OnMissing, Response, job

from mlip_autopipec.errors import CalculationError


def note(log, text):
    """Append a line to a file, in one write."""
    with Path(log).open("a") as file:
        file.write(f"{text}\n")


@job
def add(a, b, log=None, seconds=0.0):
    if log:
        note(log, f"add {a} {b}")
    time.sleep(seconds)
    return a + b


@job(data="numbers")
def numbers(n, log):
    note(log, f"numbers {n}")
    return {"numbers": list(range(n)), "n": n}


@job(config=JobConfig(on_missing_references=OnMissing.NONE))
def collect(values, log=None):
    if log:
        note(log, "collect")
    return values


@job
def fibonacci(small, large, n, log=None):
    if log:
        note(log, f"fibonacci {n}")
    if n == 0:
        return large
    total = add(small, large, log)
    rest = fibonacci(large, total.output, n - 1, log)
    return Response(replace=Flow([total, rest], output=rest.output))


@job
def replace_by_job(a):
    return Response(replace=add(a, 1))


@job
def replace_by_many(n):
    return [add(i, i) for i in range(n)]


@job
def detour(a):
    return Response(output=a, detour=add(a, 10))


@job
def addition(a, log=None):
    if log:
        note(log, f"addition {a}")
    return Response(output=a, addition=add(a, 100, log))


@job
def stop_children(a):
    return Response(output=a, stop_children=True)


@job
def stop_all(a):
    return Response(output=a, stop_jobflow=True)


@job
def poll(counter):
    """Replace itself by the same job until a file counts to three."""
    path = Path(counter)
    n = int(path.read_text()) if path.exists() else 0
    if n == 3:
        return n
    path.write_text(str(n + 1))
    return Response(replace=poll(counter))


@job
def fail(a, unless=None):
    print("about to fail")
    if unless and Path(unless).exists():
        return a
    raise CalculationError(f"pw.x said {a}.", hint="ask it again.")


@job
def replace_by_failure(a, unless=None):
    inner = fail(a, unless)
    return Response(replace=Flow([inner], output=inner.output))


@job
def end_process(how):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", how])
    time.sleep(0.1)
    if how == "exit":
        raise SystemExit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@job
def start_program(marker):
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1000)", marker], start_new_session=True
    ) as p:
        print("program", p.pid)
        Path(marker).touch()


@job
def resume(marker, *, die=False):
    """Get half way and wait for its end, or die at once; the second time, tell what is left of the first."""
    kept, beside = Path("resume"), Path("beside")
    if Path(marker).exists():
        left = sorted(p.name for p in Path().iterdir() if p.name not in ("resume", "job.log"))
        return {"kept": sorted(p.name for p in kept.iterdir()), "beside": left}
    for folder in (kept, beside):
        folder.mkdir()
        (folder / "half").touch()
    Path("file").touch()
    Path(marker).touch()
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1000)
    return {}


@job
def environment():
    os.write(1, b"from the system\n")
    print("from print")
    print("to stderr", file=sys.stderr)
    Path("here").touch()
    return {"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"], "cwd": str(Path.cwd())}


@job
def cores_used(number):
    began = time.time()
    time.sleep(0.2)
    return {"number": number, "began": began, "ended": time.time(), "threads": os.environ["OMP_NUM_THREADS"]}


@job
def unstorable():
    return {1, 2}


@job
def batch(n, log, cure):
    """Replace itself by labels, of which the first fails, and a job that gathers the others."""
    labels = [fail(0, cure), *(add(i, 0, log) for i in range(1, n))]
    for label in labels:
        label.update_metadata({"label": "1"})
    gathered = collect([label.output for label in labels], log)
    return Response(replace=Flow([*labels, gathered], output=gathered.output))
