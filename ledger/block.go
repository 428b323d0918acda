package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
	"unicode/utf8"

	"paygate/units"
)

// Block is a torrent that the owner has taken down.
type Block struct {
	InfoHash units.InfoHash
	Reason   string
	Since    time.Time
}

// maxReason is the longest reason of a block, in bytes.
const maxReason = 1000

var errReason = errors.New("the reason is longer than 1000 bytes, or no UTF-8 text")

// AddBlock notes that a torrent is blocked, until RemoveBlock. A torrent that is blocked already keeps its reason and
// date; fresh is false then.
func (l *Ledger) AddBlock(ctx context.Context, ih units.InfoHash, reason string) (fresh bool, err error) {
	at := l.clock()
	err = l.write(ctx, "block a torrent", func(ctx context.Context, q querier) error {
		if len(reason) > maxReason || !utf8.ValidString(reason) {
			return errReason
		}
		fresh, err = changed(ctx, q, "INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", ih.String(), reason, at.ms)
		if err != nil || !fresh {
			return err
		}
		return record(ctx, q, at, Entry{Kind: KindBlock, InfoHash: ih.String(), Note: reason})
	})
	return fresh && err == nil, err
}

// RemoveBlock ends a block; found is false if there was none.
func (l *Ledger) RemoveBlock(ctx context.Context, ih units.InfoHash, reason string) (found bool, err error) {
	at := l.clock()
	err = l.write(ctx, "unblock a torrent", func(ctx context.Context, q querier) error {
		if len(reason) > maxReason || !utf8.ValidString(reason) {
			return errReason
		}
		found, err = changed(ctx, q, "DELETE FROM blocks WHERE info_hash = ?", ih.String())
		if err != nil || !found {
			return err
		}
		return record(ctx, q, at, Entry{Kind: KindUnblock, InfoHash: ih.String(), Note: reason})
	})
	return found && err == nil, err
}

// Blocks lists the torrents that are blocked, the longest blocked first.
func (l *Ledger) Blocks(ctx context.Context) (list []Block, err error) {
	err = l.read(ctx, "list the blocked torrents", func(ctx context.Context, q querier) error {
		list, err = all(ctx, q, scanBlock, "SELECT info_hash, reason, since FROM blocks ORDER BY since, info_hash")
		return err
	})
	return list, err
}

func scanBlock(r *sql.Rows, b *Block) error {
	return r.Scan(hexColumn(b.InfoHash[:]), &b.Reason, timeColumn{&b.Since})
}
