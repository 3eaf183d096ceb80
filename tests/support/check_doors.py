#!/usr/bin/python3
"""Which room includes what: the doors of CONTRIBUTING.md, by the #include lines of the sources. Prints what breaks
them."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("common", "database", "storagenode", "worker", "server", "desktop")
# What any room but common may include from another room.
DOORS = ("common", "database/catalog", "storagenode/client", "worker/queue")
# Wire the parts of all rooms into one process.
WIRING = ("server/main.cpp", "server/wiring", "worker/main.cpp", "storagenode/main.cpp")

# A library's headers, where they may be included, and where not.
HOMES = [
    (r"(libpq-fe\.h|sqlite3\.h|Poco/Data/.*)", ["database"]),
    (r"(Qt?Sql.*)", ["desktop/transfer"]),
    (r"(Poco/Redis/.*)", ["worker/queue", "server/cache"]),
    (r"(crypt\.h)", ["server/auth"]),
    (r"(archive(_entry)?\.h)", ["server/storage"]),
    (r"(Q[A-Z].*|Qt.*/.*)", ["desktop"]),
]
FREE_OF_POCO = ("common/chunk", "common/wire", "common/error", "desktop")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def complaints(path, text):
    """path: of a source, from the project's folder. One sentence for each wrong include of text."""
    room = path.split("/")[0]
    for kind, target in INCLUDE.findall(text):
        if kind == '"':
            other = target.split("/")[0]
            if other == room or any(within(path, wiring) for wiring in WIRING):
                continue
            if other not in ROOMS:
                yield f'{path}: "{target}" is not a path from the project\'s folder to a room'
            elif room == "common":
                yield f'{path}: common knows no other room, and includes "{target}"'
            elif not any(within(target, door) for door in DOORS):
                yield f'{path}: "{target}" is not behind a door ({", ".join(DOORS)})'
        else:
            for library, homes in HOMES:
                if re.fullmatch(library, target) and not any(within(path, home) for home in homes):
                    yield f"{path}: <{target}> belongs to {' and '.join(homes)}"
                    break
            if target.startswith("Poco/") and any(within(path, folder) for folder in FREE_OF_POCO):
                yield f"{path}: <{target}>, but this folder is free of Poco"


def check(root=ROOT):
    found = []
    for room in ROOMS:
        for source in sorted((root / room).glob("**/*")):
            if source.suffix in (".h", ".cpp"):
                found += complaints(source.relative_to(root).as_posix(), source.read_text())
    return found


if __name__ == "__main__":
    lines = check()
    print("\n".join(lines))
    sys.exit(1 if lines else 0)
