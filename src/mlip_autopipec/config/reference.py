"""The table of all configuration keys, from the models themselves."""

import re

from mlip_autopipec.config.models import MLIPConfig
from mlip_autopipec.config.section import Section


def configuration_table() -> str:
    """Write the keys as a Markdown table.

    Returns
    -------
    str
        One row a key: key and description with its unit.
    """
    rows = ["| key | meaning |", "|---|---|"]
    for name, field in MLIPConfig.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            rows += [f"| `{name}.{key}` | {f.description} |" for key, f in annotation.model_fields.items()]
        else:
            rows.append(f"| `{name}` | {field.description} |")
    return "\n".join(rows)


def configuration_units() -> dict[str, str]:
    """Read the unit of each key from its description.

    Returns
    -------
    dict
        Unit by key like ``"training.cutoff"``; keys without a unit are absent.
    """
    rows = (line.split("|") for line in configuration_table().splitlines()[2:])
    units = {key.strip(" `"): re.search(r"\[([^]]+)\]\.? *$", text) for _, key, text, _ in rows}
    return {key: found[1] for key, found in units.items() if found and found[1] != "1"}


if __name__ == "__main__":
    print(configuration_table())  # noqa: T201 - for `make docs-reference`
