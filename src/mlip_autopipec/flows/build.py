"""The only factory: a configuration becomes Makers, and every value of it can be accounted for."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from jobflow import Flow

from mlip_autopipec.config import Inferred, MLIPConfig, infer, read_structures
from mlip_autopipec.dynamics import EonKmcMaker, LammpsMDMaker, StopRule
from mlip_autopipec.errors import MissingProgramError, StructureError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.policy import ExplorationPolicy
from mlip_autopipec.flows.progress import LoopLimits
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.generation import (
    DefectCellMaker,
    PerturbationMaker,
    Prototype,
    SeedStructuresMaker,
    prototypes,
)
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker, OracleMaker, QeStaticMaker, VaspStaticMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.selection import (
    DOptimalSelectionMaker,
    EmbeddingMaker,
    GammaCalibrationMaker,
    VOptimalSelectionMaker,
)
from mlip_autopipec.training import LinearAceFitMaker, PacemakerFitMaker
from mlip_autopipec.training.tuning import BasisTuner
from mlip_autopipec.validation import (
    ElasticMaker,
    EosMaker,
    HeldOutMaker,
    PhononMaker,
    StabilityMaker,
    StackingFaultMaker,
    SurfaceMaker,
    VacancyMaker,
)

Source = Literal["yours", "inferred", "default"]
Class = type[Any]  # a Maker or a group of its parameters: any dataclass

# Makers of the properties that a validation judges, by the field that holds them.
_PROPERTIES: dict[str, Class] = {
    "elastic_maker": ElasticMaker,
    "phonon_maker": PhononMaker,
    "vacancy_maker": VacancyMaker,
    "stacking_fault_maker": StackingFaultMaker,
    "surface_maker": SurfaceMaker,
}
# Which class owns the default of a key; a key of the same name needs no entry in _RENAMED.
_OWNERS: dict[str, tuple[Class, ...]] = {
    "generation": (SeedStructuresMaker,),
    "training": (LinearAceFitMaker, BasisTuner, ActiveLearningMaker),
    "exploration": (
        *(LammpsMDMaker, StopRule, EmbeddingMaker, GammaCalibrationMaker, ActiveLearningMaker),
        *(ExplorationPolicy, PerturbationMaker),
    ),
    "kmc": (EonKmcMaker, DefectCellMaker),
    "active_learning": (ActiveLearningMaker, LoopLimits, DOptimalSelectionMaker),
    "validation": (ValidationMaker, HeldOutMaker, EosMaker, StabilityMaker, *_PROPERTIES.values()),
}
_RENAMED = {"gamma_halt": "gamma", "policy": "kind"}
# Keys that choose whether a Maker is there at all.
_SWITCHES: dict[str, Any] = {
    "training.tune": False,
    "training.final_fit": "linear",
    "kmc.defect": None,
    "validation.force_release": False,
}
_SELECTION_KEYS = {f.name for f in fields(DOptimalSelectionMaker)}


@dataclass(frozen=True)
class ResolvedValue:
    """One value of the configuration and where it comes from.

    Parameters
    ----------
    path
        Key, e.g. ``"training.cutoff"``.
    value
        The value that will be used.
    source
        ``"yours"``, ``"inferred"`` or ``"default"``.
    reason
        Why, where it was inferred.
    """

    path: str
    value: Any
    source: Source
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """A campaign that is ready to run.

    Parameters
    ----------
    maker
        Makes its flow.
    structures
        Crystals it starts from.
    values
        Every value of the configuration with its source.
    """

    maker: ActiveLearningMaker
    structures: list[AtomicStructure]
    values: list[ResolvedValue]

    def prepared(self) -> "Plan":
        """Look for the oracle's programs and settle what depends on them (cut-offs by pseudopotential).

        Returns
        -------
        Plan
            The plan with an oracle that is ready to run.

        Raises
        ------
        MissingProgramError
            A program or pseudopotential is missing.
        """
        label_maker = self.maker.label_maker
        oracle = label_maker.oracle_maker.prepared(self.elements)
        self._check_packages()
        label_maker = replace(label_maker, oracle_maker=oracle)
        validation = replace(self.maker.validation_maker, label_maker=label_maker)
        return replace(self, maker=replace(self.maker, label_maker=label_maker, validation_maker=validation))

    def _check_packages(self) -> None:
        """Refuse checks that were asked for and cannot run; those of the default are listed as not run."""
        asked = any(value.path == "validation.checks" and value.source == "yours" for value in self.values)
        for skipped in self.maker.validation_maker.not_installed if asked else []:
            raise MissingProgramError(
                f"'validation.checks' asks for {skipped.kind}: {skipped.reason.partition(': ')[0]}.",
                hint=f"{skipped.reason.partition(': ')[2]}, or leave the check out.",
            )

    @property
    def force_release(self) -> bool:
        """Whether a potential that failed its validation is delivered all the same."""
        return next(bool(v.value) for v in self.values if v.path == "validation.force_release")

    def flow(self) -> Flow:
        """Make the flow of the campaign."""
        return self.maker.make(self.structures)

    @property
    def elements(self) -> list[str]:
        """Elements of the material, alphabetically."""
        return sorted({symbol for structure in self.structures for symbol in structure.symbols})


def plan(config: MLIPConfig, folder: Path) -> Plan:
    """Turn a configuration into Makers.

    Parameters
    ----------
    config
        The configuration.
    folder
        What paths in it are relative to.

    Returns
    -------
    Plan
        Makers, structures and the account of every value. Nothing is run, and no program is looked for.

    Raises
    ------
    ConfigError
        The material cannot be built, or a value is refused by its Maker.
    """
    crystals = _crystals(config, folder)
    flat = [str(c.atoms.symbols) for c in crystals if not c.atoms.pbc.all()]
    if flat:
        raise StructureError(
            f"'structures': {', '.join(flat)} is not periodic in three dimensions.",
            hint="slabs and clusters are not supported yet; give bulk crystals.",
        )
    cells = [crystal.atoms for crystal in crystals]
    seeds = SeedStructuresMaker(**_options(config.generation.given(), SeedStructuresMaker))
    inferred = infer(config, cells, len(seeds.required(cells)))
    values = [
        ResolvedValue(
            "structures" if config.structures is not None else "composition",
            config.structures if config.structures is not None else config.composition,
            "yours",
        ),
        *(
            ResolvedValue(f"crystal {index}", str(crystal.atoms.symbols), "inferred", crystal.reason)
            for index, crystal in enumerate(crystals)
            if config.structures is None
        ),
        ResolvedValue("seed", config.seed, "yours" if "seed" in config.model_fields_set else "default"),
        *_resolved_oracle(config, inferred),
    ]
    for section, owners in _OWNERS.items():
        values += _resolved_section(section, owners, config, inferred)
    chosen = {value.path: value.value for value in values if value.source != "default"}
    found = Plan(
        maker=_campaign(chosen, config.seed),
        structures=[AtomicStructure.from_ase(crystal.atoms) for crystal in crystals],
        values=values,
    )
    found.maker.exploration_maker.check_elements(found.elements)
    return found


def _options(given: dict[str, Any], owner: Class) -> dict[str, Any]:
    """Take what a Maker has a field for; YAML has lists where Makers have tuples."""
    names = {f.name for f in fields(owner)}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in names}


def _crystals(config: MLIPConfig, folder: Path) -> list[Prototype]:
    if config.structures is not None:
        return [Prototype(a, "as given") for a in read_structures(config.structures, folder)]
    if config.composition is None:
        raise AssertionError("MLIPConfig accepts either composition or structures")
    return prototypes(config.composition, n_atoms=config.generation.n_atoms or 32, seed=config.seed)


def _resolved_oracle(config: MLIPConfig, inferred: dict[str, Inferred]) -> list[ResolvedValue]:
    given = config.oracle.given()
    owners: tuple[Class, ...] = (_oracle_class(config.oracle.engine or "qe"), LabelBatchMaker)
    engine = _resolve("oracle", "engine", given, inferred, owners)
    known = {f.name for owner in owners for f in fields(owner)}
    keys = [key for key in type(config.oracle).model_fields if key in known]
    return [engine, *(_resolve("oracle", key, given, inferred, owners) for key in keys)]


def _resolved_section(
    section: str, owners: Sequence[Class], config: MLIPConfig, inferred: dict[str, Inferred]
) -> list[ResolvedValue]:
    part = getattr(config, section)
    return [_resolve(section, key, part.given(), inferred, owners) for key in type(part).model_fields]


def _resolve(
    section: str, key: str, given: dict[str, Any], inferred: dict[str, Inferred], owners: Sequence[Class]
) -> ResolvedValue:
    path = f"{section}.{key}"
    if given.get(key) is not None:
        return ResolvedValue(path, given[key], "yours")
    if path in inferred:
        return ResolvedValue(path, inferred[path].value, "inferred", inferred[path].reason)
    default = _SWITCHES[path] if path in _SWITCHES else _default(_RENAMED.get(key, key), owners)
    return ResolvedValue(path, default, "default")


def _default(name: str, owners: Sequence[Class]) -> Any:
    for owner in owners:
        for item in fields(owner):
            if item.name == name:
                return item.default if item.default_factory is MISSING else item.default_factory()
    raise AssertionError(f"no Maker of {[o.__name__ for o in owners]} has a field {name!r}")


def _campaign(chosen: dict[str, Any], seed: int) -> ActiveLearningMaker:
    """Put the Makers together; what is not in ``chosen`` stays at the Maker's own default."""

    def part(section: str, owner: Class) -> dict[str, Any]:
        keys = {p: p.removeprefix(f"{section}.") for p in chosen if p.startswith(f"{section}.")}
        return _options({_RENAMED.get(key, key): chosen[path] for path, key in keys.items()}, owner)

    label_maker = LabelBatchMaker(oracle_maker=_oracle(chosen, part), **part("oracle", LabelBatchMaker))
    tuner = BasisTuner(**part("training", BasisTuner), seed=seed) if chosen.get("training.tune") else None
    fit = part("training", LinearAceFitMaker)
    final = None
    if chosen.get("training.final_fit") == "pacemaker":
        final = PacemakerFitMaker(
            cutoff=fit["cutoff"],
            n_functions=fit["n_functions"],
            realign=fit.get("realign", False),
            seed=seed,
        )
    walk = part("exploration", LammpsMDMaker)
    rule = StopRule(**part("exploration", StopRule))
    kmc = None
    if chosen.get("kmc.defect"):
        kmc = EonKmcMaker(**part("kmc", EonKmcMaker), stop_rule=rule, seed=seed)
    loop: dict[str, Any] = {}
    for section in ("training", "exploration", "active_learning"):
        loop |= part(section, ActiveLearningMaker)
    policy = ExplorationPolicy(**part("exploration", ExplorationPolicy))
    seeds = SeedStructuresMaker(**part("generation", SeedStructuresMaker), seed=seed)
    stability = {
        "temperature": max([*loop["temperatures"], walk.get("temperature_end") or 0.0]),
        "timestep": walk["timestep"],
        "pressure": max(walk.get("pressure", 0.0), walk.get("pressure_end") or 0.0, 0.0),
    }
    return ActiveLearningMaker(
        seed_maker=seeds,
        selection_maker=_selection(policy, fit, part("active_learning", DOptimalSelectionMaker), seed),
        label_maker=label_maker,
        fit_maker=LinearAceFitMaker(**fit, tuner=tuner, seed=seed),
        final_fit_maker=final,
        embedding_maker=EmbeddingMaker(**part("exploration", EmbeddingMaker)),
        calibration_maker=GammaCalibrationMaker(**part("exploration", GammaCalibrationMaker)),
        exploration_maker=LammpsMDMaker(**walk, stop_rule=rule),
        kmc_maker=kmc,
        kmc_cell_maker=DefectCellMaker(**part("kmc", DefectCellMaker)),
        validation_maker=ValidationMaker(
            label_maker=label_maker,
            held_out_maker=HeldOutMaker(**part("validation", HeldOutMaker)),
            eos_maker=EosMaker(**part("validation", EosMaker)),
            stability_maker=StabilityMaker(**(part("validation", StabilityMaker) | stability)),
            **{name: maker(**part("validation", maker)) for name, maker in _PROPERTIES.items()},
            perturbation_maker=seeds,
            **part("validation", ValidationMaker),
        ),
        perturbation_maker=PerturbationMaker(**part("exploration", PerturbationMaker)),
        policy=policy,
        limits=LoopLimits(**part("active_learning", LoopLimits)),
        **loop,
        seed=seed,
    )


def _selection(
    policy: ExplorationPolicy, fit: dict[str, Any], given: dict[str, Any], seed: int
) -> DOptimalSelectionMaker:
    """Choose labels by information, or where several explorers compete, by the expected error."""
    basis = {key: value for key, value in fit.items() if key in _SELECTION_KEYS}
    if policy.kind == "adaptive":
        return VOptimalSelectionMaker(**basis, **given, arms=policy.arms, seed=seed)
    return DOptimalSelectionMaker(**basis, **given, seed=seed)


def _oracle(chosen: dict[str, Any], part: Any) -> OracleMaker:
    owner = _oracle_class(chosen["oracle.engine"])
    return owner(**part("oracle", owner))


def _oracle_class(engine: str) -> type[OracleMaker]:
    makers: dict[str, type[OracleMaker]] = {
        "qe": QeStaticMaker,
        "vasp": VaspStaticMaker,
        "ase": AseStaticMaker,
    }
    return makers[engine]
