"""A TCP proxy that can fail: connections through it are cut, held (a black hole: nothing answers, nothing says no) or slowed."""
import asyncio
import random
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST


class Proxies:
    """The thread that all proxies live in."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def open(self, port):
        return asyncio.run_coroutine_threadsafe(Proxy(self.loop, port).listen(), self.loop).result(10)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Proxy:
    """From a port of loopback to `target`, another one, which may be set later."""

    def __init__(self, loop, port):
        self.loop, self.port, self.target = loop, port, None
        self.links, self.passed, self.delay_s = set(), asyncio.Event(), 0.0
        self.cuts = 0
        self.passed.set()

    async def listen(self):
        self.server = await asyncio.start_server(self.link, "127.0.0.1", self.port)
        return self

    async def link(self, reader, writer):
        ends = [writer]
        self.links.add(writer)
        try:
            await self.passed.wait()
            there_reader, there = await asyncio.open_connection("127.0.0.1", self.target)
            ends.append(there)
            self.links.add(there)
            await asyncio.gather(self.pump(reader, there), self.pump(there_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in ends:
                self.links.discard(end)
                end.transport.abort()

    async def pump(self, reader, writer):
        while data := await reader.read(1 << 16):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self.passed.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one end is gone: so is the other

    def call(self, function, *arguments):
        done = threading.Event()

        def run():
            function(*arguments)
            done.set()
        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def cut(self):
        """Every connection ends now, half of them by a reset; new ones pass."""
        self.call(self.abort)

    def abort(self):
        ends = [end for end in self.links if not end.transport.is_closing()]
        self.cuts += len(ends)
        for end in ends:
            if random.random() < 0.5:
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()

    def hold(self):
        """Nothing passes any more; what was sent is kept for `release`."""
        self.call(self.passed.clear)

    def release(self):
        self.call(self.passed.set)

    def delay(self, seconds):
        """Every piece that passes waits so long."""
        self.delay_s = seconds
