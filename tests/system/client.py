"""An independent client of ChunkVault's HTTP interface. It shares no code with the product: hashes, roots and chunk
limits are computed here, from the words of the documentation."""

import base64
import dataclasses
import hashlib
import json
import struct
from concurrent.futures import ThreadPoolExecutor

import requests

TIMEOUT_S = 60


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def root_of(chunks):
    """The identity of content: SHA-256 over, for each chunk, its length as 8 bytes big-endian and its hash."""
    root = hashlib.sha256()
    for chunk in chunks:
        root.update(struct.pack(">Q", len(chunk)) + hashlib.sha256(chunk).digest())
    return root.hexdigest()


def split(data, chunk_size):
    return [data[at:at + chunk_size] for at in range(0, len(data), chunk_size)]


def content_digest(data):
    """The header Content-Digest of RFC 9530."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


class UnexpectedAnswer(AssertionError):
    def __init__(self, method, path, response):
        self.response = response
        self.status = response.status_code
        super().__init__(f"{method} {path} answered {self.status}: {response.text[:1000]}")


class Client:
    """One user's connection to a vault. Every call raises UnexpectedAnswer unless the status is the expected one; the
    plain method call() takes any. Not for several threads at once: each takes a client of its own, by again()."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy and no .netrc of the machine
        self.token = token
        self.refresh_token = None
        self.user_id = None

    def again(self, url=None):
        """The same user on connections of its own, also by way of another address."""
        other = Client(url or self.url, self.token)
        other.refresh_token, other.user_id = self.refresh_token, self.user_id
        return other

    def close(self):
        self.session.close()

    def call(self, method, path, *, expect=None, token=None, headers=None, **options):
        """expect: a status or several; None takes any. token: instead of the user's, "" for none."""
        headers = dict(headers or {})
        token = self.token if token is None else token
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        options.setdefault("timeout", TIMEOUT_S)
        options.setdefault("allow_redirects", False)
        response = self.session.request(method, self.url + path, headers=headers, **options)
        if expect is not None and response.status_code not in (expect if isinstance(expect, tuple) else (expect,)):
            raise UnexpectedAnswer(method, path, response)
        return response

    def get(self, path, expect=200, **options):
        return self.call("GET", path, expect=expect, **options)

    def post(self, path, body=None, expect=(200, 201, 204), **options):
        return self.call("POST", path, expect=expect, json=body, **options)

    def patch(self, path, body, expect=200, **options):
        return self.call("PATCH", path, expect=expect, json=body, **options)

    def delete(self, path, expect=(200, 204), **options):
        return self.call("DELETE", path, expect=expect, **options)

    # --- accounts ---

    def register(self, username, password, email=None):
        body = {"username": username, "email": email or f"{username}@example.org", "password": password}
        return self.post("/auth/register", body, expect=201).json()

    def login(self, username, password, **more):
        answer = self.post("/auth/login", {"username": username, "password": password, **more}, expect=200).json()
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        self.user_id = answer["user_id"]
        return answer

    def try_login(self, username, password):
        """As login(), but None when the server refuses the password."""
        try:
            return self.login(username, password)
        except UnexpectedAnswer as refusal:
            assert refusal.status == 401, refusal
            return None

    def refresh(self):
        answer = self.post("/auth/refresh", {"refresh_token": self.refresh_token}, expect=200).json()
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        return answer

    # --- files ---

    def upload_multipart(self, name, data, expect=201, **fields):
        return self.call("POST", "/files/upload", expect=expect, files={"file": (name, data)}, data=fields).json()

    def list(self, **parameters):
        """All items, over as many pages as there are."""
        items = []
        while True:
            page = self.get("/files", params=parameters).json()
            items += page["items"]
            if not page["next_cursor"]:
                return items
            parameters = {**parameters, "cursor": page["next_cursor"]}

    def make_folder(self, path, **more):
        return self.post("/folders", {"path": path, **more}, expect=(200, 201)).json()

    def info(self, file_id):
        return self.get(f"/files/{file_id}").json()

    def download(self, file_id, first=None, last=None, expect=None, **headers):
        """The answer, read whole and checked against its Content-Length. first and last as in Range."""
        if first is not None:
            headers["Range"] = f"bytes={first}-{'' if last is None else last}"
        expect = expect or (206 if "Range" in headers else 200)
        return whole(self.get(f"/files/{file_id}/download", expect=expect, headers=headers))

    def content(self, file_id):
        return self.download(file_id).content

    def share(self, file_id, **options):
        return self.post(f"/files/{file_id}/share", options, expect=201).json()

    def open_share(self, token, password=None, expect=200, **headers):
        if password is not None:
            headers["X-Share-Password"] = password
        return whole(self.get(f"/share/{token}", expect=expect, token="", headers=headers))

    # --- resumable uploads ---

    def start_upload(self, key, name, size, expect=(200, 201), **more):
        answer = self.post("/uploads", {"key": key, "name": name, "size": size, **more}, expect=expect).json()
        return Upload(self, answer)

    def upload(self, key, name, data, flights=4, **more):
        """The whole walk: start or resume, ask what is missing, send it, commit. The commit's answer."""
        upload = self.start_upload(key, name, len(data), **more)
        chunks = split(data, upload.chunk_size)
        upload.send(chunks, upload.missing(chunks), flights)
        return upload.commit(chunks, data)


