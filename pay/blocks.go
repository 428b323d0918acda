package pay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"paygate/ledger"
	"paygate/proxy"
	"paygate/units"
)

// blocks are the torrents that the owner has taken down. The ledger has them; this copy is what Admit asks.
type blocks struct {
	order sync.Mutex // held from a change in the ledger until the copy has it

	mu   sync.RWMutex
	torn map[units.InfoHash]struct{}
}

func (b *blocks) has(ih units.InfoHash) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.torn[ih]
	return ok
}

func (b *blocks) any() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.torn) > 0
}

// RecallBlocks reads which torrents are blocked. Call it before the first Admit.
func (d *Desk) RecallBlocks(ctx context.Context) error {
	list, err := d.ledger.Blocks(ctx)
	if err != nil {
		return fmt.Errorf("read the blocked torrents: %w", err)
	}
	torn := make(map[units.InfoHash]struct{}, len(list))
	for _, b := range list {
		torn[b.InfoHash] = struct{}{}
	}
	d.blocks.mu.Lock()
	d.blocks.torn = torn
	d.blocks.mu.Unlock()
	return nil
}

// Block takes a torrent down, under all the info-hashes that the client knows it by, until Unblock: it is on disk when Block returns nil, and Admit
// denies it from then on. Sessions that are open are the proxy's to close (proxy.Review). It returns the hashes
// that were not blocked before.
func (d *Desk) Block(ctx context.Context, ih units.InfoHash, reason string) (fresh []units.InfoHash, err error) {
	return d.changeBlocks(ctx, d.namesOf(ih), func(ih units.InfoHash) (bool, error) {
		ok, err := d.ledger.AddBlock(ctx, ih, reason)
		if ok {
			d.log.Warn("a torrent is blocked", zap.Stringer("info_hash", ih), zap.String("reason", reason))
		}
		return ok, err
	})
}

// Unblock ends a Block. It returns the hashes that were blocked.
func (d *Desk) Unblock(ctx context.Context, ih units.InfoHash, reason string) (lifted []units.InfoHash, err error) {
	return d.changeBlocks(ctx, d.namesOf(ih), func(ih units.InfoHash) (bool, error) {
		ok, err := d.ledger.RemoveBlock(ctx, ih, reason)
		if ok {
			d.log.Warn("a torrent is not blocked any more", zap.Stringer("info_hash", ih), zap.String("reason", reason))
		}
		return ok, err
	})
}

// namesOf lists the info-hashes of the torrent that ih is one of, ih first: a hybrid one has two.
func (d *Desk) namesOf(ih units.InfoHash) []units.InfoHash {
	names := []units.InfoHash{ih}
	for _, h := range d.facts(proxy.Arrival{InfoHash: ih}).InfoHashes {
		if !slices.Contains(names, h) {
			names = append(names, h)
		}
	}
	return names
}

func (d *Desk) changeBlocks(ctx context.Context, hashes []units.InfoHash, change func(units.InfoHash) (bool, error)) ([]units.InfoHash, error) {
	d.blocks.order.Lock()
	defer d.blocks.order.Unlock()
	var changed []units.InfoHash
	for _, ih := range hashes {
		ok, err := change(ih)
		if err != nil {
			return changed, errors.Join(err, d.RecallBlocks(ctx))
		}
		if ok {
			changed = append(changed, ih)
		}
	}
	return changed, d.RecallBlocks(ctx)
}

// Blocks lists the torrents that are blocked.
func (d *Desk) Blocks(ctx context.Context) ([]ledger.Block, error) { return d.ledger.Blocks(ctx) }
