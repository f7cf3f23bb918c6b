#!/usr/bin/env python3
"""Kills the server, or PostgreSQL under it, at random moments under six writers, and looks whether all it acknowledged is there.

    kill.py --binary PATH [--engine sqlite|postgresql] [--victim server|postgresql] [--rounds N] [--seed N]

After each kill: every acknowledged event is in the room once, a retried transaction id answers the same event id, the
account data is the last that was acknowledged (or the one that was under way), and a sync token from before the kill
leads to every event after it, in the room's order, once.
"""
import argparse
import asyncio
import json
import pathlib
import random
import secrets
import shutil
import sys
import tempfile
import time

import aiohttp

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from served import Server, open_database, quote  # noqa: E402

WRITERS = 6
RECONNECT_S = 60


class Writer:
    """Sends messages and account data one after the other and remembers what was acknowledged."""

    def __init__(self, session, base, user_id, token):
        self.session, self.base, self.user_id, self.token = session, base, user_id, token
        self.acknowledged, self.under_way, self.data, self.next = {}, None, [0], 0

    async def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(method, self.base + path, json=body, headers=headers) as answer:
            reply = await answer.json()
            if answer.status == 503:
                raise aiohttp.ClientError("unavailable")
            if answer.status != 200:
                raise SystemExit(f"{method} {path}: {answer.status} {reply}")
            return reply

    async def send(self, room, txn, body):
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{txn}"
        return (await self.call("PUT", path, {"msgtype": "m.text", "body": body}))["event_id"]

    async def set_data(self, value):
        path = f"/_matrix/client/v3/user/{quote(self.user_id)}/account_data/org.example.counter"
        await self.call("PUT", path, {"value": value})

    async def write(self, room):
        """Until the server goes away."""
        try:
            while True:
                self.next += 1
                txn = f"{self.next}"
                self.under_way = (room, txn)
                self.acknowledged[txn] = await self.send(room, txn, f"{self.user_id} {txn}")
                self.under_way = None
                self.data.append(self.next)
                await self.set_data(self.next)
                self.data = [self.next]
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            return

    async def retry(self):
        """Sends again what was under way, as a client does, until it is answered."""
        if self.under_way is None:
            return
        room, txn = self.under_way
        deadline = time.monotonic() + RECONNECT_S
        while True:
            try:
                self.acknowledged[txn] = await self.send(room, txn, f"{self.user_id} {txn}")
                self.under_way = None
                return
            except (aiohttp.ClientError, asyncio.TimeoutError):
                if time.monotonic() > deadline:
                    raise SystemExit("the server did not come back") from None
                await asyncio.sleep(0.05)

    async def settle(self):
        """Waits until the server has done with whatever it took from a connection that is gone: changes are made in
        the order in which they came, so that one that is answered has all earlier ones behind it."""
        path = f"/_matrix/client/v3/user/{quote(self.user_id)}/account_data/org.example.settled"
        deadline = time.monotonic() + RECONNECT_S
        while True:
            try:
                await self.call("PUT", path, {"value": self.next})
                return
            except (aiohttp.ClientError, asyncio.TimeoutError):
                if time.monotonic() > deadline:
                    raise SystemExit("the server did not come back") from None
                await asyncio.sleep(0.05)

    async def check_data(self):
        path = f"/_matrix/client/v3/user/{quote(self.user_id)}/account_data/org.example.counter"
        value = (await self.call("GET", path))["value"]
        if value not in self.data:
            raise SystemExit(f"account data is {value}, acknowledged was {self.data}")
        self.data = [value]

    async def history(self, room):
        events, start = [], ""
        while True:
            path = f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=500{start}"
            reply = await self.call("GET", path)
            events += [e for e in reply["chunk"] if e["type"] == "m.room.message"]
            if "end" not in reply:
                return events[::-1]
            start = f"&from={quote(reply['end'])}"

    async def sync(self, since=None):
        limit = quote(json.dumps({"room": {"timeline": {"limit": 1000}}}))
        path = f"/_matrix/client/v3/sync?timeout=0&filter={limit}" + (f"&since={since}" if since else "")
        return await self.call("GET", path)


