"""The pages by way of a load balancer, while an API server behind it is killed: any other one goes on."""

import pytest
from client import sha256
from cluster import Cluster, open_folder

pytestmark = [pytest.mark.shares, pytest.mark.cluster, pytest.mark.postgres, pytest.mark.redis]

MIB = 1 << 20
until = Cluster.until


@pytest.fixture(scope="module")
def cluster():
    with open_folder() as folder, Cluster(folder, nodes=3, workers=1) as cluster:
        yield cluster


@pytest.fixture
def owner(cluster):
    return cluster.user(f"owner-{cluster.sql('SELECT COUNT(*) FROM users').strip()}", server=1)


@pytest.fixture
def balancer(cluster):
    """A proxy in front of the first server, until the test has it point at the second one."""
    proxy = cluster.line_to(cluster.servers[0].port)
    proxy.slow(0.005)
    yield proxy
    if not cluster.servers[0].running:
        cluster.servers[0].start()


def kill_the_first(cluster, balancer):
    balancer.target_port = cluster.servers[1].port
    cluster.servers[0].kill()
    balancer.slow(0)


def test_an_upload_begins_at_one_server_and_ends_at_the_other(cluster, owner, balancer, open_page, random_bytes,
                                                              tmp_path):
    folder = owner.make_folder("in")["id"]
    request = owner.post(f"/files/{folder}/request", {}, expect=201).json()
    data = random_bytes(80 * MIB)
    (tmp_path / "film.mkv").write_bytes(data)
    page = open_page(f"{balancer.url}/r/{request['request_token']}").wait(".drop")
    page.drop(".drop", tmp_path / "film.mkv")
    until(lambda: page.evaluate("() => document.querySelector('.whole progress').value") > 60 * MIB, "most of it",
          120)
    kill_the_first(cluster, balancer)
    until(lambda: page.count(".receipt"), "the receipt")
    assert "checked against your file" in page.text()
    (item,) = owner.list(folder_id=folder)
    assert owner.content(item["id"]) == data
    # What was under way is lost, and the browser sends a request again that was cut, for the dead server's right to
    # write is not over then.
    assert balancer.sent < len(data) + 48 * MIB


def test_a_download_begins_at_one_server_and_ends_at_the_other(cluster, owner, balancer, open_page, random_bytes):
    data = random_bytes(24 * MIB)
    share = owner.share(owner.upload_multipart("film.mkv", data)["file_id"], max_downloads=1)
    page = open_page(f"{balancer.url}/s/{share['share_token']}").wait("main a.primary")
    before = page.downloaded()
    page.click("main a.primary")
    until(lambda: balancer.received > 8 * MIB, "the first part")
    kill_the_first(cluster, balancer)
    # The browser goes on by itself when a connection ends early.
    until(lambda: [path for path in page.downloaded() - before
                   if path.stat().st_size == len(data) and sha256(path.read_bytes()) == sha256(data)], "the whole file")
    assert owner.get(f"/shares/{share['share_id']}").json()["downloads"] == 1
    assert balancer.received < len(data) + 4 * MIB
