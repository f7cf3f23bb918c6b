"""What the checks say of a room that the client's user is in: timeline, state, members, summary, receipts and data."""
import time

from filters import passes, passes_nothing

SECTION_NAMES = {
    None: "state", "use_state_after": "state_after",
    "org.matrix.msc4222.use_state_after": "org.matrix.msc4222.state_after",
}
HEROES = 5
# Typing ends at the server after two minutes; before that it has to be told.
TYPING_SURE_S = 100


def key_of(event):
    return event["type"], event.get("state_key")


def check_joined(case, entry):
    expected, limited = expected_timeline(case)
    is_whole = case.full or not case.is_known
    known = case.before.copy()
    if is_whole:
        known.state = {}
    if not case.is_known:
        known.summary, known.typing, known.receipts, known.data = {}, frozenset(), {}, {}
    case.keep(known)
    timeline, told = {"events": [], "limited": False}, []
    if entry is None:
        case.check(not is_whole, "room-missing")
        case.check(is_whole or not (expected or limited), "news-missing", expected)
    else:
        timeline = entry["timeline"]
        check_timeline(case, timeline, expected, limited)
        told = state_section(case, entry)
        check_entry(case, entry, is_whole, told)
    check_state(case, timeline["events"], told, entry)
    check_summary(case, entry)
    check_ephemeral(case, entry)
    check_data(case, entry)


def expected_timeline(case):
    """The positions that the client has to be told of, and whether that is limited; none where either is right."""
    limit = case.client.limit
    candidates = case.candidates(case.start if case.is_known else 0, case.end)
    expected, more = candidates[-limit:] if limit else [], len(candidates) > limit
    limited = more
    if not case.is_known and not passes_nothing(case.client.timeline, case.room.id):
        limited = more or not (expected and expected[0] == 0)
    came_back = not case.initial and not case.is_known and any(
        case.room.membership(case.user.id, position) == "join" for position in range(case.start))
    return expected, None if came_back else limited


def is_cut(case, timeline, expected, told):
    """Whether a timeline is shorter than the limit for a good reason: a state event that it leaves out was overtaken
    out of sight, so that it could be told neither before nor after the events that follow it."""
    room, got = case.room, set(told)
    if not timeline["limited"] or case.client.after or len(told) >= len(expected):
        return False
    left_out = expected[:len(expected) - len(told)]
    if expected[len(left_out):] != told:
        return False
    last = room.events[left_out[-1]]
    later = [position for position in range(left_out[-1] + 1, case.end) if position not in got]
    return "state_key" in last and any(key_of(room.events[position]) == key_of(last) for position in later)


def check_timeline(case, timeline, expected, limited):
    room, user = case.room, case.user
    told = [room.positions.get(event["event_id"]) for event in timeline["events"]]
    if is_cut(case, timeline, expected, told):
        expected, limited = told, True
    unseen = [position for position in told if position is not None and not room.sees(user.id, position)]
    case.check(not unseen, "LEAK-timeline", {"told": told, "unseen": unseen})
    case.check(told == expected, "timeline", {"told": told, "expected": expected})
    if limited is not None:
        case.check(bool(timeline.get("limited")) == limited, "limited", {"expected": limited, "timeline": expected})
    for event, position in zip(timeline["events"], told):
        case.world.check_content(room, event)
        if position is not None:
            check_unsigned(case, event, position)


def check_unsigned(case, event, position):
    unsigned = event.get("unsigned", {})
    membership = case.room.membership(case.user.id, position)
    case.check(unsigned.get("membership") == membership, "unsigned-membership", event, membership)
    device, transaction = case.world.sent.get(event["event_id"], (None, None))
    own = transaction if device == case.client.device_id else None
    case.check(unsigned.get("transaction_id") == own, "transaction-id", event, own)
    case.check("room_id" not in event, "room-id-in-timeline", event)


def state_section(case, entry):
    name = SECTION_NAMES[case.client.after]
    others = [other for other in SECTION_NAMES.values() if other != name and other in entry]
    case.check(not others, "state-section-name", others)
    if not case.check(name in entry, "state-section-absent"):
        return []
    for event in entry[name]["events"]:
        case.world.check_content(case.room, event)
        case.check(passes(case.client.state, event, case.room), "state-filter", event)
    return entry[name]["events"]


def check_entry(case, entry, is_whole, told):
    timeline = entry["timeline"]
    news = timeline["events"] or timeline["limited"] or told or entry.get("summary")
    news = news or entry["ephemeral"]["events"] or entry["account_data"]["events"]
    case.check(is_whole or news, "empty-entry", entry)
    has_threads = entry.get("unread_thread_notifications") is not None
    case.check(has_threads == case.client.threads, "unread-threads", entry)


