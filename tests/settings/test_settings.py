import os
from pathlib import Path

import pytest

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.settings import Settings, get_settings, home


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for key in [key for key in os.environ if key.startswith("MLIP_AUTO_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path))
    return tmp_path


def test_home_is_in_the_users_folder_unless_given(folder, monkeypatch):
    assert home() == folder
    monkeypatch.delenv("MLIP_AUTO_HOME")
    assert home() == Path.home() / ".local" / "share" / "mlip_autopipec"


def test_order_is_argument_environment_file_default(folder, monkeypatch):
    assert get_settings().pw_command is None
    (folder / "settings.yaml").write_text("pw_command: from file\nworkers: 7\n")
    assert (get_settings().pw_command, get_settings().workers) == ("from file", 7)
    monkeypatch.setenv("MLIP_AUTO_PW_COMMAND", "from environment")
    assert get_settings().pw_command == "from environment"
    assert get_settings(pw_command="from argument").pw_command == "from argument"


def test_workers_are_the_cores_of_this_process():
    assert get_settings().workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pw_comand: x\n", "machine setting 'pw_comand'"),
        ("workers: 0\n", r"machine setting 'workers': .*greater than 0, got 0"),
        ("workers: many\n", "machine setting 'workers'.*got 'many'"),
    ],
)
def test_a_wrong_file_is_a_config_error_that_names_it(folder, text, message):
    (folder / "settings.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        get_settings()
    assert str(folder / "settings.yaml") in caught.value.hint


def test_a_file_that_is_no_mapping_is_a_config_error(folder):
    (folder / "settings.yaml").write_text("- a\n- list\n")
    with pytest.raises(ConfigError, match="settings"):
        get_settings()


def test_a_file_that_is_no_yaml_is_a_config_error(folder):
    (folder / "settings.yaml").write_text("workers: [1\n")
    with pytest.raises(ConfigError, match="settings"):
        get_settings()


def test_a_wrong_environment_variable_is_a_config_error(monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_WORKERS", "-1")
    with pytest.raises(ConfigError, match=r"'workers'.*got '-1'") as caught:
        get_settings()
    assert "MLIP_AUTO_WORKERS" in caught.value.hint


def test_the_uri_with_its_password_is_not_shown():
    settings = get_settings(store_uri="mongodb://me:secret@host")
    assert "secret" not in repr(settings)
    assert settings.store_uri.get_secret_value().endswith("secret@host")


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().workers = 3


def test_resources_come_by_role(folder, monkeypatch):
    (folder / "settings.yaml").write_text(
        "resources:\n  oracle: {cores: 4, memory: 8, queue: {walltime: '02:00:00'}}\n"
    )
    oracle = get_settings().resources["oracle"]
    assert (oracle.cores, oracle.memory, oracle.queue) == (4, 8.0, {"walltime": "02:00:00"})
    monkeypatch.setenv("MLIP_AUTO_RESOURCES", '{"training": {"cores": 2}}')
    assert get_settings().resources["training"].cores == 2
    monkeypatch.setenv("MLIP_AUTO_RESOURCES", '{"cook": {"cores": 2}}')
    with pytest.raises(ConfigError, match=r"machine setting 'resources.cook"):
        get_settings()
