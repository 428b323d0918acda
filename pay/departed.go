package pay

import (
	"context"
	"time"

	"go.uber.org/zap"

	"paygate/units"
)

const departedAfter = 10 * time.Minute // without a conversation, an unproven seller's credit counts as lost

// forgetDeparted writes off what unproven sellers hold that have gone away, so that two thieves do not keep us from
// buying of strangers for good. It counts as lost; should such a seller come back, its first snapshot brings the credit
// back.
func (d *Desk) forgetDeparted(ctx context.Context, now time.Time) {
	for seller, ih := range d.book.departed(now, departedAfter) {
		if err := d.forget(ctx, seller, ih); err != nil {
			if ctx.Err() == nil {
				d.log.Warn("what an unproven seller has gone with cannot be written off", zap.Stringer("seller", seller), zap.Error(err))
			}
			continue // in the next round
		}
		d.wakeAll()
	}
}

// forget writes off what a seller holds.
func (d *Desk) forget(ctx context.Context, seller units.PeerKey, ih units.InfoHash) error {
	purse, err := d.ledger.Purse(ctx, seller)
	if err != nil {
		return err
	}
	if purse.Balance > 0 && purse.Pending == 0 {
		if err := d.ledger.WriteOff(ctx, seller, ih, purse.Balance, "an unproven seller has gone with it"); err != nil {
			return err
		}
		d.log.Info("an unproven seller has gone with our money, which counts as lost",
			zap.Stringer("seller", seller), zap.Int64("msat", int64(purse.Balance)))
		if purse, err = d.ledger.Purse(ctx, seller); err != nil {
			return err
		}
	}
	d.book.delivered(purse)
	return nil
}
