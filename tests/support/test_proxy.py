"""The proxy of the resume tests counts and cuts to the byte, delays, and tells processes apart."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from proxy import DOWN, UP, Proxy


@pytest.fixture
def echo_port():
    """A server that sends back what it gets."""
    def serve(connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo_port):
    with Proxy(echo_port) as proxy:
        yield proxy


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def read_to_end(connection):
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def test_all_bytes_pass_and_are_counted(proxy):
    message = bytes(range(256)) * 4096
    with connect(proxy) as connection:
        threading.Thread(target=lambda: (connection.sendall(message), connection.shutdown(socket.SHUT_WR))).start()
        assert read_to_end(connection) == message
    assert (proxy.sent, proxy.received) == (len(message), len(message))


def test_a_cut_lets_exactly_so_many_bytes_up(proxy):
    proxy.cut_after(100_000, UP)
    with connect(proxy) as connection:
        with pytest.raises(OSError):
            while True:
                connection.sendall(bytes(1000))
    proxy.wait_until_cut()
    assert proxy.sent == 100_000


def test_a_cut_lets_exactly_so_many_bytes_down(proxy):
    proxy.cut_after(10, DOWN)
    with connect(proxy) as connection:
        connection.sendall(bytes(1000))
        assert len(read_to_end(connection)) <= 10
    assert proxy.received == 10


def test_nothing_connects_while_cut_and_everything_after(proxy):
    proxy.cut()
    with pytest.raises(OSError):
        with connect(proxy) as connection:
            connection.sendall(b"a")
            if not connection.recv(1):
                raise ConnectionResetError
    proxy.open()
    with connect(proxy) as connection:
        connection.sendall(b"a")
        assert connection.recv(1) == b"a"


def test_a_stall_holds_the_bytes_back(proxy):
    with connect(proxy) as connection:
        proxy.stall()
        connection.sendall(b"a")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.open()
        connection.settimeout(10)
        assert connection.recv(1) == b"a"


def test_a_slow_line_holds_each_piece_up(proxy):
    with connect(proxy) as connection:
        proxy.slow(0.1)
        begin = time.monotonic()
        connection.sendall(b"a")
        assert connection.recv(1) == b"a"
        assert time.monotonic() - begin >= 0.2 and proxy.delayed == 2
        proxy.slow(0)
        connection.sendall(b"b")
        assert connection.recv(1) == b"b" and proxy.delayed == 2


ANOTHER_CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    for line in sys.stdin:
        connection.sendall(line.encode())
        print(connection.recv(100).decode(), end="", flush=True)
"""


def test_a_process_that_is_shut_out_is_cut_and_refused_and_others_go_on(proxy):
    other = subprocess.Popen([sys.executable, "-c", ANOTHER_CLIENT, str(proxy.port)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)

    def other_hears(word):
        other.stdin.write(word + "\n")
        other.stdin.flush()
        return other.stdout.readline() == word + "\n"

    try:
        assert other_hears("before")
        with connect(proxy) as connection:
            connection.sendall(b"a")
            assert connection.recv(1) == b"a"
            proxy.shut_out(os.getpid())
            assert read_to_end(connection) == b"" and proxy.turned_away == 1
            assert other_hears("meanwhile")
        with connect(proxy) as connection:
            assert read_to_end(connection) == b"" and proxy.turned_away == 2
        proxy.let_in()
        with connect(proxy) as connection:
            connection.sendall(b"b")
            assert connection.recv(1) == b"b"
        assert other_hears("afterwards")
    finally:
        other.stdin.close()
        other.wait(30)
        other.stdout.close()