class Trial:
    def __init__(self, options, session, folder):
        self.options, self.session, self.folder = options, session, folder
        self.random = random.Random(options.seed)
        database, self.postgres = open_database(options.engine, folder)
        self.server = Server(options.binary, folder, database)
        self.writers, self.room = [], None

    async def register(self, name):
        reply = await self.server.register(self.session, name)
        return Writer(self.session, self.server.base, reply["user_id"], reply["access_token"])

    async def prepare(self):
        await self.server.start(self.session)
        self.writers = [await self.register(f"writer{n}") for n in range(WRITERS)]
        first = self.writers[0]
        self.room = (await first.call("POST", "/_matrix/client/v3/createRoom", {"preset": "public_chat"}))["room_id"]
        for writer in self.writers[1:]:
            await writer.call("POST", f"/_matrix/client/v3/join/{quote(self.room)}", {})
        for writer in self.writers:
            await writer.set_data(0)

    async def round(self):
        token = (await self.writers[0].sync())["next_batch"]
        before = len(await self.writers[0].history(self.room))
        tasks = [asyncio.create_task(writer.write(self.room)) for writer in self.writers]
        await asyncio.sleep(self.random.uniform(0.02, 0.6))
        if self.options.victim == "server":
            self.server.kill()
            await asyncio.gather(*tasks)
            await self.server.start(self.session)
        else:
            self.postgres.stop("immediate")
            await asyncio.sleep(self.random.uniform(0.0, 0.5))
            self.postgres.start()
            await asyncio.sleep(0.3)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self.writers:
            await writer.retry()
            await writer.settle()
        await self.check(token, before)

    async def check(self, token, before):
        history = await self.writers[0].history(self.room)
        bodies = [event["content"]["body"] for event in history]
        if len(set(bodies)) != len(bodies):
            raise SystemExit("an event is there twice")
        ids = {event["content"]["body"]: event["event_id"] for event in history}
        for writer in self.writers:
            await writer.check_data()
            for txn, event_id in writer.acknowledged.items():
                if ids.get(f"{writer.user_id} {txn}") != event_id:
                    raise SystemExit(f"{event_id} of {writer.user_id} was acknowledged and is gone")
            for txn in self.random.sample(sorted(writer.acknowledged), min(3, len(writer.acknowledged))):
                again = await writer.send(self.room, txn, f"{writer.user_id} {txn}")
                if again != writer.acknowledged[txn]:
                    raise SystemExit(f"a retried transaction id answers {again}")
        reply = await self.writers[0].sync(token)
        timeline = reply["rooms"]["join"].get(self.room, {}).get("timeline", {"events": []})
        if timeline.get("limited"):
            return
        seen = [e["event_id"] for e in timeline["events"] if e["type"] == "m.room.message"]
        if seen != [event["event_id"] for event in history[before:]]:
            raise SystemExit(f"/sync from before the kill told {len(seen)} of {len(history) - before} events")

    def stop(self):
        if self.server.is_running():
            self.server.kill()
        if self.postgres:
            self.postgres.stop("immediate")


async def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="durability-"))
    folder.chmod(0o755)
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        trial = Trial(options, session, folder)
        try:
            await trial.prepare()
            for _ in range(options.rounds):
                await trial.round()
            events = sum(len(writer.acknowledged) for writer in trial.writers)
        except BaseException:
            print(f"seed {options.seed}; the files are kept in {folder}", file=sys.stderr)
            raise
        finally:
            trial.stop()
    shutil.rmtree(folder)
    print(f"{options.victim} killed {options.rounds} times on {options.engine}: {events} acknowledged events, all there")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--victim", choices=["server", "postgresql"], default="server")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    if options.victim == "postgresql" and options.engine != "postgresql":
        parser.error("--victim postgresql needs --engine postgresql")
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
