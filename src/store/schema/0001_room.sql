-- One row for each event, whatever became of it. An event in a timeline has a place there:
-- (depth, position).
CREATE TABLE event (
    number BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    id BYTES NOT NULL UNIQUE,
    -- The federation form, canonical; the redacted one once it is redacted.
    json BYTES NOT NULL,
    outcome BIGINT NOT NULL,
    -- The number of its type and state key, of a state event.
    key_ BIGINT,
    -- The state after it; an outlier has none.
    state_group BIGINT,
    -- The state event that it replaced in the current state.
    replaces BIGINT,
    redacted_by BIGINT,
    depth BIGINT,
    -- Negative for what was put in before everything else.
    position BIGINT
);

CREATE INDEX event_place ON event (room, depth, position) WHERE position IS NOT NULL;

CREATE INDEX event_position ON event (room, position) WHERE position IS NOT NULL;

-- The newest of each room: what changes with every event.
CREATE TABLE room (
    number BIGINT PRIMARY KEY,
    version BYTES NOT NULL,
    revision BIGINT NOT NULL,
    -- The current state.
    state_group BIGINT NOT NULL,
    depth BIGINT NOT NULL,
    -- The forward extremities.
    tips BYTES NOT NULL,
    position BIGINT NOT NULL
);

-- Persistent maps from state key to event. A group tells what differs from its base, an ancestor
-- that lies so far back that every group is
-- a logarithmic number of bases away from its root.
CREATE TABLE state_group (
    number BIGINT PRIMARY KEY,
    -- The state that it came from.
    parent BIGINT,
    base BIGINT,
    depth BIGINT NOT NULL,
    delta BYTES NOT NULL
);

-- Each change of a room's current state.
CREATE TABLE state_change (
    room BIGINT NOT NULL,
    position BIGINT NOT NULL,
    key_ BIGINT NOT NULL,
    old BIGINT,
    new BIGINT,
    -- The whole current state from here on.
    state_group BIGINT NOT NULL,
    PRIMARY KEY (room, position)
) WITHOUT ROWID;

-- The member events of the current states.
CREATE TABLE member (
    room BIGINT NOT NULL,
    user_ BIGINT NOT NULL,
    membership BIGINT NOT NULL,
    event BIGINT NOT NULL,
    position BIGINT NOT NULL,
    -- The position at which the user's last stay in the room ended; NULL if there was none.
    joined_until BIGINT,
    forgotten BIGINT NOT NULL,
    PRIMARY KEY (room, user_)
) WITHOUT ROWID;

CREATE INDEX member_user ON member (user_, room);

-- What is reachable through auth events: each state event stands in a chain, and reaches each
-- chain up to a sequence. The map from chain to
-- sequence is stored as state groups are; its base is an auth event.
CREATE TABLE auth_chain (
    event BIGINT PRIMARY KEY,
    chain BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    base BIGINT,
    depth BIGINT NOT NULL,
    delta BYTES NOT NULL,
    UNIQUE (chain, sequence)
);

CREATE TABLE room_alias (
    id BYTES PRIMARY KEY,
    room BIGINT NOT NULL,
    creator BIGINT NOT NULL
);

CREATE INDEX room_alias_room ON room_alias (room);

-- The public directory; the summary is kept as the room changes.
CREATE TABLE published_room (
    room BIGINT PRIMARY KEY,
    joined BIGINT NOT NULL,
    summary BYTES NOT NULL
);

CREATE INDEX published_room_joined ON published_room (joined, room);

-- The transaction ids of clients: the hash of user, device, endpoint and transaction id.
CREATE TABLE event_txn (
    event BIGINT PRIMARY KEY,
    hash BYTES NOT NULL UNIQUE,
    device BYTES NOT NULL,
    txn_id BYTES NOT NULL
);

-- Redactions whose target is not here yet.
CREATE TABLE waiting_redaction (
    target BYTES NOT NULL,
    redaction BIGINT NOT NULL,
    PRIMARY KEY (target, redaction)
) WITHOUT ROWID;

-- Previous events that are not here: the backward extremities.
CREATE TABLE gap (
    room BIGINT NOT NULL,
    missing BYTES NOT NULL,
    event BIGINT NOT NULL,
    -- Whether it shall be had as soon as somebody can give it; what lies before a join is not.
    wanted BIGINT NOT NULL,
    PRIMARY KEY (room, missing, event)
) WITHOUT ROWID;
