"""What a user may read of a room at any time: events, pages of history, context, state and members.

Whoever is not in the room reads up to the end of the last stay, strangers only what is world-readable.
"""
from served import quote

PAGES = [1, 2, 3, 7, 20]
CONTEXT_LIMITS = [0, 1, 2, 5, 10]
MOST_PAGES = 300
EVENTS_TRIED = 25
CONTEXTS_TRIED = 6
KEYS_TRIED = 2
GAP_TRIED = 0.6
MEMBERS_AT_TRIED = 0.3


async def walk(world, token, room, direction, start=None, to=None):
    """The status, and the positions of all events from there on, page by page."""
    found = []
    for _ in range(MOST_PAGES):
        params = {"dir": direction, "limit": str(world.choices.choice(PAGES))}
        if start:
            params["from"] = start
        if to:
            params["to"] = to
        status, reply = await world.request("GET", f"/rooms/{quote(room.id)}/messages", token, params=params)
        if status != 200:
            return status, found
        found += [room.positions.get(event["event_id"]) for event in reply["chunk"]]
        if "end" not in reply:
            return status, found
        if reply["end"] == start and not reply["chunk"]:
            break
        start = reply["end"]
    world.report.violation("messages-endless", room.id, params)
    return 200, found


async def check_gaps(case, timeline):
    """From "prev_batch" a client reaches all that came before the timeline, and between two syncs what was left out."""
    world, room, client = case.world, case.room, case.client
    has_gap = timeline["limited"] or not client.timeline
    if not (timeline["events"] or timeline["limited"]) or not has_gap or world.choices.random() >= GAP_TRIED:
        return
    first = room.positions[timeline["events"][0]["event_id"]] if timeline["events"] else case.end
    earlier = room.told(case.user, 0, first)
    missed = [position for position in earlier if position >= case.start]
    previous, since = timeline["prev_batch"], case.old.token
    tries = [("gap-back", "b", previous, None, earlier[::-1])]
    if case.is_known:
        tries.append(("gap-back-to", "b", previous, since, missed[::-1]))
        tries.append(("gap-forward", "f", since, previous, missed))
    for kind, direction, start, to, right in tries:
        status, found = await walk(world, client.token, room, direction, start, to)
        facts = {"status": status, "found": found, "right": right, "from": start, "to": to}
        case.check(status == 200 and found == right, kind, facts)


class Reader:
    """A user and a room: what may be read."""

    def __init__(self, world, user, room):
        self.world, self.user, self.room, self.token = world, user, room, user.token()
        self.path = f"/rooms/{quote(room.id)}"
        end, self.membership = room.length(), room.membership(user.id)
        self.has_forgotten, self.is_joined = user.id in room.forgotten, self.membership == "join"
        # Who has forgotten the room is a stranger to it, also as to where history ends.
        stay = None if self.has_forgotten else room.last_stay(user.id)
        self.is_inside = self.is_joined or stay is not None
        is_open = room.visibility(end - 1) == "world_readable"
        self.may_read = self.is_inside or is_open
        # The position of the last event that history, state and members go up to.
        self.last = end - 1 if self.is_joined or is_open or stay is None else stay
        self.seen = [p for p in range(end) if room.sees(user.id, p, self.has_forgotten)]
        self.visible = [position for position in self.seen if room.hears(user, position)]
        self.readable = [position for position in self.visible if position <= self.last]

    def check(self, holds, kind, *facts):
        if holds:
            return self.world.report.check(True, kind)
        who = {
            "user": self.user.name, "room": self.room.id, "membership": self.membership,
            "forgotten": self.has_forgotten, "last": self.last, "length": self.room.length(),
        }
        return self.world.report.check(False, kind, who, *facts)

    async def get(self, path, params=None):
        return await self.world.request("GET", self.path + path, self.token, params=params)

    def sample(self, count):
        positions = range(self.room.length())
        return self.world.choices.sample(positions, min(count, len(positions)))


async def check_reading(world, user, room):
    reader = Reader(world, user, room)
    await check_events(reader)
    await check_messages(reader)
    for position in reader.sample(CONTEXTS_TRIED):
        await check_context(reader, position)
    await check_state_and_members(reader)
    await check_members_at(reader)


async def check_events(reader):
    room = reader.room
    for position in reader.sample(EVENTS_TRIED):
        event_id, right = room.events[position]["event_id"], 200 if position in reader.visible else 404
        status, reply = await reader.get(f"/event/{quote(event_id)}")
        kind = "LEAK-event" if status == 200 and right != 200 else "event-status"
        reader.check(status == right, kind, position, status, right, reply)
        if status == 200:
            reader.world.check_content(room, reply)


