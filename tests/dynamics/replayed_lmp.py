"""In the place of `lmp`: looks at its input as LAMMPS would, then gives what a real run was recorded to give.

Started as ``python replayed_lmp.py CASE.json -in FILE -log FILE -nocite``. The case says what is printed
(``stdout``, ``stderr``: files), with which status it ends, and which frames are in the dumps.
"""

import json
import shutil
import sys
from pathlib import Path


def main() -> int:
    case = json.loads(Path(sys.argv[1]).read_text())
    options = sys.argv[2:]
    if options[::2] != ["-in", "-log", "-nocite"]:
        print(f"ERROR: Invalid command-line argument: {options}")
        return 1
    lines = [line.split() for line in Path(options[1]).read_text().splitlines()]
    for words in lines:
        if words[0] in ("read_data", "read_restart"):
            Path(words[1].strip('"')).read_bytes()
        if words[0] == "pair_coeff" and "potential.yaml" in words:
            Path("potential.yaml").read_bytes()
            Path("potential.asi").read_bytes()
    order = [words[0] for words in lines]
    assert order.index("pair_style") > min(
        order.index(w) for w in ("read_data", "read_restart") if w in order
    )
    assert order.index("run") > max(i for i, word in enumerate(order) if word in ("fix", "dump", "thermo"))
    names = {words[0]: words for words in lines}
    if case.get("dump"):
        shutil.copy(case["dump"], names["dump"][5])
    if case.get("final"):
        shutil.copy(case["final"], names["write_dump"][3])
    if case.get("restart"):
        Path(names["write_restart"][1]).write_bytes(case["restart"].encode())
    print(Path(case["stdout"]).read_text(), end="")
    if case.get("stderr"):
        print(Path(case["stderr"]).read_text(), end="", file=sys.stderr)
    return case.get("returncode", 0)


if __name__ == "__main__":
    sys.exit(main())