@dataclasses.dataclass
class Upload:
    """A running upload. Its calls use the upload's own token, so that they outlive the login."""

    client: Client
    answer: dict

    @property
    def id(self):
        return self.answer["upload_id"]

    @property
    def token(self):
        return self.answer["upload_token"]

    @property
    def chunk_size(self):
        return self.answer["chunk_size"]

    @property
    def file_id(self):
        return self.answer["file_id"]

    def by(self, client):
        """The same upload through another client."""
        return Upload(client, self.answer)

    def missing(self, chunks):
        """The indexes that the server lacks; asks for 1,000 at a time, which is the most it takes."""
        asked = [{"index": index, "length": len(chunk), "hash": sha256(chunk)} for index, chunk in enumerate(chunks)]
        missing = []
        for part in split(asked, 1000):
            answer = self.client.post(f"/uploads/{self.id}/have", {"chunks": part}, expect=200, token=self.token)
            missing += answer.json()["missing"]
        return missing

    def put(self, index, chunk, expect=(200, 201, 204), digest=None):
        headers = {"Content-Digest": digest or content_digest(chunk), "Content-Type": "application/octet-stream"}
        return self.client.call("PUT", f"/uploads/{self.id}/chunks/{index}", expect=expect, token=self.token,
                                data=chunk, headers=headers)

    def send(self, chunks, indexes, flights=4):
        """Puts several at a time, each on a connection of its own."""
        def worker(part):
            own = self.by(self.client.again())
            for index in part:
                own.put(index, chunks[index])
            own.client.close()

        parts = [part for part in (indexes[start::flights] for start in range(flights)) if part]
        with ThreadPoolExecutor(max_workers=flights) as pool:
            list(pool.map(worker, parts))

    def commit(self, chunks, data, expect=(200, 201), **more):
        body = {"root": root_of(chunks), "sha256": sha256(data), **more}
        return self.client.post(f"/uploads/{self.id}/commit", body, expect=expect, token=self.token).json()


def whole(response):
    """requests accepts a body that ends early; this does not."""
    announced = response.headers.get("Content-Length")
    if announced is not None and "Content-Encoding" not in response.headers and response.request.method != "HEAD":
        if len(response.content) != int(announced):
            raise requests.exceptions.ContentDecodingError(
                f"{len(response.content)} bytes arrived of {announced} announced ones")
    return response


def problem(response):
    """The body of an error answer, checked to be one."""
    assert response.headers["Content-Type"].split(";")[0] == "application/problem+json", response.headers
    body = json.loads(response.text)
    assert body["status"] == response.status_code
    assert {"type", "title", "status", "detail", "request_id"} <= body.keys(), body
    return body
