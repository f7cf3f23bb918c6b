#!/usr/bin/env python3
"""What one operation costs the server: processor time per operation, and the memory afterwards.

    bench.py --base-url URL --shared-secret SECRET --server-pid PID[,PID…] [--only send,join] [--json FILE]

The server runs apart, with rate limits off. PIDs stand for their whole process trees, so that PostgreSQL's own
processes count too (name its postmaster). The figure to compare is the server's processor time; how fast this client is
does not matter to it. Every scenario checks what it measures: a message lost or seen twice is an error.
"""
import argparse
import asyncio
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import sys
import time
import urllib.parse

import aiohttp

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
LONG_POLL_MS = 30_000
LOST_AFTER_S = 40
FILTER = json.dumps({"room": {"timeline": {"limit": 100}}})


def quote(text):
    return urllib.parse.quote(text, safe="")


def stat(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15]))


def tree(roots):
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = stat(entry.name)[0]
            except OSError:
                continue
    found, grown = set(roots), True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def processor_seconds(roots):
    total = 0
    for pid in tree(roots):
        try:
            total += stat(pid)[1]
        except OSError:
            continue
    return total / TICKS_PER_SECOND


def memory_mb(roots):
    total = 0
    for pid in tree(roots):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


class User:
    def __init__(self, session, base, user_id="", token=""):
        self.session, self.base, self.user_id, self.token = session, base, user_id, token

    async def call(self, method, path, body=None, ok=True):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"{self.base}{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            reply = await answer.json()
            if ok and answer.status != 200:
                raise RuntimeError(f"{method} {path}: {answer.status} {reply}")
            return reply

    async def send(self, room, text):
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{secrets.token_hex(8)}"
        return await self.call("PUT", path, {"msgtype": "m.text", "body": text})

    async def create(self, **body):
        reply = await self.call("POST", "/_matrix/client/v3/createRoom", body)
        return reply["room_id"]

    async def join(self, room):
        await self.call("POST", f"/_matrix/client/v3/join/{quote(room)}", {})

    async def sync(self, since=None, timeout_ms=0):
        query = f"?timeout={timeout_ms}&filter={quote(FILTER)}" + (f"&since={since}" if since else "")
        return await self.call("GET", f"/_matrix/client/v3/sync{query}")


