-- The tables of revocations. The service makes them itself where its role may create tables; otherwise run this file
-- once, and grant the role SELECT, INSERT and UPDATE on the first table, and SELECT, INSERT and DELETE on the second.
-- Running it again changes nothing.

-- One row for each realm: the last number given, and the epoch in which numbers count. Whoever restores a dump over
-- these tables changes the epoch afterwards:  UPDATE jwe_gate_feed SET epoch = gen_random_uuid()::text;
CREATE TABLE IF NOT EXISTS jwe_gate_feed (
    realm text PRIMARY KEY,
    epoch text NOT NULL,
    seq bigint NOT NULL
);

-- Times are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS jwe_gate_revocations (
    realm text NOT NULL,
    seq bigint NOT NULL,
    request_id text NOT NULL,
    -- session: name is a sid. subject and changed: name is a sub.
    kind text NOT NULL CHECK (kind IN ('changed', 'session', 'subject')),
    name text NOT NULL,
    revoked_by text NOT NULL CHECK (revoked_by IN ('admin', 'database', 'proxy')),
    at_ms bigint NOT NULL,
    signed_in_before_ms bigint NOT NULL,
    issued_before_ms bigint NOT NULL,
    -- The row may be deleted from then on.
    until_ms bigint NOT NULL,
    PRIMARY KEY (realm, seq),
    UNIQUE (realm, request_id)
);

CREATE INDEX IF NOT EXISTS jwe_gate_revocations_until ON jwe_gate_revocations (realm, until_ms);
