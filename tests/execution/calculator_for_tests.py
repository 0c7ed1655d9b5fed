"""EMT that takes its time and writes down each structure it has computed."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT


class LoggedEMT(EMT):
    """Where it writes, and how long it takes, comes from outside: it does not belong to the label."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        time.sleep(float(os.environ["LABEL_SECONDS"]))
        with Path(os.environ["LABEL_LOG"]).open("a") as file:
            file.write(f"{name_of(self.atoms.positions)}\n")
            file.flush()
            os.fsync(file.fileno())


def name_of(positions):
    return hashlib.sha256(np.asarray(positions, dtype=float).tobytes()).hexdigest()
