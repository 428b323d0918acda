-- Torrents can be blocked. What a CHECK allows cannot be changed in place, so the journal is copied.

CREATE TABLE journal_3 (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('invoice', 'settled', 'charge', 'repaid', 'sample', 'default',
        'intent', 'sent', 'succeeded', 'failed', 'unknown', 'payment written off', 'received', 'written off', 'found',
        'block', 'unblock')),
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

INSERT INTO journal_3 SELECT * FROM journal ORDER BY id;
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
