-- Torrents can be blocked. What a CHECK allows cannot be changed in place, so the journal is copied.

CREATE TABLE journal_3 (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('invoice', 'settled', 'charge', 'repaid', 'sample', 'default',
        'intent', 'sent', 'succeeded', 'failed', 'unknown', 'payment written off', 'received', 'written off', 'found',
        'block', 'unblock', 'missed')),
    party        TEXT NOT NULL,
    info_hash    TEXT NOT NULL,
    payment_hash TEXT NOT NULL,
    price_msat   INTEGER NOT NULL,
    price_per    INTEGER NOT NULL,
    msat         INTEGER NOT NULL CHECK (msat >= 0),
    fee          INTEGER NOT NULL CHECK (fee >= 0),
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    free         INTEGER NOT NULL CHECK (free >= 0),
    note         TEXT NOT NULL,
    category     TEXT NOT NULL DEFAULT ''
) STRICT;

INSERT INTO journal_3 SELECT *, '' FROM journal ORDER BY id;
DROP TABLE journal;
ALTER TABLE journal_3 RENAME TO journal;

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

-- Torrents that nobody is connected for.
CREATE TABLE blocks (
    info_hash TEXT PRIMARY KEY,
    reason    TEXT NOT NULL,
    since     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX purchases_by_seller ON purchases (seller, info_hash);

-- What a buyer on credit owed when it was last billed, as a sum of all that it was ever charged, and when that was; both
-- 0 for one that owes nothing, or not on credit.
ALTER TABLE buyers ADD COLUMN billed INTEGER NOT NULL DEFAULT 0 CHECK (billed >= 0);
ALTER TABLE buyers ADD COLUMN billed_at INTEGER NOT NULL DEFAULT 0 CHECK (billed_at >= 0);

-- What was given up of the credit with a seller because it was under way when a connection was cut. It is part of
-- written_off, and not of losses.
ALTER TABLE purses ADD COLUMN missed INTEGER NOT NULL DEFAULT 0 CHECK (missed >= 0);

-- The client's category of the torrent, for the cap on it.
ALTER TABLE purchases ADD COLUMN category TEXT NOT NULL DEFAULT '';

CREATE INDEX purchases_by_category ON purchases (category);
