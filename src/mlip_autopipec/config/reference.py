"""The table of all configuration keys, from the models themselves."""

from mlip_autopipec.config.models import MLIPConfig, Section


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


if __name__ == "__main__":
    print(configuration_table())  # noqa: T201 - for `make docs-reference`
