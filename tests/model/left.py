"""What the checks say of a room that the client's user is not in: invites, knocks, and rooms left or barred."""
from filters import passes
from joined import check_timeline, key_of, state_section

STRIPPED = {
    "m.room.create", "m.room.join_rules", "m.room.name", "m.room.topic", "m.room.avatar", "m.room.canonical_alias",
    "m.room.encryption",
}
STRIPPED_KEYS = {"type", "state_key", "content", "sender"}


def check_invited(case, entry):
    """An invite, or a knock, comes with the few events that show what room it is."""
    membership, user_id = case.membership, case.user.id
    sender = case.room.member_event(user_id)["sender"]
    is_due = (case.initial or case.full or bool(case.own)) and sender not in case.user.ignored
    case.check(is_due == (entry is not None), f"{membership}-section", {"due": is_due})
    case.forget()
    if entry is None:
        return
    events = entry[f"{membership}_state"]["events"]
    own = [event for event in events if event["type"] == "m.room.member" and event["state_key"] == user_id]
    case.check(any(event["content"]["membership"] == membership for event in own), "stripped-own-missing", events)
    types = {event["type"] for event in events}
    missing = {kind for kind in STRIPPED if (kind, "") in case.room.current()} - types
    case.check(not missing, "stripped-missing", sorted(missing))
    case.check(types <= STRIPPED | {"m.room.member"}, "LEAK-stripped", sorted(types))
    for event in events:
        case.check(event.keys() <= STRIPPED_KEYS, "stripped-keys", event)


def check_left(case, entry):
    """A room that was left is told once, up to the end of the stay and no further, and again only to who asks."""
    room, user_id = case.room, case.user.id
    case.forget()
    own = room.member_event(user_id)
    if own is None:
        case.check(entry is None, "leave-of-stranger")
        return
    is_recent = bool(case.own)
    is_whole = case.initial or case.full
    is_shown = case.client.include_leave or own["sender"] != user_id
    is_due = is_recent or (is_whole and is_shown and user_id not in room.forgotten)
    case.check(is_due == (entry is not None), "leave-section", {"due": is_due, "event": own})
    if not is_due or entry is None:
        return
    told = state_section(case, entry)
    check_left_leaks(case, entry["timeline"]["events"], told)
    if is_recent:
        was_inside = [case.membership_then] + [room.membership(user_id, position) for position in case.own]
        if "join" not in was_inside:
            return
    elif room.last_stay(user_id) is None:
        return
    follows = is_recent and case.membership_then == "join"
    check_left_news(case, entry["timeline"], told, own, follows)


def check_left_leaks(case, events, told):
    """Nothing of after the stay but the user's own events, and nothing that the user may not see."""
    room, user_id = case.room, case.user.id
    last, stay = room.positions[room.member_event(user_id)["event_id"]], room.last_stay(user_id)
    for event in [*events, *told]:
        position = room.positions.get(event["event_id"])
        is_own = position is not None and room.is_own(user_id, position)
        inside = position is not None and position <= last and (is_own or (stay is not None and position <= stay))
        case.check(inside, "LEAK-left", {"position": position, "type": event["type"], "stay": stay, "last": last})
    for event in events:
        position = room.positions.get(event["event_id"])
        if position is not None:
            case.check(room.sees(user_id, position), "LEAK-left-unseen", position, event["type"])
        case.check(passes(case.client.timeline, event, room), "left-timeline-filter", event)
    case.check(len(events) <= case.client.limit, "left-limit", len(events))


def check_left_news(case, timeline, told, own, follows):
    """What was inside is told as to who is joined, up to the end of the stay."""
    client, room, user_id = case.client, case.room, case.user.id
    last, stay = room.positions[own["event_id"]], room.last_stay(user_id)
    candidates = [
        position for position in case.candidates(case.start if follows else 0, last + 1)
        if position <= stay or room.is_own(user_id, position)
    ]
    check_timeline(case, timeline, candidates[-client.limit:] if client.limit else [], None)
    if client.state or client.timeline or client.lazy:
        return
    state = dict(case.before.state) if follows and not case.full else {}
    state.update({key_of(event): event["event_id"] for event in told})
    if not client.after:
        state.update({key_of(event): event["event_id"] for event in timeline["events"] if "state_key" in event})
    right = {**room.state(stay), ("m.room.member", user_id): own["event_id"]}
    wrong = [key for key in state.keys() | right.keys() if state.get(key) != right.get(key)]
    case.check(not wrong, "left-state", {"keys": wrong, "stay": stay, "last": last})
