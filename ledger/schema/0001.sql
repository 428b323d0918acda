-- Amounts are millisatoshi, sizes bytes, times milliseconds since 1970 (UTC), days whole days since 1970 (UTC).
-- Hashes and keys are lower-case hexadecimal. STRICT tables refuse what is not an integer, so that an overflow is an
-- error and never a rounded number.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The explanation of everything below; it only grows.
CREATE TABLE journal (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('invoice', 'settled', 'charge', 'repaid', 'sample', 'default',
        'intent', 'sent', 'succeeded', 'failed', 'unknown', 'received', 'written off', 'found')),
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

-- Selling ------------------------------------------------------------------------------------------------------------

CREATE TABLE buyers (
    buyer         TEXT PRIMARY KEY,
    paid          INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
    charged       INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
    last_purchase INTEGER NOT NULL DEFAULT 0 CHECK (last_purchase >= 0),
    defaulted     INTEGER NOT NULL DEFAULT 0 CHECK (defaulted IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE invoices (
    id           INTEGER PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE,
    buyer        TEXT NOT NULL REFERENCES buyers,
    info_hash    TEXT NOT NULL,
    price_msat   INTEGER NOT NULL CHECK (price_msat >= 0),
    price_per    INTEGER NOT NULL CHECK (price_per >= 0),
    buys         INTEGER NOT NULL CHECK (buys >= 0),
    msat         INTEGER NOT NULL CHECK (msat > 0),
    purpose      TEXT NOT NULL,
    request      TEXT NOT NULL,
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    settled      INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1))
) STRICT;

CREATE INDEX invoices_unsettled ON invoices (buyer, info_hash, id) WHERE settled = 0;

-- How far the node's stream of settlements has been taken in.
CREATE TABLE cursor (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    settle_index INTEGER NOT NULL CHECK (settle_index >= 0)
) STRICT;

INSERT INTO cursor VALUES (1, 0);

-- One settled payment each.
CREATE TABLE lots (
    id         INTEGER PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE REFERENCES invoices (hash),
    buyer      TEXT NOT NULL REFERENCES buyers,
    info_hash  TEXT NOT NULL,
    price_msat INTEGER NOT NULL,
    price_per  INTEGER NOT NULL,
    msat       INTEGER NOT NULL CHECK (msat > 0),
    spent      INTEGER NOT NULL CHECK (spent BETWEEN 0 AND msat)
) STRICT;

CREATE INDEX lots_unspent ON lots (buyer, id) WHERE spent < msat;

CREATE TABLE tallies (
    buyer      TEXT NOT NULL REFERENCES buyers,
    info_hash  TEXT NOT NULL,
    price_msat INTEGER NOT NULL,
    price_per  INTEGER NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    msat       INTEGER NOT NULL CHECK (msat >= 0),
    PRIMARY KEY (buyer, info_hash, price_msat, price_per)
) STRICT, WITHOUT ROWID;

CREATE TABLE samples (
    info_hash TEXT NOT NULL,
    subnet    TEXT NOT NULL,
    bytes     INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (info_hash, subnet)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_days (
    day       INTEGER NOT NULL,
    info_hash TEXT NOT NULL,
    bytes     INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (day, info_hash)
) STRICT, WITHOUT ROWID;

-- Buying -------------------------------------------------------------------------------------------------------------

CREATE TABLE purses (
    seller      TEXT PRIMARY KEY,
    paid        INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
    fees        INTEGER NOT NULL DEFAULT 0 CHECK (fees >= 0),
    charged     INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
    written_off INTEGER NOT NULL DEFAULT 0 CHECK (written_off >= -charged),
    received    INTEGER NOT NULL DEFAULT 0 CHECK (received >= 0),
    free        INTEGER NOT NULL DEFAULT 0 CHECK (free BETWEEN 0 AND received),
    purchases   INTEGER NOT NULL DEFAULT 0 CHECK (purchases >= 0),
    failed      INTEGER NOT NULL DEFAULT 0 CHECK (failed BETWEEN 0 AND purchases)
) STRICT, WITHOUT ROWID;

CREATE TABLE purchases (
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
    state      TEXT NOT NULL CHECK (state IN ('intent', 'sent', 'succeeded', 'failed', 'unknown')),
    fee        INTEGER NOT NULL DEFAULT 0 CHECK (fee >= 0),
    preimage   TEXT NOT NULL DEFAULT '',
    reason     TEXT NOT NULL DEFAULT '',
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL
) STRICT;

CREATE INDEX purchases_open ON purchases (id) WHERE state IN ('intent', 'sent', 'unknown');

-- Succeeded payments by torrent and by the day on which they became certain.
CREATE TABLE spent (
    info_hash TEXT NOT NULL,
    day       INTEGER NOT NULL,
    msat      INTEGER NOT NULL CHECK (msat >= 0),
    fees      INTEGER NOT NULL CHECK (fees >= 0),
    PRIMARY KEY (info_hash, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_by_day ON spent (day);

CREATE TABLE receipts (
    seller     TEXT NOT NULL REFERENCES purses,
    info_hash  TEXT NOT NULL,
    price_msat INTEGER NOT NULL,
    price_per  INTEGER NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    free       INTEGER NOT NULL CHECK (free BETWEEN 0 AND bytes),
    msat       INTEGER NOT NULL CHECK (msat >= 0),
    PRIMARY KEY (seller, info_hash, price_msat, price_per)
) STRICT, WITHOUT ROWID;

-- Credit given up (positive) and found again (negative).
CREATE TABLE losses (
    seller    TEXT NOT NULL REFERENCES purses,
    info_hash TEXT NOT NULL,
    day       INTEGER NOT NULL,
    msat      INTEGER NOT NULL,
    PRIMARY KEY (seller, info_hash, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX losses_by_torrent ON losses (info_hash);
CREATE INDEX losses_by_day ON losses (day);
