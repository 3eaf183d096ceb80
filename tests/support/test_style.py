"""How the sources look: the doors between rooms, and the format."""

import subprocess

import pytest
from check_doors import ROOMS, ROOT, check, complaints

pytestmark = pytest.mark.style


@pytest.mark.parametrize("path, include, allowed", [
    ("server/api/files.cpp", '"server/storage/file_content.h"', True),
    ("server/api/files.cpp", '"database/catalog/tree.h"', True),
    ("server/api/files.cpp", '"common/chunk/chunk.h"', True),
    ("server/api/files.cpp", '"database/migrations/migrate.h"', False),
    ("server/api/files.cpp", '"worker/sweeps/sweeps.h"', False),
    ("server/api/files.cpp", '"worker/queue/job_queue.h"', True),
    ("server/api/files.cpp", '"call.h"', False),
    ("server/api/files.cpp", '"tests/support/temp_folder.h"', False),
    ("server/api/files.cpp", "<crypt.h>", False),
    ("server/auth/password.cpp", "<crypt.h>", True),
    ("server/main.cpp", '"worker/sweeps/sweeps.h"', True),
    ("worker/jobs/verify.cpp", '"storagenode/client/node_client.h"', True),
    ("worker/jobs/verify.cpp", '"storagenode/store/disk.h"', False),
    ("common/wire/json.cpp", '"server/api/call.h"', False),
    ("common/wire/json.cpp", '"database/catalog/tree.h"', False),
    ("common/wire/json.cpp", "<Poco/JSON/Parser.h>", False),
    ("common/wire/json.cpp", "<QString>", False),
    ("common/wire/json.cpp", "<nlohmann/json.hpp>", True),
    ("common/http/server.cpp", "<Poco/Net/TCPServer.h>", True),
    ("database/catalog/session.cpp", "<libpq-fe.h>", True),
    ("server/api/files.cpp", "<libpq-fe.h>", False),
    ("worker/jobs/verify.cpp", "<Poco/Data/Session.h>", False),
    ("server/cache/redis_cache.cpp", "<Poco/Redis/Client.h>", True),
    ("server/api/files.cpp", "<Poco/Redis/Client.h>", False),
    ("desktop/transfer/queue.cpp", "<QSqlDatabase>", True),
    ("desktop/view/window.cpp", "<QSqlDatabase>", False),
    ("desktop/view/window.cpp", "<QtWidgets/QMainWindow>", True),
])
def test_an_include_goes_through_a_door(path, include, allowed):
    assert (list(complaints(path, f"#include {include}\n")) == []) == allowed


def test_every_include_of_the_tree_goes_through_a_door():
    assert check() == []


def test_every_source_is_formatted():
    sources = [str(path) for folder in (*ROOMS, "tests") for path in sorted((ROOT / folder).glob("**/*"))
               if path.suffix in (".h", ".cpp")]
    checked = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *sources], cwd=ROOT, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert checked.returncode == 0, f"run ./dev format\n{checked.stdout}"
