"""Labels to reach a stated force error: adaptive policy, fixed shares, random structures of the same kinds.

``policy.py [--elements Cu Si] [--seeds 3] [--labels 48] [--force 0.05] [--log]``. The oracles are cheap and
exact: EMT for copper, Tersoff for silicon. Initial labels, fit and test structures are the same for all.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.tersoff import Tersoff, TersoffParameters

from mlip_autopipec.ace import load_potential
from mlip_autopipec.flows.policy import ExplorationPolicy, decided, granted, learned
from mlip_autopipec.generation import PerturbationMaker, SeedStructuresMaker, variants
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, ErrorStatistics, ParityPoint
from mlip_autopipec.selection import ArmErrorMaker, DOptimalSelectionMaker, VOptimalSelectionMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

ARMS = ("rattle", "strain", "vacancy", "surface", "stacking_fault", "interstitial")
METHODS = ("adaptive", "fixed", "random")
BATCH, INITIAL = 4, 12


class GuardedTersoff(Tersoff):
    """ASE's, defined for a bond without a third atom as well: its derivative there is multiplied by zero."""

    def _calc_bij_d(self, zeta: float, beta: float, n: float) -> float:
        return 0.0 if zeta == 0.0 else super()._calc_bij_d(zeta, beta, n)


def tersoff() -> Tersoff:
    """Silicon by J. Tersoff, Phys. Rev. B 38, 9902 (1988)."""
    silicon = TersoffParameters(
        m=3, gamma=1.0, lambda3=0.0, c=100390.0, d=16.217, h=-0.59825, n=0.78734, beta=1.1e-6,
        lambda2=1.7322, B=471.18, R=2.85, D=0.15, lambda1=2.4799, A=1830.8,
    )  # fmt: skip
    return GuardedTersoff({("Si", "Si", "Si"): silicon})


MATERIALS = {
    "Cu": (bulk("Cu", cubic=True).repeat((2, 2, 1)), EMT, 5.6),
    "Si": (bulk("Si", cubic=True), tersoff, 5.2),
}


def fresh(crystal, arms, n_each, rng, search) -> list[CandidateStructure]:
    """Structures of some families that nobody has graded."""
    return [
        CandidateStructure(structure=AtomicStructure.from_ase(v.atoms), origin=arm, arm=arm, detail=v.detail)
        for arm in arms
        for v in variants(search.family(arm), crystal, n_each, rng)
    ]


class Campaign:
    """One run of one method."""

    def __init__(self, element: str, method: str, seed: int, directory: Path) -> None:
        self.crystal, oracle, cutoff = MATERIALS[element]
        self.method, self.seed, self.directory = method, seed, directory
        self.oracle, self.search = oracle(), PerturbationMaker(arm_strain=0.08)
        self.fit = LinearAceFitMaker(cutoff=cutoff, n_functions=100)
        self.policy = ExplorationPolicy(
            kind="adaptive" if method == "adaptive" else "fixed", arms=dict.fromkeys(ARMS, 1.0)
        )
        self.selection = VOptimalSelectionMaker(cutoff=cutoff, n_functions=100, arms=self.policy.arms)
        self.arms, self.decisions, self.older = [], [], None
        reference = [AtomicStructure.from_ase(self.crystal)]
        seeds = SeedStructuresMaker(n_atoms=len(self.crystal), n_strained=10, n_rattled=10, seed=seed)
        pool = seeds.make.original(seeds, reference).candidates
        chosen = DOptimalSelectionMaker(cutoff=cutoff, n_functions=100).select(pool, INITIAL, [], None)
        self.batches = [label_batch(chosen.candidates, self.oracle, prefix="initial")]
        self.reference = reference

    def extend(self, number: int) -> None:
        """Buy one batch by the method."""
        if self.method == "random":
            rng = np.random.default_rng([self.seed, number])
            arms = rng.choice(ARMS, size=BATCH)
            found = [c for arm in arms for c in fresh(self.crystal, [str(arm)], 1, rng, self.search)]
            self.batches.append(label_batch(found, self.oracle, prefix=f"batch-{number}"))
            return
        decision = decided(self.policy, self.arms, (), n_slots=BATCH, generation=number)
        self.decisions.append(decision)
        potential = load_potential(self.potential, self.directory)
        adaptive = self.policy.kind == "adaptive"
        found = self.search.search(
            potential, self.reference, decision.slots, self.seed + number, required=not adaptive
        ).candidates
        if adaptive and found:
            found = self.selection.select(found, BATCH, self.batches, self.potential).candidates
        batch = label_batch(found, self.oracle, prefix=f"batch-{number}")
        paid = ArmErrorMaker().measure(potential, batch, self.older)
        self.arms = learned(granted(self.arms, decision), paid, number)
        self.older = potential
        self.batches.append(batch)

    def refit(self) -> None:
        """Fit to all labels."""
        self.potential = self.fit.fit(self.batches, self.directory)

    @property
    def n_labels(self) -> int:
        """Labels so far, those of the first fit included."""
        return sum(batch.n_labels for batch in self.batches)


def run(element: str, method: str, seed: int, most: int, test) -> tuple[list, list]:
    """Return labels with energy RMSE [meV/atom], force RMSE and largest force error [eV/Å]; decisions."""
    rows = []
    with TemporaryDirectory() as folder:
        campaign = Campaign(element, method, seed, Path(folder))
        for number in range(3 * most):
            campaign.refit()
            ace = load_potential(campaign.potential, Path(folder))
            points = ParityPoint.predict(ace, test.labels, campaign.potential.e0)
            found = ErrorStatistics.from_parity(points)
            rows.append((campaign.n_labels, 1000 * found.energy_rmse, found.force_rmse, found.force_max))
            if campaign.n_labels >= most or number >= most:
                break
            campaign.extend(number)
    return rows, campaign.decisions


def main() -> None:
    """Print the table and, if asked for, the decisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", nargs="+", default=list(MATERIALS), choices=list(MATERIALS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=48)
    parser.add_argument("--force", type=float, default=0.05, help="force RMSE to reach [eV/Å]")
    parser.add_argument("--log", action="store_true", help="print the adaptive policy's decisions")
    given = parser.parse_args()
    print("element method    seed  labels to reach  final: labels  meV/atom  eV/Å RMSE  eV/Å largest")
    for element in given.elements:
        crystal, oracle, _ = MATERIALS[element]
        held = fresh(crystal, ARMS, 6, np.random.default_rng(987), PerturbationMaker(arm_strain=0.08))
        test = label_batch(held, oracle(), prefix="test")
        for method in METHODS:
            for seed in range(given.seeds):
                rows, decisions = run(element, method, seed, given.labels, test)
                reached = next((str(n) for n, _, force, _ in rows if force <= given.force), "not reached")
                n, energy, force, worst = rows[-1]
                head = f"{element:7} {method:9} {seed:4}  {reached:>15}  {n:13}"
                print(f"{head}  {energy:8.2f}  {force:9.4f}  {worst:12.3f}", flush=True)
                if given.log:
                    for decision in decisions if method == "adaptive" else []:
                        print(f"    generation {decision.generation}: {decision.reason}")


if __name__ == "__main__":
    main()
