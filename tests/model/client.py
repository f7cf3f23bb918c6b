"""A client that syncs with a filter of its own, keeps what it was told, and compares it with the model at each answer.

Now and then it asks again from an older token, from none, or for the full state, or loses an answer. What a client
holds after any such way has to be the same.
"""
import json

import filters
from joined import check_joined
from left import check_invited, check_left
from reading import check_gaps

LIMITS = [0, 1, 3, 50, 5, None]
DEFAULT_LIMIT = 10
LAZY = [None, None, "new", "new", "redundant"]
AFTER = [None, None, "use_state_after", "org.matrix.msc4222.use_state_after"]
PRESENCES = [None, "online", "offline", "unavailable"]
SECTIONS = ("join", "invite", "knock", "leave")
TOKENS_KEPT = 6

OLDER_TOKEN, NO_TOKEN, FULL_STATE, LOST_ANSWER = 0.15, 0.04, 0.08, 0.15
STORED_FILTER, STORED_FILTER_USED, GAPS = 0.5, 0.7, 0.25


class RoomKnowledge:
    """What a client holds of one room."""

    def __init__(self, state=(), summary=None, typing=frozenset(), receipts=(), data=()):
        self.state, self.summary, self.typing = dict(state), summary or {}, typing
        self.receipts, self.data = dict(receipts), dict(data)

    def copy(self):
        return RoomKnowledge(self.state, self.summary, self.typing, self.receipts, self.data)


class Knowledge:
    """What a client holds at a token, and how long the rooms were then."""

    def __init__(self, token=None, lengths=(), rooms=(), data=(), presence=()):
        self.token, self.lengths, self.rooms = token, dict(lengths), dict(rooms)
        self.data, self.presence = dict(data), dict(presence)

    def follow(self, token, lengths):
        rooms = {room_id: known.copy() for room_id, known in self.rooms.items()}
        return Knowledge(token, lengths, rooms, self.data, self.presence)


class Client:
    """A device with a random filter; a plain one asks for everything."""

    def __init__(self, world, user, plain):
        choices = world.choices
        self.user, (self.token, self.device_id) = user, choices.choice(user.devices)
        self.limit, self.lazy = choices.choice(LIMITS), choices.choice(LAZY)
        self.timeline = {} if plain or choices.random() < 0.6 else filters.random_filter(world)
        self.state = {} if plain or choices.random() < 0.8 else filters.random_filter(world)
        self.after = choices.choice(AFTER)
        self.include_leave, self.rooms = choices.random() < 0.4, {}
        if not plain and choices.random() < 0.15:
            key = choices.choice(["rooms", "not_rooms"])
            self.rooms = {key: choices.sample(list(world.rooms), 1 if key == "not_rooms" else 3)}
        self.presence, self.threads = choices.choice(PRESENCES), choices.random() < 0.2
        self.filter, self.filter_id = self.make_filter(), None
        self.kept = []
        self.limit = DEFAULT_LIMIT if self.limit is None else self.limit

    def make_filter(self):
        room = {"timeline": dict(self.timeline), "state": dict(self.state), **self.rooms}
        if self.limit is not None:
            room["timeline"]["limit"] = self.limit
        if self.lazy:
            room["state"]["lazy_load_members"] = True
        if self.lazy == "redundant":
            room["state"]["include_redundant_members"] = True
        if self.include_leave:
            room["include_leave"] = True
        if self.threads:
            room["timeline"]["unread_thread_notifications"] = True
        return {"room": room}

    def describe(self):
        return {"user": self.user.name, "filter": self.filter, "after": self.after}

    def wants(self, room_id):
        return filters.wants_room(self.rooms, room_id)


class Case:
    """One room in one answer to one client: what the checks of it go by."""

    def __init__(self, world, client, room, old, new, full):
        self.world, self.client, self.user, self.room = world, client, client.user, room
        self.old, self.full, self.initial = old, full, old.token is None
        self.start, self.end = old.lengths.get(room.id, 0), room.length()
        self.membership_then = room.membership(self.user.id, self.start - 1)
        self.membership = room.membership(self.user.id)
        # What happened to the user in between; whoever was joined all along needs only what is new.
        self.own = [] if self.initial else room.own_events(self.user.id, self.start, self.end)
        stayed = all(room.membership(self.user.id, position) == "join" for position in self.own)
        self.is_known = not self.initial and self.membership_then == "join" and stayed
        self.before, self.now = old.rooms.get(room.id, RoomKnowledge()), new.rooms.get(room.id)
        self.new = new

    def keep(self, known):
        """Sets what the client holds of the room from now on."""
        self.now = self.new.rooms[self.room.id] = known

    def forget(self):
        self.new.rooms.pop(self.room.id, None)

    def check(self, holds, kind, *facts):
        if holds:
            return self.world.report.check(True, kind)
        case = {
            "room": self.room.id, "from": self.start, "to": self.end, "was": self.membership_then,
            "is": self.membership, "own": self.own, "full": self.full, "initial": self.initial,
        }
        return self.world.report.check(False, kind, self.client.describe(), case, *facts)

    def candidates(self, start, end):
        """The positions that the client is to be told of, were there no limit."""
        chosen, room = self.client.timeline, self.room
        if filters.passes_nothing(chosen, room.id):
            return []
        told = room.told(self.user, start, end)
        return [position for position in told if filters.passes(chosen, room.events[position], room)]


