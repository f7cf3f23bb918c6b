-- The counters behind every position and number, in one row: whoever writes locks it first.
CREATE TABLE counter (
    id BIGINT PRIMARY KEY,
    -- Names the newest group of changes.
    batch BIGINT NOT NULL,
    position BIGINT NOT NULL,
    event BIGINT NOT NULL,
    room BIGINT NOT NULL,
    user_ BIGINT NOT NULL,
    server BIGINT NOT NULL,
    state_key BIGINT NOT NULL,
    state_group BIGINT NOT NULL,
    item BIGINT NOT NULL
);

-- State keys up to 1000 are reserved for the well-known ones.
INSERT INTO counter VALUES (1, 0, 0, 0, 0, 0, 0, 1000, 0, 0);

-- Texts stand once; everything else refers to them by number.
CREATE TABLE user_name (
    number BIGINT PRIMARY KEY,
    id BYTES NOT NULL UNIQUE
);

CREATE TABLE room_name (
    number BIGINT PRIMARY KEY,
    id BYTES NOT NULL UNIQUE
);

CREATE TABLE server_name (
    number BIGINT PRIMARY KEY,
    id BYTES NOT NULL UNIQUE
);

CREATE TABLE state_key (
    number BIGINT PRIMARY KEY,
    type BYTES NOT NULL,
    state_key BYTES NOT NULL,
    UNIQUE (type, state_key)
);
