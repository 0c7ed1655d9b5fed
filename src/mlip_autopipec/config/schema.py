"""The configuration as a JSON schema: what editors complete and check YAML by."""

import json

from mlip_autopipec.config.models import MLIPConfig

SCHEMA_FILE = "mlip-auto.schema.json"
"""Name of the file that `mlip-auto init` writes beside a configuration."""


def schema_text() -> str:
    """Write the schema.

    Returns
    -------
    str
        JSON schema, draft 2020-12.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **MLIPConfig.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def modeline(path: str = SCHEMA_FILE) -> str:
    """Write the comment by which YAML editors find the schema.

    Parameters
    ----------
    path
        The schema, relative to the configuration.

    Returns
    -------
    str
        One line.
    """
    return f"# yaml-language-server: $schema={path}"
