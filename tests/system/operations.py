"""One request for each operation of /openapi.json. The tests that walk all operations are made from this table."""

import dataclasses
import itertools
import json

from client import content_digest, root_of, sha256
from tus import TUS, Tus, creation
from vault import PASSWORD

MARK = "owners-secret"  # in the name of everything an owner has, so that it is found in an answer of somebody else


@dataclasses.dataclass
class Ask:
    """A request that succeeds when the owner sends it. options: as for Client.call()."""

    method: str
    path: str
    options: dict = dataclasses.field(default_factory=dict)

    def send(self, client, **more):
        return client.call(self.method, self.path, **self.options, **more)


class World:
    """An account with something of each kind, made when a request needs it."""

    numbers = itertools.count(1)

    def __init__(self, vault, role="user"):
        self.vault = vault
        self.admin = vault.admin()
        self.username = f"{MARK}-{next(self.numbers)}"
        self.admin.post("/admin/users", {"username": self.username, "password": PASSWORD, "role": role,
                                         "must_change_password": False})
        self.owner = vault.client()
        self.owner.login(self.username, PASSWORD)

    def name(self):
        return f"{MARK} {next(self.numbers)}"

    def file(self, data=b"content", **fields):
        return self.owner.upload_multipart(self.name(), data, **fields)["file_id"]

    def text_file(self, **fields):
        return self.owner.upload_multipart(self.name() + ".txt", b"content", **fields)["file_id"]

    def picture(self, **fields):
        return self.owner.upload_multipart(self.name() + ".png", b"content", **fields)["file_id"]

    def two_versions(self):
        name = self.name()
        self.owner.upload_multipart(name, b"first")
        return self.owner.upload_multipart(name, b"second")["file_id"]

    def folder(self):
        return self.owner.make_folder(self.name())["id"]

    def trashed(self):
        file_id = self.file()
        self.owner.delete(f"/files/{file_id}")
        return file_id

    def upload(self, data=b"content"):
        return self.owner.start_upload(self.name(), self.name(), len(data))

    def full_upload(self, data=b"content"):
        upload = self.upload(data)
        upload.put(0, data)
        return upload

    def share(self, file_id=None, **options):
        return self.owner.share(file_id or self.file(), **options)

    def shared_folder(self):
        folder = self.folder()
        return self.share(folder)["share_token"], self.text_file(folder_id=folder)

    def shared_picture(self):
        folder = self.folder()
        return self.share(folder)["share_token"], self.picture(folder_id=folder)

    def request(self, **options):
        """An upload request for a new folder."""
        return self.owner.post(f"/files/{self.folder()}/request", options, expect=201).json()

    def tus(self, data=b"content", sent=0, **metadata):
        """The path of an upload by tus, of which so many bytes were sent."""
        upload = Tus(self.owner).create(self.name(), len(data), **metadata)
        if sent:
            upload.patch(0, data[:sent])
        return upload.path

    def other_user(self):
        body = {"username": f"other-{next(self.numbers)}", "password": PASSWORD}
        return self.admin.post("/admin/users", body).json()["user_id"]

    def session(self):
        again = self.vault.client()
        again.login(self.username, PASSWORD)
        sessions = self.owner.get("/auth/sessions").json()["items"]
        return next(session["session_id"] for session in sessions if not session["current"])

    def some_changes(self):
        """A cursor that changes of many kinds come after."""
        cursor = self.owner.get("/changes").json()["next_cursor"]
        self.two_versions()
        token, file_id = self.shared_folder()
        self.vault.client().call("GET", f"/share/{token}/files/{file_id}/download", expect=200)
        self.owner.delete(f"/trash/{self.trashed()}")
        return cursor

    def api_token(self, **options):
        return self.owner.post("/auth/tokens", {"name": self.name(), **options}, expect=201).json()


def body(**fields):
    return {"json": fields}


