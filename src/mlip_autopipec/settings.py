"""Where programs, scratch and the store of this machine are. Physics never comes from here.

Order: argument > ``MLIP_AUTO_*`` environment variable > settings file > default. The file is
``settings.yaml`` in ``MLIP_AUTO_HOME`` (default ``~/.local/share/mlip_autopipec``).
"""

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from mlip_autopipec.errors import ConfigError


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
    store_uri: SecretStr | None = Field(
        None, description="MongoDB URI of the JobStore (mongodb://...); default: files in the run folder."
    )
    store_database: str = Field("mlip_autopipec", description="Database name, for a MongoDB store.")

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
