"""Errors against number of labels: informed against farthest-point against random choice, on published sets.

    python benchmarks/data_efficiency.py FOLDER [ELEMENT ...] [--seeds 3] [--labels 80] [--arms ...]

FOLDER holds ``Cu_train.extxyz.gz`` and so on (Zuo et al., see zuo.py). All choices begin with the same five
labels, drawn at random by the seed, and take five at a time. "active" is the D-optimal choice of the loop
(``selection.d_optimal``), with a refit before each batch; "per cell" is that with ``cost_exponent: 0``, and
"all alike" besides takes no account of how loosely the fit will take a structure. "v-optimal" chooses what
lowers the expected errors over the pool (``numerics.greedy_v_optimal``): the mean over structures of the
variance of the energy an atom and that of the forces, each over what it is before the batch, so that both
weigh the same; costs and looseness as for "active". "v-optimal, plain" adds both in units of their noise
(1 meV/atom, 0.05 eV/Å) instead. The farthest point is taken among the mean ACE functions of each structure,
each function over its spread in the pool. The fit is the loop's.

The floor of the worst structure at the end is its error by the fit to the same labels and its own, and by
the fit to the whole pool.
"""

import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from _record import Record, parser, spread
from zuo import CUTOFF, read

from mlip_autopipec.ace import BasisSpec, DesignMatrix, RowScales, build_basis, default_prior
from mlip_autopipec.numerics import (
    Budget,
    EvidenceFit,
    Moments,
    evidence_fit,
    greedy_d_optimal,
    greedy_v_optimal,
    posterior_precision,
)
from mlip_autopipec.report.svg import BLUE, GREEN, GREY, ORANGE, YELLOW
from mlip_autopipec.training.dataset import assemble

START, BATCH, FUNCTIONS = 5, 5, 200
MARKS = (10, 15, 20, 30, 40, 60, 80, 120)
PARITY = 1.05  # times the error of the full pool
SCALES = RowScales(0.001, 0.05, 0.003)  # the defaults of LinearAceFitMaker
ENERGY_SCALE = 0.3
ARMS = {
    "active": BLUE,
    "active, per cell": YELLOW,
    "active, all alike": GREY,
    "v-optimal": "#7b3294",
    "v-optimal, plain": "#c2a5cf",
    "farthest": GREEN,
    "random": ORANGE,
}


@dataclass(frozen=True)
class Errors:
    """Of a fit: test set, and the worst structure of the pool that has no label."""

    energy: float  # RMSE in meV/atom
    force: float  # RMSE in eV/Å
    worst: float  # force RMSE in eV/Å


@dataclass(frozen=True)
class Floor:
    """The worst structure without a label, and how well it is described with one: force RMSE in eV/Å."""

    above: float  # its energy in eV/atom above the lowest of the pool
    without: float
    added: float  # its own label added to the others
    full: float  # by the fit to the whole pool

    @classmethod
    def middle(cls, floors: "list[Floor]") -> list[str]:
        """Medians and ranges, as cells of a table."""
        return [spread([getattr(f, field.name) for f in floors], ".3f") for field in fields(cls)]


