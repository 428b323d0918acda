-- A payment can be written off by its owner: nobody will say how it ended, and its reservation is free again. What a
-- CHECK allows cannot be changed in place, so both tables are copied.

CREATE TABLE journal_2 (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('invoice', 'settled', 'charge', 'repaid', 'sample', 'default',
        'intent', 'sent', 'succeeded', 'failed', 'unknown', 'payment written off', 'received', 'written off', 'found')),
    party        TEXT NOT NULL,
    info_hash    TEXT NOT NULL,
    payment_hash TEXT NOT NULL,
    price_msat   INTEGER NOT NULL,
    price_per    INTEGER NOT NULL,
    msat         INTEGER NOT NULL CHECK (msat >= 0),
    fee          INTEGER NOT NULL CHECK (fee >= 0),
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    free         INTEGER NOT NULL CHECK (free >= 0),
    note         TEXT NOT NULL
) STRICT;

INSERT INTO journal_2 SELECT * FROM journal ORDER BY id;
DROP TABLE journal;
ALTER TABLE journal_2 RENAME TO journal;

CREATE TRIGGER journal_keeps_rows BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TRIGGER journal_keeps_values BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER journal_keeps_ids BEFORE INSERT ON journal WHEN EXISTS (SELECT 1 FROM journal WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TABLE purchases_2 (
    id         INTEGER PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,
    seller     TEXT NOT NULL REFERENCES purses,
    node       TEXT NOT NULL,
    info_hash  TEXT NOT NULL,
    price_msat INTEGER NOT NULL CHECK (price_msat >= 0),
    price_per  INTEGER NOT NULL CHECK (price_per >= 0),
    buys       INTEGER NOT NULL CHECK (buys >= 0),
    msat       INTEGER NOT NULL CHECK (msat > 0),
    fee_limit  INTEGER NOT NULL CHECK (fee_limit >= 0),
    purpose    TEXT NOT NULL,
    request    TEXT NOT NULL,
    expires    INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('intent', 'sent', 'succeeded', 'failed', 'unknown', 'written off')),
    fee        INTEGER NOT NULL DEFAULT 0 CHECK (fee >= 0),
    preimage   TEXT NOT NULL DEFAULT '',
    reason     TEXT NOT NULL DEFAULT '',
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL
) STRICT;

INSERT INTO purchases_2 SELECT * FROM purchases ORDER BY id;
DROP TABLE purchases;
ALTER TABLE purchases_2 RENAME TO purchases;

CREATE INDEX purchases_open ON purchases (id) WHERE state IN ('intent', 'sent', 'unknown');
CREATE INDEX purchases_written_off ON purchases (id) WHERE state = 'written off';
