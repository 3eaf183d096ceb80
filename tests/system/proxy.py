"""A TCP proxy on loopback that counts, cuts, stalls, garbles and delays what passes, and shuts single processes out: the
bad network of the tests, and the lines between the parts of a cluster."""

import os
import re
import socket
import struct
import threading
import time
import types
from pathlib import Path

UP, DOWN = "up", "down"  # client to server, server to client
LARGE = 4096  # bytes


CONTENT_LENGTH = re.compile(rb"Content-Length: (\d+)", re.IGNORECASE)


def large_answer(data):
    """Of what begins with the head of a large answer of HTTP: the head, the length that it announces, the rest. The length
    is None for anything else."""
    head, gap, body = data.partition(b"\r\n\r\n")
    announced = CONTENT_LENGTH.search(head)
    large = data.startswith(b"HTTP/1.1 200 ") and gap and announced and int(announced[1]) > LARGE
    return head + gap, int(announced[1]) if large else None, body


def framed(data):
    """A chunk of a body that is sent in chunks."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Proxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:target_port until close(). sent and received are bytes that were passed on
    to the server and to the client, over all connections; delayed counts the pieces that slow() held up, lied the pieces
    and answers that were changed, turned_away the connections that shut_out() ended or refused."""

    def __init__(self, target_port):
        self.target_port = target_port
        self._changed = threading.Condition()
        self._bytes = {UP: 0, DOWN: 0}
        self._allowed = {UP: None, DOWN: None}  # how many more bytes may pass; None: any number
        self._stalled = False
        self._lie = None
        self._refusing = False
        self._delay_s = 0
        self.delayed = self.lied = 0
        self._shut_out = set()
        self.turned_away = 0
        self._pairs = set()  # connections of a client and to the server
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def sent(self):
        return self._bytes[UP]

    @property
    def received(self):
        return self._bytes[DOWN]

    def cut_after(self, byte_count, direction=UP):
        """Lets exactly byte_count more bytes pass in that direction, then resets every connection and refuses new ones
        until open()."""
        with self._changed:
            self._allowed[direction] = byte_count

    def cut(self):
        """Resets every connection and refuses new ones until open()."""
        with self._changed:
            self._cut_locked()

    def open(self):
        """Ends a cut, a stall and lies."""
        with self._changed:
            self._refusing = self._stalled = False
            self._lie = None
            self._allowed = {UP: None, DOWN: None}
            self._changed.notify_all()

    def stall(self):
        """Keeps every connection open and passes nothing on, until open()."""
        with self._changed:
            self._stalled = True

    # Lies, until open(): about contents, not about short answers.

    def garble(self):
        """Changes a bit of each large piece that goes to the client."""
        self._lie = self._garbled

    def shorten(self):
        """Large answers of HTTP have a byte less, and announce so."""
        self._lie = self._shortened

    def never_end(self):
        """Large answers of HTTP go on until the client hangs up."""
        self._lie = self._endless

    def slow(self, delay_s):
        """Holds every piece up for so long, of 64 KiB at most, in both directions; 0 ends it."""
        self._delay_s = delay_s

    def shut_out(self, pid):
        """Resets the connections of this process and refuses its new ones, until let_in(). Others notice nothing."""
        with self._changed:
            self._shut_out.add(pid)
            for pair in [pair for pair in self._pairs if self._is_shut_out(pair[0])]:
                self._pairs.discard(pair)
                self._turn_away(*pair)

    def let_in(self):
        """Ends every shut_out()."""
        with self._changed:
            self._shut_out.clear()

    def wait_until_cut(self, timeout_s=60):
        with self._changed:
            assert self._changed.wait_for(lambda: self._refusing, timeout_s), "less than that came to the proxy"

    def close(self):
        with self._changed:
            self._cut_locked()
        # Wakes accept(), which closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _run(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                if self._refusing:
                    self._reset(client)
                    continue
                if self._shut_out and self._is_shut_out(client):
                    self._turn_away(client)
                    continue
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._run(self._serve, client)

    def _serve(self, client):
        # Not where connections are accepted: a server that hangs keeps whoever connects to it waiting.
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            self._reset(client)
            return
        with self._changed:
            if self._refusing or (self._shut_out and self._is_shut_out(client)):
                self._turn_away(client, server)
                return
            self._pairs.add((client, server))
        up = threading.Thread(target=self._pump, args=(client, server, UP), daemon=True)
        up.start()
        self._pump(server, client, DOWN)
        up.join()
        with self._changed:
            self._pairs.discard((client, server))
        client.close()
        server.close()

    def _pump(self, source, target, direction):
        told = types.SimpleNamespace(left=0, endless=False)  # of the answer that is a lie
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if data and self._delay_s:
                self.delayed += 1
                time.sleep(self._delay_s)
            with self._changed:
                self._changed.wait_for(lambda: self._refusing or not self._stalled)
                if self._refusing:
                    return
                allowed = self._allowed[direction]
                last = allowed is not None and len(data) >= allowed
                if last:
                    data = data[:allowed]
                elif allowed is not None:
                    self._allowed[direction] -= len(data)
                self._bytes[direction] += len(data)
            ended = not data
            lie = self._shortened if told.left else self._lie
            if lie and data and direction == DOWN:
                data = lie(data, told)
            try:
                if data:
                    target.sendall(data)
                elif ended and not last:
                    target.shutdown(socket.SHUT_WR)
                while told.endless:
                    target.sendall(framed(bytes(LARGE)))
            except OSError:
                ended = True
            if last:
                self.cut()
            if ended:
                return

    def _garbled(self, data, _):
        if len(data) <= LARGE:
            return data
        self.lied += 1
        return data[:-1] + bytes([data[-1] ^ 1])

    def _shortened(self, data, told):
        if not told.left:
            head, length, body = large_answer(data)
            if length is None:
                return data
            self.lied += 1
            told.left = length
            return CONTENT_LENGTH.sub(b"Content-Length: %d" % (length - 1), head) + self._shortened(body, told)
        body, rest = data[:told.left], data[told.left:]
        told.left -= len(body)
        return (body if told.left else body[:-1]) + rest

    def _endless(self, data, told):
        head, length, body = large_answer(data)
        if length is None:
            return data
        self.lied += 1
        told.endless = True
        return CONTENT_LENGTH.sub(b"Transfer-Encoding: chunked", head) + (framed(body) if body else b"")

    def _cut_locked(self):
        self._refusing = True
        for pair in self._pairs:
            for connection in pair:
                self._reset(connection)
        self._pairs.clear()
        self._changed.notify_all()

    def _turn_away(self, *connections):
        self.turned_away += 1
        for connection in connections:
            self._reset(connection)

    def _is_shut_out(self, client):
        """Whether the other end of the connection is in one of the processes that are shut out."""
        try:
            local = f"{client.getpeername()[1]:04X}"
        except OSError:
            return False  # it has ended already
        remote = f"{self.port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{local}") and fields[2].endswith(f":{remote}"):
                return any(self._has_socket(pid, fields[9]) for pid in self._shut_out)
        return False

    @staticmethod
    def _has_socket(pid, inode):
        try:
            return any(os.readlink(entry.path) == f"socket:[{inode}]" for entry in os.scandir(f"/proc/{pid}/fd"))
        except OSError:
            return False  # the process, or one of its files, is gone

    @staticmethod
    def _reset(connection):
        try:
            # A linger of zero makes close() send a reset, as a lost line would look like. shutdown() wakes the pump.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        connection.close()
