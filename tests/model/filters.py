"""Event filters: random ones, and what they let pass, by "Filtering" in the client-server API."""
import fnmatch

TYPES = [["m.room.message"], ["m.room.*"], [], ["m.room.message", "org.x.*"], ["m.room.member"]]
NOT_TYPES = [["m.room.member"], ["m.room.*"], ["org.x.thing", "m.room.name"]]
MESSAGES = ("m.room.message", "org.x.thing")


def random_filter(world):
    choices, chosen = world.choices, {}
    rooms, users = list(world.rooms), [user.id for user in world.users]
    draw = choices.random()
    if draw < 0.2:
        chosen["types"] = choices.choice(TYPES)
    elif draw < 0.35:
        chosen["not_types"] = choices.choice(NOT_TYPES)
    draw = choices.random()
    if draw < 0.12:
        chosen["senders"] = [choices.choice(users)]
    elif draw < 0.24:
        chosen["not_senders"] = [choices.choice(users)]
    draw = choices.random()
    if draw < 0.06:
        chosen["rooms"] = choices.sample(rooms, min(2, len(rooms)))
    elif draw < 0.12:
        chosen["not_rooms"] = choices.sample(rooms, 1)
    if choices.random() < 0.15:
        chosen["contains_url"] = choices.random() < 0.5
    return chosen


def type_matches(pattern, event_type):
    """Only the star is special."""
    return fnmatch.fnmatchcase(event_type, pattern.replace("[", "[[]").replace("?", "[?]"))


def wants_room(chosen, room_id):
    return room_id in chosen.get("rooms", [room_id]) and room_id not in chosen.get("not_rooms", [])


def passes(chosen, event, room):
    if "types" in chosen and not any(type_matches(pattern, event["type"]) for pattern in chosen["types"]):
        return False
    if any(type_matches(pattern, event["type"]) for pattern in chosen.get("not_types", [])):
        return False
    if event["sender"] not in chosen.get("senders", [event["sender"]]):
        return False
    if event["sender"] in chosen.get("not_senders", []) or not wants_room(chosen, room.id):
        return False
    if "contains_url" in chosen:
        is_emptied = event["event_id"] in room.redacted and event["type"] in MESSAGES
        has_url = not is_emptied and isinstance(event["content"].get("url"), str)
        return has_url == chosen["contains_url"]
    return True


def passes_nothing(chosen, room_id):
    """Whether the filter asks for no event of this room at all."""
    return chosen.get("types") == [] or chosen.get("senders") == [] or not wants_room(chosen, room_id)