async def check_messages(reader):
    for direction in "bf":
        status, found = await walk(reader.world, reader.token, reader.room, direction)
        right = reader.readable[::-1] if direction == "b" else reader.readable
        reader.check(status == (200 if reader.may_read else 403), "messages-status", direction, status)
        unseen = [position for position in found if position not in reader.seen]
        reader.check(not unseen, "LEAK-messages", direction, unseen)
        if reader.may_read:
            reader.check(found == right, "messages", direction, {"found": found, "right": right})


async def check_context(reader, position):
    room, limit = reader.room, reader.world.choices.choice(CONTEXT_LIMITS)
    event_id, right = room.events[position]["event_id"], 200 if position in reader.visible else 404
    status, reply = await reader.get(f"/context/{quote(event_id)}", {"limit": str(limit)})
    if not reader.check(status == right, "context-status", position, status, right, reply) or status != 200:
        return
    before = [room.positions.get(event["event_id"]) for event in reply["events_before"]]
    after = [room.positions.get(event["event_id"]) for event in reply["events_after"]]
    unseen = [other for other in before + after if other not in reader.seen]
    reader.check(not unseen, "LEAK-context", position, unseen)
    if position > reader.last:
        return
    earlier = [other for other in reader.visible if other < position][::-1]
    later = [other for other in reader.readable if other > position]
    facts = {"position": position, "limit": limit, "before": before, "after": after}
    is_right = before == earlier[:len(before)] and after == later[:len(after)]
    reader.check(is_right, "context", facts)
    reader.check(len(before) + len(after) <= limit, "context-limit", facts)
    is_short = len(before) + len(after) < limit and len(before) < len(earlier) and len(after) < len(later)
    reader.check(not is_short, "context-short", facts)
    state = {(event["type"], event["state_key"]): event["event_id"] for event in reply["state"]}
    reader.check(state == room.state(max([position, *after])), "context-state", facts)
    if reader.may_read:
        await check_context_pages(reader, reply, min([position, *before]), max([position, *after]))


async def check_context_pages(reader, reply, first, last):
    """Paging on from a context goes on where it ends."""
    world, room = reader.world, reader.room
    _, found = await walk(world, reader.token, room, "b", reply["start"])
    right = [position for position in reader.readable if position < first][::-1]
    reader.check(found == right, "context-start", {"first": first, "found": found, "right": right})
    _, found = await walk(world, reader.token, room, "f", reply["end"])
    right = [position for position in reader.readable if position > last]
    reader.check(found == right, "context-end", {"last": last, "found": found, "right": right})


async def check_state_and_members(reader):
    room, right_status = reader.room, 200 if reader.may_read else 403
    state = room.state(reader.last)
    status, reply = await reader.get("/state")
    reader.check(status == right_status, "state-status", status, reply)
    if status == 200:
        found = {(event["type"], event["state_key"]): event["event_id"] for event in reply}
        reader.check(found == state, "state-endpoint")
    status, reply = await reader.get("/members")
    reader.check(status == right_status, "members-status", status, reply)
    if status == 200:
        reader.check(members_told(reply) == members_of(state), "members")
    status, reply = await reader.get("/joined_members")
    reader.check((status == 200) == reader.is_joined, "joined-members-status", status)
    if status == 200:
        reader.check(set(reply["joined"]) == room.with_membership("join"), "joined-members", list(reply["joined"]))
    if reader.may_read:
        for event_type, key in reader.world.choices.sample(list(state), min(KEYS_TRIED, len(state))):
            status, reply = await reader.get(f"/state/{quote(event_type)}/{quote(key)}")
            reader.check(status == 200, "state-event-status", event_type, key, status, reply)


def members_of(state):
    return {key[1]: event_id for key, event_id in state.items() if key[0] == "m.room.member"}


def members_told(reply):
    return {event["state_key"]: event["event_id"] for event in reply.get("chunk", [])}


async def check_members_at(reader):
    """The members at a token are those of then, as far as the user may read."""
    world, room = reader.world, reader.room
    for client in world.clients:
        is_tried = client.user is reader.user and client.kept and reader.is_inside
        if not is_tried or world.choices.random() >= MEMBERS_AT_TRIED:
            continue
        kept = world.choices.choice(client.kept)
        position = max(min(kept.lengths.get(room.id, 0) - 1, reader.last), 1)
        status, reply = await reader.get("/members", {"at": kept.token})
        is_right = status == 200 and members_told(reply) == members_of(room.state(position))
        reader.check(is_right, "members-at", position, status, members_told(reply))