class Part:
    """Rows and labels of a set, computed once."""

    def __init__(self, folder: Path, element: str, part: str, design: DesignMatrix) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            batch = read(folder, element, part, Path(scratch))
        self.structures = assemble([batch], CUTOFF[element]).structures
        self.blocks = list(design.blocks(self.structures, [False] * len(self.structures)))
        self.sizes = np.array([len(atoms) for atoms in self.structures])
        self.energies = np.array([item.label.energy for item in batch.labels]) / self.sizes
        self.forces = [np.ravel(item.label.forces) for item in batch.labels]

    def residuals(self, fit: EvidenceFit, e0: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """Errors of energies in eV/atom and of forces in eV/Å."""
        energies = np.array([block.energy @ fit.coefficients for block in self.blocks]) + e0 - self.energies
        pairs = zip(self.blocks, self.forces, strict=True)
        return energies, [block.forces @ fit.coefficients - forces for block, forces in pairs]


class Pool:
    """An element: the pool to choose from, the test set, fits to parts of the pool."""

    def __init__(self, folder: Path, element: str, n_functions: int) -> None:
        basis = build_basis(BasisSpec((element,), CUTOFF[element], n_functions))
        self.design, self.prior = DesignMatrix(basis), default_prior(basis)
        self.train, self.test = (Part(folder, element, part, self.design) for part in ("train", "test"))
        self.rows = [block.weighted(SCALES) for block in self.train.blocks]
        # Choices see no more of a structure than its information, which a triangle holds.
        self.triangles = [np.linalg.qr(rows, mode="r") for rows in self.rows]
        self.grams = {
            "energy": np.array([np.outer(rows[0], rows[0]) for rows in self.rows]),
            "force": np.array([rows[1:].T @ rows[1:] / len(rows[1:]) for rows in self.rows]),
        }
        means = [
            np.vstack([*self.design.projections(a).values()]).mean(axis=0) for a in self.train.structures
        ]
        self.descriptors = np.array(means) / np.std(means, axis=0).clip(1e-12)

    def __len__(self) -> int:
        return len(self.rows)

    def fit(self, labelled: list[int]) -> tuple[EvidenceFit, float, np.ndarray]:
        """Fit as LinearAceFitMaker does; also E0 in eV and how loosely each structure is fitted."""
        energies, sizes = self.train.energies[labelled], self.train.sizes[labelled]
        e0 = float(energies @ sizes**2 / (sizes @ sizes))  # least squares of the energies of the cells
        looseness = 1.0 + (energies - energies.min()) / ENERGY_SCALE
        moments = Moments(self.design.n_functions)
        for i, loose in zip(labelled, looseness, strict=True):
            energy, forces = self.train.energies[i] - e0, self.train.forces[i]
            target = np.concatenate([[energy / SCALES.energy], forces / SCALES.force])
            moments.add(self.rows[i] / loose, target / loose)
        return evidence_fit(moments, self.prior), e0, looseness

    def errors(self, labelled: list[int]) -> Errors:
        """Fit and look at what was not fitted."""
        fit, e0, _ = self.fit(labelled)
        energies, forces = self.test.residuals(fit, e0)
        return Errors(
            1e3 * float(np.sqrt(np.mean(energies**2))),
            float(np.sqrt(np.mean(np.concatenate(forces) ** 2))),
            float(self.each(fit, e0)[self.left(labelled) or range(len(self))].max()),
        )

    def left(self, labelled: list[int]) -> list[int]:
        """List the structures of the pool that have no label."""
        return sorted(set(range(len(self))) - set(labelled))

    def each(self, fit: EvidenceFit, e0: float) -> np.ndarray:
        """Force RMSE in eV/Å of each structure of the pool."""
        _, forces = self.train.residuals(fit, e0)
        return np.array([np.sqrt(np.mean(f**2)) for f in forces])

    def floor(self, labelled: list[int]) -> Floor:
        """Take the worst structure without a label and see what its label would bring."""
        left, errors = self.left(labelled), self.each(*self.fit(labelled)[:2])
        worst = left[int(errors[left].argmax())]
        more = [
            self.each(*self.fit(some)[:2])[worst] for some in ([*labelled, worst], list(range(len(self))))
        ]
        above = self.train.energies[worst] - self.train.energies.min()
        return Floor(float(above), float(errors[worst]), *map(float, more))

    def informed(self, labelled: list[int], arm: str) -> list[int]:
        """What the selection makers choose, with rows that are kept instead of computed again."""
        fit, e0, looseness = self.fit(labelled)
        looseness = np.ones(len(labelled)) if "alike" in arm else looseness
        precision = posterior_precision(
            sum((r := self.triangles[i] / loose).T @ r for i, loose in zip(labelled, looseness, strict=True)),
            self.prior.log_precision(fit.theta),
        )
        left = self.left(labelled)
        expected = np.array([block.energy @ fit.coefficients for block in self.train.blocks]) + e0
        above = np.clip(expected - self.train.energies[labelled].min(), 0.0, None)
        expected_looseness = np.minimum(1.0 + above / ENERGY_SCALE, looseness.max())
        blocks = [self.triangles[i] / expected_looseness[i] for i in left]
        exponent = 0.0 if arm in ("active, per cell", "active, all alike") else 0.5
        budget = Budget(costs=self.train.sizes[left] ** exponent)
        if arm.startswith("active"):
            chosen = greedy_d_optimal(blocks, precision, BATCH, budget=budget)
        else:
            means = {
                key: np.tensordot(expected_looseness**-2.0, grams, 1) for key, grams in self.grams.items()
            }
            if arm == "v-optimal":
                means = {
                    key: mean / np.trace(np.linalg.solve(precision, mean)) for key, mean in means.items()
                }
            chosen = greedy_v_optimal(blocks, precision, sum(means.values()), BATCH, budget=budget)
        return [left[i] for i in chosen.indices]

    def farthest(self, labelled: list[int]) -> list[int]:
        """Take the structure that is farthest from all that are taken, again and again."""
        taken = list(labelled)
        for _ in range(BATCH):
            apart = np.linalg.norm(self.descriptors[:, None] - self.descriptors[taken], axis=2)
            taken.append(int(apart.min(axis=1).argmax()))
        return taken[len(labelled) :]


def learn(pool: Pool, arm: str, seed: int, most: int) -> tuple[dict[int, Errors], Floor]:
    """Errors of one arm and seed by number of labels, and the floor at the end."""
    order = np.random.default_rng(seed).permutation(len(pool)).tolist()
    labelled, found = order[:START], {}
    while True:
        if len(labelled) in MARKS:
            found[len(labelled)] = pool.errors(labelled)
        if len(labelled) >= most:
            return found, pool.floor(labelled)
        if arm == "random":
            labelled = order[: len(labelled) + BATCH]
        elif arm == "farthest":
            labelled = labelled + pool.farthest(labelled)
        else:
            labelled = labelled + pool.informed(labelled, arm)


def main() -> None:
    """Run, and write the page after each element."""
    command = parser(__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("elements", nargs="*", default=["Cu", "Mo", "Si"])
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--labels", type=int, default=80)
    command.add_argument("--functions", type=int, default=FUNCTIONS)
    command.add_argument(
        "--arms", nargs="+", default=list(ARMS), choices=list(ARMS), help="some only, on a page of their own"
    )
    given = command.parse_args()
    seeds = f"0 to {given.seeds - 1}, the same first five labels for all choices"
    name = "data-efficiency" if given.arms == list(ARMS) else "data-efficiency-some"
    name += f"-{given.functions}" if given.functions != FUNCTIONS else ""
    record = Record(name, "Errors against number of labels", given.out, seeds)
    for element in given.elements:
        pool = Pool(given.folder, element, given.functions)
        curves, floors = {}, {}
        for arm in given.arms:
            learned = [learn(pool, arm, seed, given.labels) for seed in range(given.seeds)]
            curves[arm], floors[arm] = ([pair[k] for pair in learned] for k in (0, 1))
            print(f"{element} {arm}: worst {floors[arm]}", flush=True)
        write(record, pool, element, curves)
        header = ["choice", "eV/atom above the lowest", "without its label", "with it", "whole pool labelled"]
        rows = [[arm, *Floor.middle(some)] for arm, some in floors.items()]
        record.table(header, rows, f"The worst structure at {given.labels} labels: its force RMSE in eV/Å.")
        hardest = np.sort(pool.each(*pool.fit(list(range(len(pool))))[:2]))[::-1]
        if given.labels < len(hardest):
            record.say(
                f"By the fit to the whole pool the {given.labels} structures that are fitted worst have "
                f"{hardest[0]:.3f} to {hardest[given.labels - 1]:.3f} eV/Å, "
                f"the next {hardest[given.labels]:.3f}."
            )


def write(record: Record, pool: Pool, element: str, curves: dict[str, list[dict[int, Errors]]]) -> None:
    """Table, verdicts and figure of an element."""
    full = pool.errors(list(range(len(pool))))
    forms = {"energy": ".2f", "force": ".4f", "worst": ".3f"}
    marks = sorted(next(iter(curves.values()))[0])
    rows = [
        [n, arm, *(spread([getattr(c[n], key) for c in some], form) for key, form in forms.items())]
        for n in marks
        for arm, some in curves.items()
    ]
    rows.append([len(pool), "all", *(f"{getattr(full, key):{form}}" for key, form in forms.items())])
    record.say(f"## {element}")
    record.table(["labels", "choice", "test meV/atom", "test eV/Å", "worst unlabelled eV/Å"], rows)
    for arm, some in curves.items():

        def middle(n: int, key: str, some=some) -> float:
            return float(np.median([getattr(c[n], key) for c in some]))

        reached = {
            key: next(
                (f"at {n} labels" for n in marks if middle(n, key) <= PARITY * getattr(full, key)), "never"
            )
            for key in ("energy", "force")
        }
        last = marks[-1]
        verdict = (
            f"{arm}: within 5 % of the full pool's energy error {reached['energy']}, of its force error "
            f"{reached['force']}"
        )
        if "random" in curves:
            ratio = middle(last, "worst") / np.median([c[last].worst for c in curves["random"]])
            verdict += f"; at {last} labels the worst structure is {ratio:.2f} of random's"
        record.say(f"{verdict}.")
    for key, label in (("energy", "energy RMSE [meV/atom]"), ("worst", "worst unlabelled force RMSE [eV/Å]")):

        def paint(axes, key=key, label=label) -> None:
            for arm, some in curves.items():
                values = np.array([[getattr(c[n], key) for n in marks] for c in some])
                axes.plot(marks, np.median(values, axis=0), "o-", color=ARMS[arm], label=arm)
                axes.fill_between(marks, values.min(axis=0), values.max(axis=0), color=ARMS[arm], alpha=0.15)
            if key != "worst":
                axes.axhline(getattr(full, key), color="#888888", linewidth=0.8)
            axes.set(xlabel="labels", ylabel=label, yscale="log")

        record.figure(f"{element}-{key}", f"{element}: {label} against labels, median and range", paint)


if __name__ == "__main__":
    main()
