"""What the README promises about the commands of the server is what the server says and does."""

import os
import subprocess
from pathlib import Path

import pytest
from program import check_printed, sanitizer_options
from vault import server_program

pytestmark = pytest.mark.main_job

README = (Path(__file__).parents[2] / "README.md").read_text()


def run(*arguments, **environment):
    ended = subprocess.run([server_program(), *arguments], env=sanitizer_options() | environment,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    check_printed(ended.stderr, f"what {arguments} printed")
    return ended


def test_the_table_of_settings_is_the_servers():
    table = run("--settings").stdout
    assert table.count("\n") > 20
    assert table in README, "put the output of chunkvault-server --settings into the README"


def test_the_table_of_sweeps_has_those_of_the_api(shared_vault):
    schemas = shared_vault.client().get("/openapi.json").json()["components"]["schemas"]
    table = README.partition("| sweep |")[2].partition("\n\n")[0]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(named) == sorted(schemas["SweepReport"]["properties"]["sweep"]["enum"])


def test_help_and_version_answer():
    assert run("--version").stdout.startswith("ChunkVault ")
    usage = run("--help")
    assert usage.returncode == 0 and "reset-password" in usage.stdout
    assert run("nonsense").returncode == 2


@pytest.mark.parametrize("setting, value, named", [
    ("PORT", "http", "PORT"),
    ("PORT", "70000", "PORT"),
    ("CHUNK_SIZE", "63K", "CHUNK_SIZE"),
    ("CHUNK_SIZE", "101M", "CHUNK_SIZE"),
    ("REGISTRATION", "maybe", "REGISTRATION"),
    ("WRITE_QUORUM", "4", "WRITE_QUORUM"),
    ("STORAGE_PATHS", "/one,/two", "STORAGE_PATHS"),
    ("STORAGE_PATS", "/one", "STORAGE_PATHS"),
    ("CHUNKVAULT_PORT", "1", "CHUNKVAULT_PORT"),
    ("SECRET_KEY", "short", "SECRET_KEY"),
    ("SECRET_KEY_FILE", "/does/not/exist", "SECRET_KEY_FILE"),
    ("HOST", "0.0.0.0", "ADMIN_PASSWORD"),
    ("HOST", "127.example.org", "ADMIN_PASSWORD"),
    ("ADMIN_PASSWORD", "short", "ADMIN_PASSWORD"),
    ("TLS_CERT", "/cert.pem", "TLS_KEY"),
    ("PUBLIC_URL", "vault.example.org", "PUBLIC_URL"),
    ("DATABASE_URL", "postgresql://x", "REDIS_URL"),
    ("REDIS_URL", "redis://x", "DATABASE_URL"),
    ("DEDUP", "never", "DEDUP"),
    ("CLUSTER_SECRET", "c" * 40, "CLUSTER_SECRET"),
    ("SWEEP_INTERVALS", "trash=10", "SWEEP_INTERVALS"),
])
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(tmp_path, setting, value, named):
    ended = run(DATA_DIR=str(tmp_path / "data"), **{setting: value})
    assert ended.returncode == 1
    assert named in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert not (tmp_path / "data").exists()


def test_the_well_known_password_is_refused_where_others_can_connect(tmp_path):
    ended = run(DATA_DIR=str(tmp_path / "data"), HOST="0.0.0.0", ADMIN_PASSWORD="admin123")
    assert ended.returncode == 1 and "ADMIN_PASSWORD" in ended.stderr, ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_forgotten_password_is_set_anew_without_the_server(vault):
    vault.stop()
    settings = {name: str(value) for name, value in vault.settings.items()}
    ended = run("admin", "reset-password", "admin", **settings)
    assert ended.returncode == 0, ended.stderr
    password = ended.stdout.split(" is now ")[1].split()[0]
    vault.start()
    client = vault.client()
    assert client.login("admin", password)["must_change_password"]
    running = run("admin", "reset-password", "admin", **settings)
    assert running.returncode == 1 and "Another chunkvault-server" in running.stderr


def test_what_a_server_prints_when_it_starts_works_as_printed(make_vault, tmp_path):
    vault = make_vault(ADMIN_PASSWORD=None)
    (tmp_path / "README.md").write_bytes(b"some text")

    def run_printed(**replaced):
        welcome = vault.log_text().rpartition(" is running at ")[2]
        commands = "\n".join(line for line in welcome.splitlines() if line.startswith("    "))
        for old, new in replaced.items():
            commands = commands.replace(old.replace("_", "-"), new)
        ended = subprocess.run(["bash", "-c", commands], cwd=tmp_path, env={"PATH": os.environ["PATH"]},
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return commands, ended.stdout

    vault.start()
    commands, printed = run_printed()
    assert "admin123" in commands and printed.startswith("signed in\n")
    copy = tmp_path / "copy-of-README.md"
    assert copy.read_bytes() == b"some text"
    copy.unlink()
    vault.stop()
    vault.start()
    commands, printed = run_printed()
    assert "admin123" not in commands and printed.startswith("wrong password") and not copy.exists()
    _, printed = run_printed(your_password="choose-a-good-one")
    assert printed.startswith("signed in\n") and copy.read_bytes() == b"some text"
