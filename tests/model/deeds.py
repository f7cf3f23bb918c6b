"""The random deeds of people: each is one request, allowed or not; the model learns only what the server accepted."""
import time

from served import quote

LAST_VERSION = 12
VISIBILITIES = ["world_readable", "shared", "invited", "joined"]
JOIN_RULES = ["public", "public", "invite", "knock", "knock"]
FIRST_VERSION_WITH_KNOCKS = 7
TYPING_MS = 120_000
MOST_ROOMS_MADE, MOST_ROOMS = 7, 9
REDACTABLE = ("m.room.message", "org.x.thing", "m.room.name", "m.room.topic", "m.room.member")


class Deed:
    """Where a deed takes place: a random room, any person, and one who is not the first."""

    def __init__(self, world):
        draw = world.random
        self.world, self.draw = world, draw
        self.room, self.user = draw.choice(list(world.rooms.values())), draw.choice(world.users)
        self.other = draw.choice(world.users[1:])
        # Who moves others is most often allowed to.
        self.mover = world.admin() if draw.random() < 0.7 else self.user
        self.path = f"/rooms/{quote(self.room.id)}"

    async def do(self, method, path, user, body=None):
        return await self.world.request(method, path, user.token(), body=body)

    def member(self):
        return self.draw.choice([user for user in self.world.users if self.room.membership(user.id) == "join"])

    def someone_ordinary(self):
        return self.other if self.user is self.world.admin() else self.user

    def transaction(self):
        self.world.transactions += 1
        return f"t{self.world.transactions}"


async def send(deed):
    draw, user, transaction = deed.draw, deed.member(), deed.transaction()
    token, device_id = draw.choice(user.devices)
    body = {"msgtype": "m.text", "body": f"secret {transaction}"}
    if draw.random() < 0.3:
        body["url"] = "mxc://x/y"
    event_type = draw.choice(["m.room.message", "m.room.message", "org.x.thing"])
    status, reply = await deed.world.request("PUT", f"{deed.path}/send/{event_type}/{transaction}", token, body=body)
    if status == 200:
        deed.world.sent[reply["event_id"]] = (device_id, transaction)


async def join(deed):
    await deed.do("POST", f"{deed.path}/join", deed.other, {})


async def leave(deed):
    await deed.do("POST", f"{deed.path}/leave", deed.someone_ordinary(), {})


async def knock(deed):
    open_to_knocks = [room for room in deed.world.rooms.values() if room.join_rule() == "knock"]
    room = deed.draw.choice(open_to_knocks or [deed.room])
    await deed.do("POST", f"/knock/{quote(room.id)}", deed.other, {})


async def invite(deed):
    await deed.do("POST", f"{deed.path}/invite", deed.mover, {"user_id": deed.other.id})


async def ban(deed):
    await deed.do("POST", f"{deed.path}/ban", deed.mover, {"user_id": deed.other.id, "reason": "r"})


async def unban(deed):
    banned = [user for user in deed.world.users[1:] if deed.room.membership(user.id) == "ban"]
    user = deed.draw.choice(banned or [deed.other])
    await deed.do("POST", f"{deed.path}/unban", deed.world.admin(), {"user_id": user.id})


async def kick(deed):
    await deed.do("POST", f"{deed.path}/kick", deed.mover, {"user_id": deed.other.id})


async def forget(deed):
    membership = deed.room.membership(deed.other.id)
    status, _ = await deed.do("POST", f"{deed.path}/forget", deed.other, {})
    if status == 200:
        deed.room.forgotten.add(deed.other.id)
        deed.world.report.check(membership in ("leave", "ban"), "forget-status", membership)


async def set_state(deed):
    draw, clock = deed.draw, deed.world.clock
    rule = draw.choice(JOIN_RULES)
    if rule == "knock" and deed.room.version < FIRST_VERSION_WITH_KNOCKS:
        rule = "public"
    event_type, key, content = draw.choice([
        ("m.room.name", "", {"name": draw.choice(["", "A", f"B{clock}"])}),
        ("m.room.topic", "", {"topic": str(clock)}),
        ("org.x.state", draw.choice("abc"), {"v": clock, "url": "mxc://a/b"}),
        ("m.room.join_rules", "", {"join_rule": rule}),
        ("org.x.state", deed.user.id, {"v": clock}),
    ])
    is_own = key == deed.user.id and draw.random() < 0.5
    sender = deed.user if is_own else deed.world.admin()
    await deed.do("PUT", f"{deed.path}/state/{event_type}/{quote(key)}", sender, content)


async def set_visibility(deed):
    content = {"history_visibility": deed.draw.choice(VISIBILITIES)}
    await deed.do("PUT", f"{deed.path}/state/m.room.history_visibility/", deed.world.admin(), content)


async def redact(deed):
    events = [event for event in deed.room.events if event["type"] in REDACTABLE]
    event, transaction, admin = deed.draw.choice(events[-12:]), deed.transaction(), deed.world.admin()
    path = f"{deed.path}/redact/{quote(event['event_id'])}/{transaction}"
    status, reply = await deed.do("PUT", path, admin, {})
    if status == 200:
        deed.world.sent[reply["event_id"]] = (admin.devices[0][1], transaction)


async def set_profile(deed):
    name = f"{deed.user.name} {deed.world.clock}"
    status, _ = await deed.do("PUT", f"/profile/{deed.user.id}/displayname", deed.user, {"displayname": name})
    if status == 200:
        await deed.world.await_profile(deed.user, name)


