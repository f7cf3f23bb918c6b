-- Local users: accounts, devices, tokens, profiles, account data, filters, receipts, the user directory.
-- Times are milliseconds since the epoch; flags are 0 and 1.

CREATE TABLE account (
    user_number BIGINT NOT NULL PRIMARY KEY,
    -- A PHC string, or bcrypt's form where the account was imported; NULL forbids log-in by password.
    password_hash BYTES,
    created_ts BIGINT NOT NULL,
    is_admin BIGINT NOT NULL,
    is_guest BIGINT NOT NULL,
    deactivated_ts BIGINT,
    is_erased BIGINT NOT NULL,
    -- The deactivated user is still being taken out of her rooms.
    is_leaving BIGINT NOT NULL
);

-- The few accounts that are looked up at the start.
CREATE INDEX account_erased ON account (user_number) WHERE is_erased = 1;
CREATE INDEX account_leaving ON account (user_number) WHERE is_leaving = 1;

CREATE TABLE device (
    number BIGINT NOT NULL PRIMARY KEY,
    user_number BIGINT NOT NULL,
    device_id BYTES NOT NULL,
    display_name BYTES,
    created_ts BIGINT NOT NULL,
    -- Written late and in batches.
    last_seen_ts BIGINT,
    last_seen_ip BYTES,
    last_seen_agent BYTES,
    UNIQUE (user_number, device_id)
);

-- Tokens are stored as their SHA-256 only.
CREATE TABLE access_token (
    hash BYTES NOT NULL PRIMARY KEY,
    device BIGINT NOT NULL,
    expires_ts BIGINT,
    -- The refresh token that came with it.
    refresh_hash BYTES,
    -- The refresh token that it was had for; it ends when this access token is used for the first time.
    replaces_hash BYTES
) WITHOUT ROWID;

CREATE INDEX access_token_device ON access_token (device);

CREATE TABLE refresh_token (
    hash BYTES NOT NULL PRIMARY KEY,
    device BIGINT NOT NULL,
    expires_ts BIGINT,
    -- The refresh token that it was had for, until either of the new tokens is used.
    replaces_hash BYTES
) WITHOUT ROWID;

CREATE INDEX refresh_token_device ON refresh_token (device);

CREATE TABLE registration_token (
    token BYTES NOT NULL PRIMARY KEY,
    uses_allowed BIGINT,
    completed BIGINT NOT NULL,
    expiry_ts BIGINT
) WITHOUT ROWID;

CREATE TABLE profile (
    user_number BIGINT NOT NULL,
    field BYTES NOT NULL,
    -- JSON.
    value BYTES NOT NULL,
    PRIMARY KEY (user_number, field)
) WITHOUT ROWID;

CREATE TABLE account_data (
    user_number BIGINT NOT NULL,
    -- 0 where it is global.
    room_number BIGINT NOT NULL,
    data_type BYTES NOT NULL,
    -- JSON; NULL after a removal, which other devices have yet to hear of.
    content BYTES,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_number, room_number, data_type)
) WITHOUT ROWID;

CREATE INDEX account_data_position ON account_data (user_number, position);

CREATE TABLE filter (
    user_number BIGINT NOT NULL,
    -- Counted for each user; its text is the filter's id.
    number BIGINT NOT NULL,
    -- SHA-256 of the JSON, to give the same filter the same id.
    hash BYTES NOT NULL,
    json BYTES NOT NULL,
    PRIMARY KEY (user_number, number),
    UNIQUE (user_number, hash)
) WITHOUT ROWID;

CREATE TABLE receipt (
    room_number BIGINT NOT NULL,
    user_number BIGINT NOT NULL,
    -- 1 is m.read, 2 is m.read.private.
    kind BIGINT NOT NULL,
    -- Empty when unthreaded, else 'main' or the root's event id.
    thread BYTES NOT NULL,
    event_id BYTES NOT NULL,
    -- The event's place in its room's order, so that a receipt only moves forward.
    event_order BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (room_number, user_number, kind, thread)
) WITHOUT ROWID;

CREATE INDEX receipt_position ON receipt (room_number, position);

-- The words that a user is found by, folded: those of her name and of her user id.
CREATE TABLE directory_word (
    word BYTES NOT NULL,
    user_number BIGINT NOT NULL,
    PRIMARY KEY (word, user_number)
) WITHOUT ROWID;

CREATE INDEX directory_word_user ON directory_word (user_number);
