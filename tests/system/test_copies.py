"""What a cluster makes of copies that cannot be read for a reason that is not theirs."""

import random

import pytest
from cluster import Cluster, open_folder
from proxy import Proxy

pytestmark = [pytest.mark.cluster, pytest.mark.storage]

CHUNK_SIZE = 64 << 10


class LinedCluster(Cluster):
    """Its nodes are reached over lines that can be broken."""

    def new_node(self, number, *arguments, **settings):
        node = super().new_node(number, *arguments, **settings)
        node.line = self.stack.enter_context(Proxy(node.port))
        node.settings["NODE_URL"] = node.line.url
        return node


def test_a_line_that_changes_bytes_makes_no_copy_bad():
    data = random.Random(5).randbytes(2 * CHUNK_SIZE)
    with open_folder() as folder, LinedCluster(folder, nodes=3, servers=1, workers=1, CHUNK_SIZE=CHUNK_SIZE) as cluster:
        alice = cluster.user()
        file_id = alice.upload_multipart("photo", data)["file_id"]
        cluster.await_copies()

        for node in cluster.nodes:
            node.line.garble()
        for _ in range(3):
            alice.download(file_id, expect=503)
        assert cluster.postgres.sql("SELECT COUNT(*) FROM replicas WHERE state = 'bad'").strip() == "0"
        admin = cluster.admin()
        cluster.until(lambda: admin.get("/admin/jobs").json()["length"] == 0, "an end of all jobs")
        assert cluster.postgres.sql("SELECT COUNT(*) FROM replicas WHERE state = 'bad'").strip() == "0"

        for node in cluster.nodes:
            node.line.open()
        assert alice.content(file_id) == data
