"""The model of a room: its events in order, the state after each, and what a user may see of them.

It knows nothing of the server's code: visibility follows "Room history visibility" in the client-server API, with the
state before and after an event both counting for the event that changes them.
"""
import collections

VISIBILITIES = ("world_readable", "shared", "invited", "joined")


class Room:
    def __init__(self, room_id, version):
        self.id, self.version = room_id, version
        self.events, self.states, self.members = [], [], []
        # Event id to its position, and user id to the last position at which the user was joined.
        self.positions, self.last_joined = {}, {}
        self.redacted, self.forgotten = set(), set()
        # (user id, kind, thread) to event id; user id to the moment of typing; user id to type to content.
        self.receipts, self.typing, self.data = {}, {}, collections.defaultdict(dict)

    def add(self, event):
        position = len(self.events)
        self.events.append(event)
        self.positions[event["event_id"]] = position
        state, members = self.state(position - 1), self.members[-1] if self.members else {}
        if "state_key" in event:
            state = {**state, (event["type"], event["state_key"]): event["event_id"]}
        if event["type"] == "m.room.member":
            members = {**members, event["state_key"]: event["content"].get("membership", "leave")}
        self.states.append(state)
        self.members.append(members)
        for user_id, membership in members.items():
            if membership == "join":
                self.last_joined[user_id] = position

    def length(self):
        return len(self.events)

    def event(self, event_id):
        return self.events[self.positions[event_id]]

    def state(self, position):
        """The state after the event at this position; that before the first event is empty."""
        return self.states[position] if position >= 0 else {}

    def current(self):
        return self.state(self.length() - 1)

    def membership(self, user_id, position=None):
        position = self.length() - 1 if position is None else position
        return self.members[position].get(user_id, "leave") if position >= 0 else "leave"

    def member_event(self, user_id):
        """The event that gave the user the membership of now."""
        event_id = self.current().get(("m.room.member", user_id))
        return self.event(event_id) if event_id else None

    def with_membership(self, *memberships):
        """The users who have one of these memberships now."""
        now = self.members[-1] if self.members else {}
        return {user_id for user_id, membership in now.items() if membership in memberships}

    def visibility(self, position):
        event_id = self.state(position).get(("m.room.history_visibility", ""))
        value = self.event(event_id)["content"].get("history_visibility") if event_id else "shared"
        return value if value in VISIBILITIES else "shared"

    def join_rule(self):
        event_id = self.current().get(("m.room.join_rules", ""))
        return self.event(event_id)["content"].get("join_rule") if event_id else "invite"

    def is_own(self, user_id, position):
        """Whether the event is about the user's own membership."""
        event = self.events[position]
        return event["type"] == "m.room.member" and event.get("state_key") == user_id

    def own_events(self, user_id, start, end):
        return [position for position in range(start, end) if self.is_own(user_id, position)]

    def last_stay(self, user_id):
        """The position of the user's own event that ended the last stay."""
        for position in reversed(self.own_events(user_id, 0, self.length())):
            before = self.membership(user_id, position - 1)
            if before == "join" and self.membership(user_id, position) != "join":
                return position
        return None

    def sees(self, user_id, position, forgotten=False):
        """Whether the user may read the event. Who has forgotten the room is a stranger to it."""
        if forgotten:
            changes = self.events[position]["type"] == "m.room.history_visibility"
            seen = {self.visibility(position)} | ({self.visibility(position - 1)} if changes else set())
            return "world_readable" in seen
        if self.is_own(user_id, position):
            return True
        joined_since = self.last_joined.get(user_id, -1) >= position
        memberships = {self.membership(user_id, position - 1), self.membership(user_id, position)}
        if "join" in memberships:
            return True
        for visibility in {self.visibility(position - 1), self.visibility(position)}:
            if visibility == "world_readable":
                return True
            if visibility == "invited" and "invite" in memberships:
                return True
            if visibility == "shared" and joined_since:
                return True
        return False

    def hears(self, user, position):
        """State is told whoever sent it; messages of the ignored are not."""
        event = self.events[position]
        return "state_key" in event or event["sender"] not in user.ignored

    def told(self, user, start, end):
        """The positions of the events in this range that the user is told of."""
        return [p for p in range(start, end) if self.sees(user.id, p) and self.hears(user, p)]
