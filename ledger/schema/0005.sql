-- Old usage is kept as sums of a day: what was served, received and given away before is taken out of the journal.
CREATE TABLE days (
    day          INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('charge', 'received', 'sample')),
    party        TEXT NOT NULL,
    info_hash    TEXT NOT NULL,
    payment_hash TEXT NOT NULL,
    price_msat   INTEGER NOT NULL,
    price_per    INTEGER NOT NULL,
    note         TEXT NOT NULL,
    entries      INTEGER NOT NULL CHECK (entries > 0),
    msat         INTEGER NOT NULL CHECK (msat >= 0),
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    free         INTEGER NOT NULL CHECK (free >= 0),
    PRIMARY KEY (day, kind, party, info_hash, payment_hash, price_msat, price_per, note)
) STRICT, WITHOUT ROWID;

-- How far that has come: usage up to this entry of the journal is in days.
CREATE TABLE compacted (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL CHECK (upto >= 0)
) STRICT;

INSERT INTO compacted VALUES (1, 0);

CREATE TRIGGER compacted_goes_on BEFORE UPDATE ON compacted WHEN NEW.upto < OLD.upto
BEGIN
    SELECT RAISE(ABORT, 'what was compacted stays so');
END;

-- What each buyer's account, and its bill, were at that entry: they follow from the order of what has become sums.
CREATE TABLE marks (
    buyer     TEXT PRIMARY KEY REFERENCES buyers,
    paid      INTEGER NOT NULL,
    charged   INTEGER NOT NULL,
    billed    INTEGER NOT NULL,
    billed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a seller had delivered when it was dropped stands with the drop, since what it follows from may become sums.
DROP TRIGGER journal_keeps_values;
UPDATE journal SET msat = (SELECT coalesce(sum(r.msat), 0) FROM journal r
    WHERE r.kind = 'received' AND r.party = journal.party AND r.id < journal.id) WHERE kind = 'dropped';
CREATE TRIGGER journal_keeps_values BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

-- Nothing else leaves the journal.
DROP TRIGGER journal_keeps_rows;
CREATE TRIGGER journal_keeps_rows BEFORE DELETE ON journal
    WHEN OLD.kind NOT IN ('charge', 'received', 'sample') OR OLD.id > (SELECT upto FROM compacted)
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

-- All that was ever written, whichever way it is kept.
CREATE VIEW entries AS
    SELECT id, at, kind, party, info_hash, payment_hash, price_msat, price_per, msat, fee, bytes, free, note FROM journal
    UNION ALL
    SELECT 0, day * 86400000, kind, party, info_hash, payment_hash, price_msat, price_per, msat, 0, bytes, free, note FROM days;

-- Succeeded payments by the client's category of the torrent.
CREATE TABLE spent_categories (
    category TEXT PRIMARY KEY,
    msat     INTEGER NOT NULL CHECK (msat >= 0),
    fees     INTEGER NOT NULL CHECK (fees >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO spent_categories SELECT category, sum(msat), sum(fee) FROM purchases WHERE state = 'succeeded' GROUP BY category;
DROP INDEX purchases_by_category;

-- And by the quarter of an hour: where days, weeks and months begin depends on the owner's zone.
CREATE TABLE spent_quarters (
    quarter INTEGER PRIMARY KEY,
    msat    INTEGER NOT NULL CHECK (msat >= 0),
    fees    INTEGER NOT NULL CHECK (fees >= 0)
) STRICT;

INSERT INTO spent_quarters SELECT updated / 900000, sum(msat), sum(fee) FROM purchases WHERE state = 'succeeded' GROUP BY 1;

-- Few invoices that nobody has paid can still be; many cannot any more.
CREATE INDEX invoices_by_expiry ON invoices (expires) WHERE settled = 0;