def check_state(case, events, told, entry):
    """The state section brings the state before the timeline, or with "after" the state at its end."""
    client, room, known = case.client, case.room, case.now
    keys = [key_of(event) for event in told]
    case.check(len(set(keys)) == len(keys), "state-key-twice", keys)
    for event in told:
        known.state[key_of(event)] = event["event_id"]
    before = dict(known.state)
    if not client.after:
        known.state.update({key_of(event): event["event_id"] for event in events if "state_key" in event})
    shown = {key_of(event) for event in events}
    for key, event_id in room.current().items():
        held = known.state.get(key)
        if held == event_id or not passes(client.state, room.event(event_id), room):
            continue
        if client.lazy and key[0] == "m.room.member" and held is None:
            continue
        # A filtered timeline may show an older event and keep the newer one out: there is no word for that.
        if client.after or not (client.timeline and key in shown):
            case.check(False, "state", key, {"held": room.positions.get(held), "right": room.positions[event_id]})
    if not client.state:
        case.check(known.state.keys() <= room.current().keys(), "state-unknown-key", list(known.state))
    if entry is not None and not client.state:
        if not client.after and not client.timeline:
            check_state_before(case, events, before)
        if client.lazy:
            check_lazy(case, events, told, before)


def first_position(case, events):
    return case.room.positions[events[0]["event_id"]] if events else case.end


def check_state_before(case, events, before):
    room, start = case.room, first_position(case, events)
    hidden = {
        key_of(room.events[position]) for position in range(start, case.end)
        if not room.sees(case.user.id, position)
    }
    for key, event_id in room.state(start - 1).items():
        held = before.get(key)
        if key in hidden or (case.client.lazy and key[0] == "m.room.member" and held is None):
            continue
        facts = {"held": room.positions.get(held), "right": room.positions[event_id], "start": start}
        case.check(held == event_id, "state-before", key, facts)


def check_lazy(case, events, told, before):
    """The members who sent what is shown are known before it is shown."""
    room, held, start = case.room, set(before), first_position(case, events)
    keys = {key_of(event) for event in told}
    for event in events:
        position, sender = room.positions[event["event_id"]], ("m.room.member", event["sender"])
        state = room.current() if case.client.after else room.state(position - 1)
        case.check(sender in held or sender not in state, "lazy-sender-missing", position, event["sender"])
        if not case.client.after:
            if "state_key" in event:
                held.add(key_of(event))
            is_due = case.client.lazy == "redundant" and sender in room.state(start - 1)
            case.check(not is_due or sender in keys, "lazy-redundant-missing", sender)
    if case.full or not case.is_known:
        case.check(("m.room.member", case.user.id) in case.now.state, "lazy-self-missing")


def has_name(room):
    for event_type, key in (("m.room.name", "name"), ("m.room.canonical_alias", "alias")):
        event_id = room.current().get((event_type, ""))
        if event_id and event_id not in room.redacted and room.event(event_id)["content"].get(key):
            return True
    return False


def check_summary(case, entry):
    room, user_id = case.room, case.user.id
    if entry is not None and entry.get("summary"):
        case.now.summary = entry["summary"]
    summary = case.now.summary
    counts = summary.get("m.joined_member_count"), summary.get("m.invited_member_count")
    right = len(room.with_membership("join")), len(room.with_membership("invite"))
    case.check(counts == right, "summary-counts", counts, right)
    if has_name(room):
        return
    eligible = room.with_membership("join", "invite") - {user_id} or room.with_membership("leave", "ban") - {user_id}
    heroes = summary.get("m.heroes")
    is_right = heroes is not None and len(heroes) == min(HEROES, len(eligible)) and set(heroes) <= eligible
    if case.check(is_right, "heroes", heroes, sorted(eligible)) and case.client.lazy and not case.client.state:
        missing = [hero for hero in heroes if ("m.room.member", hero) not in case.now.state]
        case.check(not missing, "lazy-hero-missing", missing)


def check_ephemeral(case, entry):
    room, user, known = case.room, case.user, case.now
    for event in entry["ephemeral"]["events"] if entry is not None else []:
        if event["type"] == "m.typing":
            known.typing = frozenset(event["content"]["user_ids"])
        elif event["type"] == "m.receipt":
            add_receipts(case, event)
    for (sender, kind, thread), event_id in room.receipts.items():
        if sender in user.ever_ignored or (kind == "m.read.private" and sender != user.id):
            continue
        held = known.receipts.get((sender, kind, thread))
        case.check(held == event_id, "receipt", sender, kind, thread, held, event_id)
    is_sure = all(time.monotonic() - since < TYPING_SURE_S for since in room.typing.values())
    if is_sure and not user.ever_ignored & room.typing.keys():
        typing = known.typing - user.ever_ignored
        case.check(typing == set(room.typing), "typing", sorted(typing), sorted(room.typing))


def add_receipts(case, event):
    for event_id, kinds in event["content"].items():
        for kind, senders in kinds.items():
            for sender, receipt in senders.items():
                is_private = kind == "m.read.private" and sender != case.user.id
                case.check(not is_private, "LEAK-private-receipt", event)
                case.check(sender not in case.user.ignored, "receipt-of-ignored", event)
                case.now.receipts[sender, kind, receipt.get("thread_id")] = event_id


def check_data(case, entry):
    for event in entry["account_data"]["events"] if entry is not None else []:
        case.now.data[event["type"]] = event["content"]
    for event_type, content in case.room.data[case.user.id].items():
        held = case.now.data.get(event_type)
        case.check(held == content, "room-account-data", event_type, held, content)
