#!/usr/bin/env python3
"""Whether costs stay flat as rooms grow, and what a client that waits costs.

    growth.py --base-url URL --shared-secret SECRET --server-pid PID[,PID…] [--only send,wait] [--sizes 10,100] [--json FILE]

deliver: a message reaches every member of a room, by the number of members; send: a message, by the number of events that
the room has; state: a state event under a new key, by the number of keys that the room has; wait: memory with so many
clients in a long poll, before, while, after forty deliveries to each, and once they are gone. See bench.py for the rest.
"""
import asyncio
import json
import sys

import aiohttp

from bench import LONG_POLL_MS, Bench, User, memory_mb, options_of, quote, run

SIZES = {
    "deliver": [10, 100, 1000],
    "send": [1_000, 10_000, 100_000],
    "state": [100, 1_000, 10_000],
    "wait": [1000],
}
SENDERS = 8
DELIVERIES = 40
# What is measured at each size.
SAMPLE = 2000
# The allocator gives memory back within ten seconds.
SETTLE_S = 12


class Growth(Bench):
    async def users(self, count):
        made = []
        while len(made) < count:
            part = min(20, count - len(made))
            made += await asyncio.gather(*(self.user() for _ in range(part)))
        return made

    async def grown_room(self, users):
        room = await users[0].create(preset="public_chat")
        for start in range(1, len(users), 20):
            await asyncio.gather(*(user.join(room) for user in users[start : start + 20]))
        return room

    async def heads(self, users):
        """A token at the present end for each."""
        tokens = []
        for user in users:
            lazy = quote(json.dumps({"room": {"timeline": {"limit": 1}, "state": {"lazy_load_members": True}}}))
            reply = await user.call("GET", f"/_matrix/client/v3/sync?timeout=0&filter={lazy}")
            tokens.append((await user.sync(reply["next_batch"]))["next_batch"])
        return tokens

    async def deliver(self, sizes):
        for size in sizes:
            users = await self.users(size)
            room = await self.grown_room(users)
            await self.measure(f"deliver to {size}", self.deliveries(users, room, DELIVERIES))

    async def deliveries(self, users, room, count):
        tokens, seen = await self.heads(users), [[] for _ in users]

        async def listen(place, user, since):
            while len(seen[place]) < count:
                reply = await user.sync(since, LONG_POLL_MS)
                since = reply["next_batch"]
                joined = reply.get("rooms", {}).get("join", {}).get(room, {})
                events = joined.get("timeline", {}).get("events", [])
                seen[place] += [e["content"]["body"] for e in events if e["type"] == "m.room.message"]

        work = enumerate(zip(users, tokens))
        listeners = [asyncio.create_task(listen(place, *pair)) for place, pair in work]
        await asyncio.sleep(1)
        for n in range(count):
            await users[0].send(room, f"{n}")
            while min(map(len, seen)) <= n:
                await asyncio.sleep(0.005)
        await asyncio.gather(*listeners)
        wrong = sum(texts != [f"{n}" for n in range(count)] for texts in seen)
        return len(users) * count, wrong

    async def send(self, sizes):
        users = await self.users(SENDERS)
        room, there = await self.grown_room(users), 0

        async def fill(count):
            async def some(user, part):
                for n in range(part):
                    await user.send(room, f"event {n} of a room that grows and grows")

            await asyncio.gather(*(some(user, count // SENDERS) for user in users))
            return count, 0

        for size in sizes:
            await fill(max(size - there - SAMPLE, 0))
            await self.measure(f"send among {size}", fill(min(SAMPLE, size - there)))
            there = size

    async def state(self, sizes):
        (user,) = await self.users(1)
        room, there = await user.create(), 0

        async def fill(count, first):
            for n in range(first, first + count):
                path = f"/_matrix/client/v3/rooms/{quote(room)}/state/org.example.growth/{n}"
                await user.call("PUT", path, {"n": n})
            return count, 0

        for size in sizes:
            sample = min(SAMPLE, size - there)
            await fill(size - there - sample, there)
            await self.measure(f"state among {size} keys", fill(sample, size - sample))
            there = size

    async def wait(self, sizes):
        for size in sizes:
            users = await self.users(size)
            room = await self.grown_room(users)
            # What the users themselves take in the caches is no part of it.
            await self.heads(users)
            await asyncio.sleep(SETTLE_S)
            before = memory_mb(self.pids)
            # Each client has a connection of its own, as on the network.
            sessions = [aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) for _ in users]
            pairs = zip(sessions, users[1:])
            alone = [User(session, user.base, user.user_id, user.token) for session, user in pairs]
            tokens = await self.heads(alone)
            polls = [asyncio.create_task(u.sync(t, LONG_POLL_MS)) for u, t in zip(alone, tokens)]
            await asyncio.sleep(SETTLE_S)
            waiting = memory_mb(self.pids)
            for poll in polls:
                poll.cancel()
            await asyncio.gather(*polls, return_exceptions=True)
            sender = users[:1]
            operations, wrong = await self.deliveries(sender + alone, room, DELIVERIES)
            await asyncio.sleep(SETTLE_S)
            after = memory_mb(self.pids)
            for session in sessions:
                await session.close()
            await asyncio.sleep(SETTLE_S)
            row = {
                "scenario": f"wait {size}",
                "operations": operations,
                "errors": wrong,
                "before_mb": round(before, 1),
                "waiting_mb": round(waiting - before, 1),
                "after_deliveries_mb": round(after - before, 1),
                "gone_mb": round(memory_mb(self.pids) - before, 1),
            }
            self.rows.append(row)
            print(json.dumps(row), flush=True)


def main():
    parser = options_of(__doc__, SIZES)
    parser.add_argument("--sizes", help="sizes in place of the usual ones, for a single --only")
    options = parser.parse_args()
    own = [int(size) for size in options.sizes.split(",")] if options.sizes else None
    return asyncio.run(run(Growth, options, lambda name: [own or SIZES[name]]))


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