async def set_data(deed):
    user, event_type = deed.user, deed.draw.choice(["org.x.a", "org.x.b"])
    content, is_global = {"v": deed.world.clock}, deed.draw.random() < 0.7
    path = f"/user/{user.id}" if is_global else f"/user/{user.id}{deed.path}"
    status, _ = await deed.do("PUT", f"{path}/account_data/{event_type}", user, content)
    if status == 200:
        data = user.data if is_global else deed.room.data[user.id]
        data[event_type] = content


async def set_tag(deed):
    user, tag, data = deed.user, deed.draw.choice(["m.favourite", "u.x"]), deed.room.data[deed.user.id]
    tags = dict(data.get("m.tag", {"tags": {}})["tags"])
    path = f"/user/{user.id}{deed.path}/tags/{tag}"
    if deed.draw.random() < 0.6:
        tags[tag] = {"order": 0.5}
        status, _ = await deed.do("PUT", path, user, tags[tag])
    else:
        tags.pop(tag, None)
        status, _ = await deed.do("DELETE", path, user)
    # To take away a tag where there has never been one says nothing to anybody.
    if status == 200 and (tags or "m.tag" in data):
        data["m.tag"] = {"tags": tags}


async def set_receipt(deed):
    draw, room, user = deed.draw, deed.room, deed.member()
    seen = [position for position in range(room.length()) if room.sees(user.id, position)]
    position = seen[-1] if draw.random() < 0.5 else draw.choice(seen[-4:])
    event_id = room.events[position]["event_id"]
    kind, thread = draw.choice(["m.read", "m.read", "m.read.private"]), draw.choice([None, None, "main"])
    token, _ = draw.choice(user.devices)
    path = f"{deed.path}/receipt/{kind}/{quote(event_id)}"
    status, reply = await deed.world.request("POST", path, token, body={"thread_id": thread} if thread else {})
    if deed.world.report.check(status == 200, "receipt-status", status, reply):
        before = room.receipts.get((user.id, kind, thread))
        if before is None or room.positions[before] < position:
            room.receipts[user.id, kind, thread] = event_id


async def set_typing(deed):
    user, on = deed.member(), deed.draw.random() < 0.6
    status, _ = await deed.do("PUT", f"{deed.path}/typing/{user.id}", user, {"typing": on, "timeout": TYPING_MS})
    if status == 200:
        deed.room.typing.pop(user.id, None)
        if on:
            deed.room.typing[user.id] = time.monotonic()


async def set_presence(deed):
    message = f"status {deed.world.clock}"
    body = {"presence": "online", "status_msg": message}
    status, _ = await deed.do("PUT", f"/presence/{deed.user.id}/status", deed.user, body)
    if status == 200:
        deed.user.status = message


async def upgrade(deed):
    # The join rules go along, and where knocking is unknown they would let nobody even change their name.
    version = str(deed.draw.randint(FIRST_VERSION_WITH_KNOCKS, LAST_VERSION))
    if len(deed.world.rooms) < MOST_ROOMS:
        await deed.do("POST", f"{deed.path}/upgrade", deed.world.admin(), {"new_version": version})


async def ignore(deed):
    user = deed.someone_ordinary()
    others = [other.id for other in deed.world.users if other is not user]
    ignored = deed.draw.sample(others, deed.draw.choice([0, 1, 1, 2]))
    content = {"ignored_users": {user_id: {} for user_id in ignored}}
    status, _ = await deed.do("PUT", f"/user/{user.id}/account_data/m.ignored_user_list", user, content)
    if status == 200:
        user.ignored, user.data["m.ignored_user_list"] = set(ignored), content
        user.ever_ignored |= user.ignored


async def make_another_room(deed):
    if len(deed.world.rooms) < MOST_ROOMS_MADE:
        await make_room(deed.world)


async def make_room(world):
    """A public room of any version, where everybody may invite, and sometimes another moderates."""
    draw, admin, others = world.random, world.admin(), [user.id for user in world.users[1:]]
    version, visibility = draw.randint(1, LAST_VERSION), draw.choice(VISIBILITIES)
    levels = {"invite": 0}
    if draw.random() < 0.5:
        # The maker of a room of the last version stands above the levels, and has none.
        levels["users"] = {draw.choice(others): 50} | ({} if version == LAST_VERSION else {admin.id: 100})
    body = {
        "room_version": str(version), "preset": "public_chat", "visibility": "private",
        "power_level_content_override": levels,
        "initial_state": [{
            "type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": visibility},
        }],
    }
    if draw.random() < 0.5:
        body["name"] = "n"
    if draw.random() < 0.4:
        body["invite"] = [draw.choice(others)]
    status, reply = await world.request("POST", "/createRoom", admin.token(), body=body)
    world.report.check(status == 200, "room-status", status, reply, body)


# How often each is done, of a thousand.
DEEDS = {
    send: 220, join: 120, leave: 80, invite: 80, knock: 40, ban: 40, unban: 40, kick: 40, forget: 30, set_state: 60,
    set_visibility: 40, redact: 30, set_profile: 20, set_data: 30, set_tag: 10, set_receipt: 50, set_typing: 30,
    set_presence: 20, upgrade: 4, ignore: 6, make_another_room: 10,
}


async def do_something(world):
    world.clock += 1
    chosen = world.random.choices(list(DEEDS), list(DEEDS.values()))[0]
    await chosen(Deed(world))
    await world.capture()
