"""A real chunkvault-server on a data folder of its own, for tests that start, kill and restart it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from client import Client
from program import Program, program_path
from services import free_port

ADMIN_PASSWORD = "the first admin password"
CHANGED_ADMIN_PASSWORD = "the second admin password"
PASSWORD = "correct horse battery"  # of every account that a test makes
QUICK = {"BCRYPT_COST": 4, "LOGIN_LIMIT_ADDRESS": 100_000, "REGISTER_LIMIT_ADDRESS": 100_000}
SQL_DEADLINE_S = 30  # for the lock on the database


def server_program():
    return program_path("chunkvault-server")


class Vault(Program):
    """folder: where its data and its log are. settings: environment variables, on top of DATA_DIR, HOST, PORT,
    ADMIN_PASSWORD and QUICK; None leaves one out."""

    def __init__(self, folder, **settings):
        self.data = Path(folder) / "data"
        port = free_port()
        super().__init__("chunkvault-server", folder, port,
                         {"DATA_DIR": self.data, "HOST": "127.0.0.1", "PORT": port, "ADMIN_PASSWORD": ADMIN_PASSWORD,
                          **QUICK, **settings}, log="server.log")

    def client(self, url=None):
        return Client(url or self.url)

    def user(self, username="alice", password=PASSWORD):
        """A client that is registered and logged in."""
        client = self.client()
        client.register(username, password)
        client.login(username, password)
        return client

    def admin(self):
        """A client that is logged in as admin, whose first password is changed at the first time."""
        client = self.client()
        if client.try_login("admin", CHANGED_ADMIN_PASSWORD) is None:
            client.login("admin", ADMIN_PASSWORD, new_password=CHANGED_ADMIN_PASSWORD)
        return client

    def sql(self, statement, *values):
        """Changes rows of the database, also while the server runs: to let time pass, say."""
        with closing(sqlite3.connect(self.data / "catalog.sqlite", timeout=SQL_DEADLINE_S)) as database, database:
            assert database.execute(statement, values).rowcount > 0, f"no row: {statement}"
