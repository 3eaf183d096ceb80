"""Settings that only show in the running executable."""

import os
import subprocess
import time

import requests
from client import problem

READY_LIMIT_S = 60
DAY_US = 24 * 3600 * 1_000_000


def make_certificate(folder, name):
    """Paths of a new certificate for 127.0.0.1, which is its own authority, and of its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   capture_output=True, timeout=60)
    return cert, key


def await_answer(url, **options):
    """Of a new connection each time."""
    deadline = time.monotonic() + READY_LIMIT_S
    while True:
        try:
            return requests.get(url, timeout=10, **options)
        except requests.RequestException:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_server_speaks_tls_by_its_certificate_and_takes_a_new_one_without_a_restart(make_vault, tmp_path):
    cert, key = make_certificate(tmp_path, "first")
    vault = make_vault(TLS_CERT=cert, TLS_KEY=key).launch()
    url = vault.url.replace("http:", "https:")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(cert.read_bytes())
    assert await_answer(f"{url}/health/ready", verify=str(trusted)).status_code == 200
    client = vault.client(url)
    client.session.verify = str(trusted)
    client.register("alice", "correct horse battery")
    client.login("alice", "correct horse battery")
    file_id = client.upload_multipart("a", b"by TLS")["file_id"]
    assert client.content(file_id) == b"by TLS"
    assert client.share(file_id)["share_url"].startswith(f"{url}/s/")
    try:
        plain = requests.get(f"{vault.url}/files", timeout=10)
        assert plain.status_code >= 400
    except requests.RequestException:
        pass  # no answer in plain text is as good

    new_cert, new_key = make_certificate(tmp_path, "second")
    trusted.write_bytes(new_cert.read_bytes())
    os.replace(new_key, key)
    os.replace(new_cert, cert)
    assert await_answer(f"{url}/health/ready", verify=str(trusted)).status_code == 200
    assert client.content(file_id) == b"by TLS", "a connection that was there goes on, or is made anew"


def test_the_default_quota_is_that_of_every_account(make_vault):
    vault = make_vault(DEFAULT_QUOTA="1000").start()
    owner = vault.user()
    assert owner.get("/me").json()["quota"] == 1000
    owner.upload_multipart("a", b"x" * 900)
    answer = owner.call("POST", "/files/upload", files={"file": ("b", b"y" * 101)})
    assert answer.status_code == 507 and problem(answer)["type"].endswith("quota_exceeded")
    owner.upload_multipart("b", b"y" * 100)
    vault.stop()
    vault.settings["DEFAULT_QUOTA"] = "2000"
    vault.start()
    owner = vault.client()
    owner.login("alice", "correct horse battery")
    owner.upload_multipart("c", b"z" * 1000)


def test_the_trash_is_emptied_after_its_days(make_vault):
    vault = make_vault(TRASH_DAYS=2, SWEEP_INTERVALS="trash=1h").start()
    owner, admin = vault.user(), vault.admin()
    ids = {name: owner.upload_multipart(name, name.encode())["file_id"] for name in ("old", "new")}
    for file_id in ids.values():
        owner.delete(f"/files/{file_id}")
    vault.sql("UPDATE files SET trashed_at = trashed_at - ? WHERE id = ?", 2 * DAY_US, int(ids["old"]))
    vault.sql("UPDATE files SET trashed_at = trashed_at - ? WHERE id = ?", DAY_US, int(ids["new"]))
    admin.post("/admin/sweeps/trash")
    assert [entry["id"] for entry in owner.get("/trash").json()["items"]] == [ids["new"]]


def test_a_data_folder_that_was_there_keeps_its_mode_and_an_open_one_is_told(make_vault):
    vault = make_vault()
    vault.data.mkdir(parents=True)
    vault.data.chmod(0o755)
    vault.start()
    assert vault.data.stat().st_mode & 0o777 == 0o755
    assert "data_folder_open_to_others" in vault.log_text()
    for name in ("catalog.sqlite", "secret_key"):
        assert (vault.data / name).stat().st_mode & 0o077 == 0
    fresh = make_vault().start()
    assert fresh.data.stat().st_mode & 0o777 == 0o700
    assert "data_folder_open_to_others" not in fresh.log_text()
