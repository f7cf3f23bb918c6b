"""All that is shared by a run: the server, the people, the rooms as they are, and what was found to differ.

The rooms are learnt from one more device of the first user, who is in all of them and sees everything: after each deed
it syncs, and its events in order are the model.
"""
import asyncio
import collections
import json
import random
import time

import aiohttp

from room import Room
from served import PASSWORD

PREFIX = "/_matrix/client/v3"
SHOWN_PER_KIND = 3
SHOWN_CHARACTERS = 900
ATTEMPTS = 3
RETRY_S = 0.2
CAPTURE_LIMIT = 100
PROFILE_TIMEOUT_S = 30


class Report:
    """Counts what was checked, and prints what differs: one line each, the first few of a kind."""

    def __init__(self, seed):
        self.seed, self.checked, self.violations = seed, 0, collections.Counter()

    def check(self, holds, kind, *facts):
        self.checked += 1
        if not holds:
            self.violation(kind, *facts)
        return holds

    def violation(self, kind, *facts):
        self.violations[kind] += 1
        if self.violations[kind] <= SHOWN_PER_KIND:
            told = " ".join(json.dumps(fact, default=str)[:SHOWN_CHARACTERS] for fact in facts)
            print(f"seed {self.seed}: {kind}: {told}", flush=True)


class User:
    def __init__(self, name, reply):
        self.name, self.id = name, reply["user_id"]
        self.devices = [(reply["access_token"], reply["device_id"])]
        self.ignored, self.ever_ignored = set(), set()
        self.data, self.status = {}, None

    def token(self):
        return self.devices[0][0]


class World:
    def __init__(self, server, session, seed):
        self.server, self.session, self.report = server, session, Report(seed)
        # One draws the deeds and one what is looked at, so that an answer does not change the deeds that follow.
        self.random, self.choices = random.Random(seed), random.Random(seed + 1)
        self.users, self.rooms, self.clients = [], {}, []
        # Event id to the device and the transaction id that it was sent with.
        self.sent, self.transactions, self.clock = {}, 0, 0
        self.watcher, self.watched = None, None

    async def request(self, method, path, token=None, body=None, params=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.server.base + PREFIX + path
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.session.request(method, url, headers=headers, json=body, params=params) as answer:
                    text = await answer.text()
                    if answer.status >= 500:
                        self.report.violation("server-error", method, path, body, params, answer.status, text)
                    return answer.status, json.loads(text) if text else {}
            except aiohttp.ClientConnectionError:
                # A connection that was kept open over a restart.
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(RETRY_S)

    async def login(self, user):
        identifier = {"type": "m.id.user", "user": user.name}
        body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        status, reply = await self.request("POST", "/login", body=body)
        if status != 200:
            raise SystemExit(f"login of {user.name}: {status} {reply}")
        return reply["access_token"], reply["device_id"]

    async def register(self, name):
        user = User(name, await self.server.register(self.session, name))
        user.devices.append(await self.login(user))
        self.users.append(user)

    def admin(self):
        """Who makes all rooms, never leaves one, and may do everything."""
        return self.users[0]

    def lengths(self):
        return {room_id: room.length() for room_id, room in self.rooms.items()}

    async def capture(self):
        """Adds to the model what has happened since the last time."""
        if self.watcher is None:
            self.watcher, _ = await self.login(self.admin())
        chosen = json.dumps({"room": {"timeline": {"limit": CAPTURE_LIMIT}}})
        params = {"filter": chosen, "timeout": "0", "set_presence": "offline"}
        if self.watched:
            params["since"] = self.watched
        status, reply = await self.request("GET", "/sync", self.watcher, params=params)
        if status != 200:
            raise SystemExit(f"the watcher's /sync: {status} {reply}")
        self.watched = reply["next_batch"]
        for room_id, entry in reply.get("rooms", {}).get("join", {}).items():
            timeline = entry["timeline"]
            self.report.check(not timeline["limited"], "watcher-limited", room_id, len(timeline["events"]))
            if room_id not in self.rooms and timeline["events"]:
                version = timeline["events"][0]["content"].get("room_version", "1")
                self.rooms[room_id] = Room(room_id, int(version))
            for event in timeline["events"]:
                self.learn(self.rooms[room_id], event)

    def learn(self, room, event):
        if not self.report.check(event["event_id"] not in room.positions, "event-told-twice", event):
            return
        room.add(event)
        if event["type"] == "m.room.redaction":
            room.redacted.add(event.get("redacts") or event["content"].get("redacts"))
        if event["type"] == "m.room.member":
            room.forgotten.discard(event["state_key"])
            if event["content"].get("membership") != "join":
                room.typing.pop(event["state_key"], None)

    async def await_profile(self, user, displayname):
        """A profile reaches the rooms after the answer."""
        deadline = time.monotonic() + PROFILE_TIMEOUT_S
        while True:
            await self.capture()
            stale = [
                room.id for room in self.rooms.values() if room.membership(user.id) == "join"
                and room.member_event(user.id)["content"].get("displayname") != displayname
            ]
            if not stale:
                return
            if time.monotonic() > deadline:
                self.report.violation("profile-not-told", user.name, stale)
                return
            await asyncio.sleep(0.02)

    def check_content(self, room, event):
        """An event is the one that the watcher was told of, and empty once it is redacted."""
        report, position = self.report, room.positions.get(event["event_id"])
        if not report.check(position is not None, "event-unknown", room.id, event):
            return
        known, is_redacted = room.events[position], event["event_id"] in room.redacted
        for key in ("sender", "origin_server_ts", "type", "state_key"):
            report.check(known.get(key) == event.get(key), "event-differs", room.id, key, known, event)
        if is_redacted and event["type"] == "m.room.message":
            report.check("body" not in event["content"], "redacted-body", room.id, event)
        if not is_redacted:
            report.check(known["content"] == event["content"], "content-differs", room.id, known, event)
