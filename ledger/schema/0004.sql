-- Sellers can be dropped for bad data. What a CHECK allows cannot be changed in place, so the journal is copied.

CREATE TABLE journal_4 (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('invoice', 'settled', 'charge', 'repaid', 'sample', 'default',
        'intent', 'sent', 'succeeded', 'failed', 'unknown', 'payment written off', 'received', 'written off', 'found',
        'block', 'unblock', 'missed', 'dropped')),
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

INSERT INTO journal_4 SELECT * FROM journal ORDER BY id;
DROP TABLE journal;
ALTER TABLE journal_4 RENAME TO journal;

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

-- Sellers that our client has dropped for bad data: how often, and for the latest time when, on which torrent, why, and
-- what the seller will have delivered once it has delivered all that it held then.
CREATE TABLE drops (
    seller    TEXT PRIMARY KEY,
    times     INTEGER NOT NULL CHECK (times > 0),
    latest    INTEGER NOT NULL,
    info_hash TEXT NOT NULL,
    reason    TEXT NOT NULL,
    delivered INTEGER NOT NULL CHECK (delivered >= 0)
) STRICT, WITHOUT ROWID;

-- A buyer's latest purchase is one of bytes: a debt that is paid says nothing of how much it buys at a time.
UPDATE buyers SET last_purchase = coalesce((SELECT l.msat FROM lots l JOIN invoices i ON i.hash = l.hash
    WHERE l.buyer = buyers.buyer AND i.purpose = 'bytes' ORDER BY l.id DESC LIMIT 1), 0);

-- What was spent since a moment, which need not be the beginning of a UTC day.
CREATE INDEX purchases_by_time ON purchases (updated) WHERE state = 'succeeded';