class Bench:
    def __init__(self, options, session):
        self.options, self.session = options, session
        self.pids = [int(pid) for pid in options.server_pid.split(",")]
        self.rows, self.made = [], 0

    async def users(self, count):
        return [await self.user() for _ in range(count)]

    async def user(self):
        self.made += 1
        name = f"bench-{secrets.token_hex(4)}-{self.made}"
        nobody = User(self.session, self.options.base_url)
        nonce = (await nobody.call("GET", "/_synapse/admin/v1/register"))["nonce"]
        text = "\0".join([nonce, name, "bench-password", "notadmin"]).encode()
        mac = hmac.new(self.options.shared_secret.encode(), text, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": "bench-password", "admin": False, "mac": mac}
        reply = await nobody.call("POST", "/_synapse/admin/v1/register", body)
        return User(self.session, self.options.base_url, reply["user_id"], reply["access_token"])

    async def public_room(self, owner, members):
        room = await owner.create(preset="public_chat")
        for member in members:
            await member.join(room)
        return room

    async def measure(self, name, work):
        """Runs `work`, which answers how many operations it did and how many went wrong."""
        before, start = processor_seconds(self.pids), time.monotonic()
        operations, errors = await work
        spent = processor_seconds(self.pids) - before
        row = {
            "scenario": name,
            "operations": operations,
            "errors": errors,
            "cpu_ms_per_operation": round(1000 * spent / max(operations, 1), 4),
            "operations_per_second": round(operations / (time.monotonic() - start), 1),
            "memory_mb": round(memory_mb(self.pids), 1),
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    async def create_room(self):
        users = await self.users(4)

        async def work(user):
            for _ in range(25):
                await user.create(preset="private_chat", name="Bench")

        async def all_of_it():
            await asyncio.gather(*map(work, users))
            return 100, 0

        await self.measure("create-room", all_of_it())

    async def send(self):
        users = await self.users(8)
        rooms = [await self.public_room(users[0], users[1:]) for _ in range(2)]

        async def work(place, user):
            for n in range(100):
                await user.send(rooms[place % 2], f"send {n}")

        async def all_of_it():
            await asyncio.gather(*(work(*pair) for pair in enumerate(users)))
            return 800, 0

        await self.measure("send", all_of_it())

    async def state_send(self):
        (user,) = await self.users(1)
        room = await user.create()

        async def work():
            for n in range(200):
                path = f"/_matrix/client/v3/rooms/{quote(room)}/state/org.example.bench/{n}"
                await user.call("PUT", path, {"n": n})
            return 200, 0

        await self.measure("state-send", work())

    async def fanout(self):
        users, messages = await self.users(50), 100
        room = await self.public_room(users[0], users[1:])
        tokens = [(await user.sync())["next_batch"] for user in users]

        async def listen(user, since):
            seen, deadline = [], time.monotonic() + LOST_AFTER_S
            while len(seen) < messages and time.monotonic() < deadline:
                reply = await user.sync(since, LONG_POLL_MS)
                since = reply["next_batch"]
                joined = reply.get("rooms", {}).get("join", {}).get(room, {})
                for event in joined.get("timeline", {}).get("events", []):
                    if event["type"] == "m.room.message":
                        seen.append(event["content"]["body"])
            return sum(a != b for a, b in zip(seen, wanted)) + abs(len(seen) - messages)

        wanted = [f"fanout {n}" for n in range(messages)]

        async def all_of_it():
            listeners = [asyncio.create_task(listen(*pair)) for pair in zip(users, tokens)]
            for text in wanted:
                await users[0].send(room, text)
                await asyncio.sleep(0.05)
            return len(users) * messages, sum(await asyncio.gather(*listeners))

        await self.measure("fanout", all_of_it())

    async def join(self):
        users = await self.users(60)
        room = await self.public_room(users[0], [])

        async def all_of_it():
            for user in users[1:]:
                await user.join(room)
            return len(users) - 1, 0

        await self.measure("join", all_of_it())

    async def messages(self):
        users, count = await self.users(4), 1000
        room = await self.public_room(users[0], users[1:])
        for n in range(count):
            await users[n % 4].send(room, f"messages {n}")

        async def read(user):
            pages, seen, start = 0, [], ""
            while True:
                path = f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=100{start}"
                reply = await user.call("GET", path)
                pages += 1
                seen += [e["content"]["body"] for e in reply["chunk"] if e["type"] == "m.room.message"]
                if "end" not in reply:
                    expected = [f"messages {n}" for n in reversed(range(count))]
                    return pages, seen != expected
                start = f"&from={quote(reply['end'])}"

        async def all_of_it():
            done = await asyncio.gather(*map(read, users * 5))
            return sum(pages for pages, _ in done), sum(wrong for _, wrong in done)

        await self.measure("messages", all_of_it())

    async def syncs(self):
        owners = await self.users(4)
        rooms = [await self.public_room(owners[0], owners[1:]) for _ in range(20)]
        for room in rooms:
            for n in range(20):
                await owners[n % 4].send(room, f"initial {n}")
        users = await self.users(5)
        for user in users:
            for room in rooms:
                await user.join(room)

        async def initial():
            errors = 0
            for user in users * 4:
                reply = await user.sync()
                errors += set(reply["rooms"]["join"]) != set(rooms)
            return len(users) * 4, errors

        tokens = [(await user.sync())["next_batch"] for user in users]

        async def incremental():
            for _ in range(200):
                for user, token in zip(users, tokens):
                    await user.sync(token)
            return 200 * len(users), 0

        await self.measure("initial-sync", initial())
        await self.measure("incremental-sync", incremental())


SCENARIOS = ["create_room", "send", "state_send", "fanout", "join", "messages", "syncs"]


def options_of(description, scenarios):
    """The command line that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--shared-secret", required=True)
    parser.add_argument("--server-pid", required=True)
    parser.add_argument("--only", default=",".join(scenarios), help="some of: " + ", ".join(scenarios))
    parser.add_argument("--json", help="write the rows to this file too")
    return parser


async def run(kind, options, arguments=lambda name: ()):
    """Runs the scenarios that were asked for; answers how many errors there were."""
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        bench = kind(options, session)
        for name in options.only.replace("-", "_").split(","):
            await getattr(bench, name)(*arguments(name))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(bench.rows, indent=1) + "\n")
    return sum(row["errors"] for row in bench.rows)


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(Bench, options_of(__doc__, SCENARIOS).parse_args())) else 0)