def register(world):
    name = f"new-{next(world.numbers)}"
    return body(username=name, email=f"{name}@example.org", password=PASSWORD)


def batch(world):
    header = {"folder_id": world.folder(), "files": [{"path": f"a/{MARK}", "size": 3, "hash": sha256(b"one")}]}
    return {"data": json.dumps(header).encode() + b"\none", "headers": {"Content-Type": "application/octet-stream"}}


def chunk(data=b"content"):
    return {"data": data, "headers": {"Content-Digest": content_digest(data),
                                      "Content-Type": "application/octet-stream"}}


def table():
    def plain(path="", **options):
        return lambda world: (path, options)

    def at(make, path, options=lambda world: {}):
        """make(world) gives what is filled into the path."""
        def request(world):
            made = make(world)
            return path.format(*made) if isinstance(made, tuple) else path.format(made), options(world)
        return request

    def to(path, options):
        return lambda world: (path, options(world))

    def token(world):
        return world.share()["share_token"]

    def locked(world):
        return world.share(password="sesame")["share_token"]

    def share_id(world):
        return world.share()["share_id"]

    def request_id(world):
        return world.request()["request_id"]

    def request_token(world):
        return world.request()["request_token"]

    def locked_request(world):
        return world.request(password="sesame")["request_token"]

    def bytes_at(offset, **more):
        return lambda world: {"data": b"ent", "headers": {**TUS, "Upload-Offset": str(offset),
                                                          "Content-Type": "application/offset+octet-stream", **more}}

    def tus_headers(world):
        return {"headers": TUS}

    def of_new_file(world):
        return {"headers": creation(world.name(), 5, folder_id=world.folder())}

    return {
        "GET /": plain("/"),
        "GET /health": plain("/health"),
        "GET /health/live": plain("/health/live"),
        "GET /health/ready": plain("/health/ready"),
        "GET /metrics": plain("/metrics"),
        "GET /openapi.json": plain("/openapi.json"),
        "POST /auth/register": to("/auth/register", register),
        "POST /auth/login": to("/auth/login", lambda world: body(username=world.username, password=PASSWORD)),
        "POST /auth/refresh": to("/auth/refresh", lambda world: body(refresh_token=world.owner.refresh_token)),
        "POST /auth/logout": plain("/auth/logout"),
        "POST /auth/password": plain("/auth/password", json={"current_password": PASSWORD,
                                                             "new_password": "another one"}),
        "GET /auth/sessions": plain("/auth/sessions"),
        "DELETE /auth/sessions/{id}": at(World.session, "/auth/sessions/{}"),
        "GET /auth/tokens": at(World.api_token, "/auth/tokens"),
        "POST /auth/tokens": plain("/auth/tokens", json={"name": "laptop", "read_only": True, "expires_in_days": 1}),
        "DELETE /auth/tokens/{id}": at(lambda world: world.api_token()["token_id"], "/auth/tokens/{}"),
        "GET /me": plain("/me"),
        "GET /admin/users": plain("/admin/users?limit=2"),
        "POST /admin/users": to("/admin/users", lambda world: body(username=f"made-{next(world.numbers)}",
                                                                   password=PASSWORD)),
        "GET /admin/users/{id}": at(World.other_user, "/admin/users/{}"),
        "PATCH /admin/users/{id}": at(World.other_user, "/admin/users/{}", lambda world: body(quota=1000)),
        "DELETE /admin/users/{id}": at(World.other_user, "/admin/users/{}"),
        "POST /admin/users/{id}/password": at(World.other_user, "/admin/users/{}/password",
                                              lambda world: body(password="another one")),
        "GET /admin/storage": plain("/admin/storage"),
        "GET /admin/storage/at-risk": plain("/admin/storage/at-risk?limit=5"),
        "GET /admin/nodes": plain("/admin/nodes"),
        "GET /admin/nodes/{id}": plain("/admin/nodes/local-1"),
        "DELETE /admin/nodes/{id}": plain("/admin/nodes/local-5?force=true"),
        "POST /admin/nodes/{id}/drain": plain("/admin/nodes/local-4/drain"),
        "POST /admin/nodes/{id}/keep": plain("/admin/nodes/local-4/keep"),
        "GET /admin/nodes/{id}/may-stop": plain("/admin/nodes/local-1/may-stop"),
        "GET /admin/nodes/{id}/may-remove": plain("/admin/nodes/local-1/may-remove"),
        "GET /admin/jobs": plain("/admin/jobs"),
        "POST /admin/jobs/retry": plain("/admin/jobs/retry", json={}),
        "GET /admin/sweeps": plain("/admin/sweeps"),
        "POST /admin/sweeps/{name}": plain("/admin/sweeps/scrub"),
        "GET /admin/collection": plain("/admin/collection"),
        "POST /admin/collection/allow": plain("/admin/collection/allow"),
        "GET /files": at(World.folder, "/files?folder_id={}"),
        "POST /files/upload": to("/files/upload", lambda world: {"files": {"file": (MARK, b"x")},
                                                                 "data": {"folder_id": world.folder()}}),
        "POST /files/batch": to("/files/batch", batch),
        "POST /files/move": to("/files/move", lambda world: body(ids=[world.file()], folder_id=world.folder())),
        "POST /files/trash": to("/files/trash", lambda world: body(ids=[world.file()])),
        "POST /files/restore": to("/files/restore", lambda world: body(ids=[world.trashed()])),
        "POST /files/purge": to("/files/purge", lambda world: body(ids=[world.trashed()])),
        "GET /files/{id}": at(World.file, "/files/{}"),
        "PATCH /files/{id}": at(World.file, "/files/{}", lambda world: body(filename=world.name())),
        "DELETE /files/{id}": at(World.file, "/files/{}"),
        "POST /files/{id}/copy": at(World.file, "/files/{}/copy", lambda world: body()),
        "POST /files/{id}/restore": at(World.trashed, "/files/{}/restore", lambda world: body()),
        "GET /files/{id}/download": at(World.file, "/files/{}/download"),
        "GET /files/{id}/zip": at(World.folder, "/files/{}/zip"),
        "GET /files/{id}/versions": at(World.two_versions, "/files/{}/versions"),
        "DELETE /files/{id}/versions/{version}": at(World.two_versions, "/files/{}/versions/1"),
        "GET /files/{id}/versions/{version}/download": at(World.two_versions, "/files/{}/versions/1/download"),
        "POST /files/{id}/versions/{version}/restore": at(World.two_versions, "/files/{}/versions/1/restore"),
        "POST /folders": to("/folders", lambda world: body(path=f"{MARK}/b", folder_id=world.folder())),
        "GET /changes": at(World.some_changes, "/changes?after={}&wait=1"),
        "GET /trash": at(World.trashed, "/trash"),
        "DELETE /trash": at(World.trashed, "/trash"),
        "DELETE /trash/{id}": at(World.trashed, "/trash/{}"),
        "POST /uploads": to("/uploads", lambda world: body(key="k", name=MARK, size=5, folder_id=world.folder())),
        "GET /uploads": at(World.upload, "/uploads"),
        "GET /uploads/{id}": at(lambda world: world.upload().id, "/uploads/{}"),
        "POST /uploads/{id}/have": at(lambda world: world.upload().id, "/uploads/{}/have", lambda world: body(
            chunks=[{"index": 0, "length": 7, "hash": sha256(b"content")}])),
        "PUT /uploads/{id}/chunks/{index}": at(lambda world: world.upload().id, "/uploads/{}/chunks/0",
                                               lambda world: chunk()),
        "POST /uploads/{id}/commit": at(lambda world: world.full_upload().id, "/uploads/{}/commit", lambda world: body(
            root=root_of([b"content"]), sha256=sha256(b"content"))),
        "DELETE /uploads/{id}": at(lambda world: world.upload().id, "/uploads/{}"),
        "OPTIONS /tus": plain("/tus"),
        "POST /tus": to("/tus", of_new_file),
        "OPTIONS /tus/{upload}": at(World.tus, "{}"),
        "HEAD /tus/{upload}": at(World.tus, "{}", tus_headers),
        "PATCH /tus/{upload}": at(lambda world: world.tus(sent=4), "{}", bytes_at(4)),
        "DELETE /tus/{upload}": at(World.tus, "{}", tus_headers),
        "POST /tus/{upload}": at(lambda world: world.tus(sent=4), "{}", bytes_at(
            4, **{"X-HTTP-Method-Override": "PATCH"})),
        "GET /tus/{upload}": at(World.tus, "{}"),
        "POST /files/{id}/request": at(World.folder, "/files/{}/request", lambda world: body(title="Photos",
                                                                                             max_files=5)),
        "GET /requests": at(World.request, "/requests"),
        "GET /requests/{id}": at(request_id, "/requests/{}"),
        "PATCH /requests/{id}": at(request_id, "/requests/{}", lambda world: body(max_files=7)),
        "DELETE /requests/{id}": at(request_id, "/requests/{}"),
        "GET /request/{token}/info": at(request_token, "/request/{}/info"),
        "POST /request/{token}/unlock": at(locked_request, "/request/{}/unlock", lambda world: body(password="sesame")),
        "OPTIONS /request/{token}/files": at(request_token, "/request/{}/files"),
        "POST /request/{token}/files": at(request_token, "/request/{}/files",
                                          lambda world: {"headers": creation(world.name(), 5)}),
        "POST /files/{id}/share": at(World.file, "/files/{}/share", lambda world: body(expires_in_hours=1)),
        "GET /shares": at(World.share, "/shares"),
        "GET /shares/{id}": at(share_id, "/shares/{}"),
        "PATCH /shares/{id}": at(share_id, "/shares/{}", lambda world: body(max_downloads=5)),
        "DELETE /shares/{id}": at(share_id, "/shares/{}"),
        "GET /share/{token}": at(token, "/share/{}"),
        "GET /share/{token}/info": at(token, "/share/{}/info"),
        "POST /share/{token}/unlock": at(locked, "/share/{}/unlock", lambda world: body(password="sesame")),
        "GET /share/{token}/files": at(lambda world: world.shared_folder()[0], "/share/{}/files"),
        "GET /share/{token}/files/{id}/download": at(World.shared_folder, "/share/{}/files/{}/download"),
        "GET /share/{token}/zip": at(lambda world: world.shared_folder()[0], "/share/{}/zip"),
        "GET /share/{token}/preview": at(lambda world: world.share(world.text_file())["share_token"],
                                         "/share/{}/preview"),
        "GET /share/{token}/files/{id}/preview": at(World.shared_folder, "/share/{}/files/{}/preview"),
        "GET /share/{token}/view": at(lambda world: world.share(world.picture())["share_token"], "/share/{}/view"),
        "GET /share/{token}/files/{id}/view": at(World.shared_picture, "/share/{}/files/{}/view"),
        "GET /share/{token}/qr": at(token, "/share/{}/qr"),
        "GET /s/{token}": at(token, "/s/{}"),
        "GET /r/{token}": at(request_token, "/r/{}"),
        "GET /assets/{name}": plain("/assets/page.css"),
    }


OPERATIONS = table()


def ask(world, operation):
    """Makes what the operation is about in the world, and the request about it."""
    path, options = OPERATIONS[operation](world)
    return Ask(operation.split()[0], path, options)


def described(client):
    """The operations of the server's own description, by their names in OPERATIONS."""
    paths = client.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}": operation
            for path, methods in paths.items() for method, operation in methods.items()}