async def sync(world, client):
    choices = world.choices
    old = client.kept[-1] if client.kept else Knowledge()
    if len(client.kept) > 1 and choices.random() < OLDER_TOKEN:
        old = choices.choice(client.kept)
    if choices.random() < NO_TOKEN:
        old = Knowledge()
    full = old.token is not None and choices.random() < FULL_STATE
    status, reply = await world.request("GET", "/sync", client.token, params=await parameters(world, client, old, full))
    if not world.report.check(status == 200, "sync-status", client.describe(), status, reply):
        return
    new = old.follow(reply["next_batch"], world.lengths())
    check_answer(world, client, old, new, full, reply)
    if choices.random() < GAPS:
        joined = reply.get("rooms", {}).get("join", {})
        for room in world.rooms.values():
            if room.id in joined:
                case = Case(world, client, room, old, new, full)
                await check_gaps(case, joined[room.id]["timeline"])
    if choices.random() >= LOST_ANSWER:
        client.kept = [*client.kept, new][-TOKENS_KEPT:]


async def parameters(world, client, old, full):
    chosen = {"timeout": "0"}
    if client.filter_id is None and world.choices.random() < STORED_FILTER:
        path = f"/user/{client.user.id}/filter"
        status, reply = await world.request("POST", path, client.token, body=client.filter)
        if world.report.check(status == 200, "filter-status", client.filter, status, reply):
            client.filter_id = reply["filter_id"]
    is_stored = client.filter_id is not None and world.choices.random() < STORED_FILTER_USED
    chosen["filter"] = client.filter_id if is_stored else json.dumps(client.filter)
    if old.token:
        chosen["since"] = old.token
    if full:
        chosen["full_state"] = "true"
    if client.after:
        chosen[client.after] = "true"
    if client.presence:
        chosen["set_presence"] = client.presence
    return chosen


def check_answer(world, client, old, new, full, reply):
    sections = {name: reply.get("rooms", {}).get(name, {}) for name in SECTIONS}
    told, describe = [room_id for section in sections.values() for room_id in section], client.describe()
    world.report.check(len(set(told)) == len(told), "room-in-two-sections", describe, told)
    for room_id in told:
        world.report.check(room_id in world.rooms, "room-unknown", describe, room_id)
        world.report.check(client.wants(room_id), "room-filtered", describe, room_id)
    for room in world.rooms.values():
        if not client.wants(room.id):
            continue
        case = Case(world, client, room, old, new, full)
        section = case.membership if case.membership in SECTIONS else "leave"
        elsewhere = [name for name in SECTIONS if name != section and room.id in sections[name]]
        case.check(not elsewhere, "room-in-wrong-section", elsewhere)
        entry = sections[section].get(room.id)
        if section == "join":
            check_joined(case, entry)
        elif section == "leave":
            check_left(case, entry)
        else:
            check_invited(case, entry)
    check_people(world, client, new, reply)


def check_people(world, client, new, reply):
    """The account data of the user, and the presence of those who share a room."""
    user, report, describe = client.user, world.report, client.describe()
    for event in reply.get("account_data", {}).get("events", []):
        new.data[event["type"]] = event["content"]
    for event_type, content in user.data.items():
        report.check(new.data.get(event_type) == content, "account-data", describe, event_type, content)
    sharing = set()
    for room in world.rooms.values():
        if room.membership(user.id) == "join":
            sharing |= room.with_membership("join")
    for event in reply.get("presence", {}).get("events", []):
        sender = event["sender"]
        new.presence[sender] = event["content"].get("status_msg")
        report.check(sender not in user.ignored, "presence-of-ignored", describe, event)
        report.check(sender in sharing | {user.id}, "presence-of-stranger", describe, event)
    for other in world.users:
        # A filter of rooms, and who was ignored for a while, leave it open what is told.
        if other.id in sharing and other.status and other.id not in user.ever_ignored and not client.rooms:
            known = new.presence.get(other.id)
            report.check(known == other.status, "presence", describe, other.name, known, other.status)
