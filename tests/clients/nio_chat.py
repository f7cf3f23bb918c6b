#!/usr/bin/env python3
"""Two people chat through matrix-nio: log in, make a room, invite, join, talk both ways, log out.

    nio_chat.py BASE_URL USER PASSWORD OTHER_USER OTHER_PASSWORD

Exits with 0 only when every message arrived exactly once and in order on the other side.
"""
import asyncio
import sys

import nio

TIMEOUT_S = 60
MESSAGES = 5


def expect(response, kind):
    if not isinstance(response, kind):
        raise SystemExit(f"expected {kind.__name__}, got {response!r}")
    return response


class Person:
    """A logged-in client that keeps the text messages that it saw."""

    def __init__(self, base_url, user):
        self.client = nio.AsyncClient(base_url, user)
        self.seen, self.room_id = [], None
        self.client.add_event_callback(self._on_message, nio.RoomMessageText)

    async def _on_message(self, room, event):
        if event.sender != self.client.user_id and room.room_id == self.room_id:
            self.seen.append(event.body)

    async def log_in(self, password):
        expect(await self.client.login(password, device_name="nio"), nio.LoginResponse)
        expect(await self.client.sync(timeout=0, full_state=True), nio.SyncResponse)

    async def sync_until(self, done):
        while not done():
            expect(await self.client.sync(timeout=5000), nio.SyncResponse)

    async def say(self, room_id, text):
        content = {"msgtype": "m.text", "body": text}
        expect(await self.client.room_send(room_id, "m.room.message", content), nio.RoomSendResponse)

    async def log_out(self):
        token = self.client.access_token
        expect(await self.client.logout(), nio.LogoutResponse)
        # As a client that does not know of the logout.
        self.client.access_token = token
        refused = await self.client.whoami()
        await self.client.close()
        if isinstance(refused, nio.WhoamiResponse):
            raise SystemExit("the token still works after the logout")


async def chat(base_url, user, password, other, other_password):
    alice, bob = Person(base_url, user), Person(base_url, other)
    await alice.log_in(password)
    await bob.log_in(other_password)
    created = expect(
        await alice.client.room_create(name="Nio", invite=[bob.client.user_id]),
        nio.RoomCreateResponse,
    )
    room_id = alice.room_id = bob.room_id = created.room_id
    await bob.sync_until(lambda: room_id in bob.client.invited_rooms)
    expect(await bob.client.join(room_id), nio.JoinResponse)
    await bob.sync_until(lambda: room_id in bob.client.rooms)
    await alice.sync_until(
        lambda: room_id in alice.client.rooms
        and bob.client.user_id in alice.client.rooms[room_id].users
    )
    if alice.client.rooms[room_id].name != "Nio":
        raise SystemExit(f"the room's name is {alice.client.rooms[room_id].name!r}")
    hers = [f"from alice {n}" for n in range(MESSAGES)]
    his = [f"from bob {n}" for n in range(MESSAGES)]
    for mine, yours in zip(hers, his):
        await alice.say(room_id, mine)
        await bob.say(room_id, yours)
    await alice.sync_until(lambda: len(alice.seen) >= MESSAGES)
    await bob.sync_until(lambda: len(bob.seen) >= MESSAGES)
    if alice.seen != his or bob.seen != hers:
        raise SystemExit(f"alice saw {alice.seen}, bob saw {bob.seen}")
    await alice.log_out()
    await bob.log_out()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    asyncio.run(asyncio.wait_for(chat(*sys.argv[1:]), TIMEOUT_S))
    print("chat through matrix-nio: passed")
