"""A TCP proxy on loopback that counts, cuts, stalls and garbles what passes: the bad network of the tests."""

import socket
import struct
import threading

UP, DOWN = "up", "down"  # client to server, server to client
LARGE = 4096  # bytes


class Proxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:target_port until close(). sent and received are bytes that were passed on
    to the server and to the client, over all connections."""

    def __init__(self, target_port):
        self.target_port = target_port
        self._changed = threading.Condition()
        self._bytes = {UP: 0, DOWN: 0}
        self._allowed = {UP: None, DOWN: None}  # how many more bytes may pass; None: any number
        self._stalled = False
        self._garbling = False
        self._refusing = False
        self._sockets = set()
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
        """Ends a cut, a stall and garbling."""
        with self._changed:
            self._refusing = self._stalled = self._garbling = False
            self._allowed = {UP: None, DOWN: None}
            self._changed.notify_all()

    def stall(self):
        """Keeps every connection open and passes nothing on, until open()."""
        with self._changed:
            self._stalled = True

    def garble(self):
        """Changes a bit of each large piece that goes to the client, until open(): of contents, not of short answers."""
        with self._changed:
            self._garbling = True

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
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                self._reset(client)
                continue
            with self._changed:
                self._sockets |= {client, server}
            self._run(self._serve, client, server)

    def _serve(self, client, server):
        up = threading.Thread(target=self._pump, args=(client, server, UP), daemon=True)
        up.start()
        self._pump(server, client, DOWN)
        up.join()
        with self._changed:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source, target, direction):
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
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
                if self._garbling and direction == DOWN and len(data) > LARGE:
                    data = data[:-1] + bytes([data[-1] ^ 1])
            try:
                if data:
                    target.sendall(data)
                elif not last:
                    target.shutdown(socket.SHUT_WR)
            except OSError:
                data = b""
            if last:
                self.cut()
            if not data:
                return

    def _cut_locked(self):
        self._refusing = True
        for connection in self._sockets:
            self._reset(connection)
        self._sockets.clear()
        self._changed.notify_all()

    @staticmethod
    def _reset(connection):
        try:
            # A linger of zero makes close() send a reset, as a lost line would look like. shutdown() wakes the pump.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        connection.close()
