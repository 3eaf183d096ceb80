"""An independent client of tus 1.0, which can also do what no good client does."""

import base64
import dataclasses

from client import Client, UnexpectedAnswer

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


def metadata(**values):
    """The header Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value if isinstance(value, bytes) else str(value).encode()).decode()}"
                    for key, value in values.items())


def creation(name, size, **more):
    """The headers of a request that begins an upload."""
    return {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(filename=name, **more)}


@dataclasses.dataclass
class Tus:
    """One upload, or where they are begun. Its calls send no login: the address is the key."""

    client: Client
    path: str = "/tus"

    def by(self, client):
        return Tus(client, self.path)

    def create(self, name, size, data=None, expect=201, headers=(), **more):
        """Begins an upload here, with its first bytes if there are any."""
        sent = {**creation(name, size, **more), **({"Content-Type": BYTES} if data is not None else {}),
                **dict(headers)}
        answer = self.client.call("POST", self.path, headers=sent, data=data, expect=expect)
        return Tus(self.client, answer.headers["Location"]) if answer.status_code == 201 else answer

    def call(self, method, *, expect=None, headers=(), **options):
        return self.client.call(method, self.path, token="", expect=expect, headers={**TUS, **dict(headers)}, **options)

    def offset(self):
        """None when the upload has ended."""
        answer = self.call("HEAD")
        if answer.status_code in (404, 410):
            return None
        if answer.status_code != 200:
            raise UnexpectedAnswer("HEAD", self.path, answer)
        return int(answer.headers["Upload-Offset"])

    def patch(self, offset, data, expect=204, headers=()):
        return self.call("PATCH", expect=expect, data=data,
                         headers={"Upload-Offset": str(offset), "Content-Type": BYTES, **dict(headers)})

    def end(self, expect=204):
        return self.call("DELETE", expect=expect)

    def receipt(self):
        return self.client.get(self.path, token="").json()
