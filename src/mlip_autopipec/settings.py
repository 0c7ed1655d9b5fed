"""Where programs, scratch and the store of this machine are. Physics never comes from here.

Order: argument > ``MLIP_AUTO_*`` environment variable > settings file > default. The file is
``settings.yaml`` in ``MLIP_AUTO_HOME`` (default ``~/.local/share/mlip_autopipec``).
"""

import os
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from mlip_autopipec.errors import ConfigError

# What a job is for, as far as the place matters where it runs.
Role = Literal["oracle", "training", "exploration", "other"]
ROLES: tuple[Role, ...] = get_args(Role)


class ResourceRequest(BaseModel):
    """What a job needs of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cores: int = Field(1, gt=0, description="Cores [1].")
    memory: float = Field(0.0, ge=0.0, description="Memory, 0 if it does not matter [GB].")


class RoleSettings(ResourceRequest):
    """What the jobs of a role need, here and on a cluster."""

    queue: dict[str, str | int] = Field(
        default_factory=dict,
        description="Keys of FireWorks' queue adapter that win over those of my_qadapter.yaml.",
    )


def home() -> Path:
    """Return the folder for settings and provisioned programs.

    Returns
    -------
    pathlib.Path
        ``MLIP_AUTO_HOME``, or ``~/.local/share/mlip_autopipec``.
    """
    given = os.environ.get("MLIP_AUTO_HOME")
    return Path(given) if given else Path.home() / ".local" / "share" / "mlip_autopipec"


class Settings(BaseSettings):
    """Machine settings."""

    model_config = SettingsConfigDict(env_prefix="MLIP_AUTO_", extra="forbid", frozen=True)

    pw_command: str | None = Field(
        None, description="Command of pw.x; default: `pw.x` on PATH, else the one of `mlip-auto setup qe`."
    )
    pseudo_dir: Path | None = Field(
        None, description="Folder of UPF pseudopotentials; default: the one of `mlip-auto setup qe`."
    )
    vasp_command: str | None = Field(
        None, description="Command of VASP; default: atomate2's VASP_CMD, which is vasp_std if it is not set."
    )
    pacemaker_command: str | None = Field(
        None,
        description="Command of pacemaker; default: that of `mlip-auto setup pacemaker`, else of python-ace.",
    )
    lammps_command: str | None = Field(
        None,
        description="Command of a LAMMPS with ML-PACE (`mpirun -np 4 lmp`); default: LAMMPS in-process.",
    )
    eon_python: str | None = Field(
        None,
        description="Python (3.12 or newer) that has eOn's server and pyeonclient; default: the one of "
        "`mlip-auto setup eon`.",
    )
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        gt=0,
        description="Worker slots of a local run [1].",
    )
    memory: float | None = Field(
        None, gt=0.0, description="Memory of a local run [GB]; default: that of the machine."
    )
    resources: dict[Role, RoleSettings] = Field(
        default_factory=dict,
        description="What jobs need by role (oracle, training, exploration, other); default: one core.",
    )
    launchpad: Path | None = Field(
        None, description="FireWorks' my_launchpad.yaml; default: where FireWorks looks for it."
    )
    store_uri: SecretStr | None = Field(
        None, description="MongoDB URI of the JobStore (mongodb://...); default: files in the run folder."
    )
    store_database: str = Field("mlip_autopipec", description="Database name, for a MongoDB store.")
    store_patience: float = Field(
        600.0, ge=0.0, description="How long a run waits for a MongoDB that went away [s]."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Set the order of the sources; see the module docstring."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=home() / "settings.yaml")
        return init_settings, env_settings, file


def get_settings(**overrides: Any) -> Settings:
    """Read the settings now; nothing is cached, so a changed environment is seen.

    Parameters
    ----------
    **overrides
        Values that win over environment and file.

    Returns
    -------
    Settings
        The settings of this machine.

    Raises
    ------
    ConfigError
        A setting has an unknown name or a value out of range.
    """
    try:
        return Settings(**overrides)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        file = home() / "settings.yaml"
        if not isinstance(error, ValidationError):
            raise ConfigError(f"settings file {str(file)!r} holds no keys and values: {error}") from error
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"machine setting {key!r}: {first['msg']}, got {first['input']!r}.",
            hint=f"correct it in {file} or in MLIP_AUTO_{key.upper()}.",
        ) from error
