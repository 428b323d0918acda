package ledger

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"paygate/units"
)

var errTODO = errors.New("not written yet")

type Options struct{ Now func() time.Time }

type Ledger struct{}

func Open(ctx context.Context, path string, o Options) (*Ledger, error) { return nil, errTODO }
func (l *Ledger) Close() error                                          { return nil }
func (l *Ledger) AddInvoice(context.Context, Invoice) error             { return errTODO }
func (l *Ledger) OpenInvoice(context.Context, units.PeerKey, units.InfoHash) (Invoice, bool, error) {
	return Invoice{}, false, errTODO
}
func (l *Ledger) Settle(context.Context, Settlement) (Credited, bool, error) {
	return Credited{}, false, errTODO
}
func (l *Ledger) SettleIndex(context.Context) (uint64, error)             { return 0, errTODO }
func (l *Ledger) Account(context.Context, units.PeerKey) (Account, error) { return Account{}, errTODO }
func (l *Ledger) MarkDefaulted(ctx context.Context, buyer units.PeerKey, note string) error {
	return errTODO
}
func (l *Ledger) Charge(context.Context, Charge) (delta, balance units.Msat, err error) {
	return 0, 0, errTODO
}
func (l *Ledger) SampleUsed(context.Context, units.InfoHash, netip.Prefix) (Sample, error) {
	return Sample{}, errTODO
}
func (l *Ledger) UseSample(context.Context, units.InfoHash, netip.Prefix, units.Bytes) error {
	return errTODO
}
func (l *Ledger) Reserve(context.Context, Intent, Caps) error   { return errTODO }
func (l *Ledger) Sent(context.Context, units.PaymentHash) error { return errTODO }
func (l *Ledger) Succeed(context.Context, units.PaymentHash, units.Msat, units.Preimage) (first bool, err error) {
	return false, errTODO
}
func (l *Ledger) Fail(context.Context, units.PaymentHash, string) error          { return errTODO }
func (l *Ledger) Unknown(context.Context, units.PaymentHash, string) error       { return errTODO }
func (l *Ledger) OpenPurchases(context.Context) ([]Purchase, error)              { return nil, errTODO }
func (l *Ledger) Purchases(ctx context.Context, limit int) ([]Purchase, error)   { return nil, errTODO }
func (l *Ledger) Left(context.Context, units.InfoHash, Caps) (units.Msat, error) { return 0, errTODO }
func (l *Ledger) Receive(context.Context, Receipt) error                         { return errTODO }
func (l *Ledger) Purse(context.Context, units.PeerKey) (Purse, error)            { return Purse{}, errTODO }
func (l *Ledger) WriteOff(ctx context.Context, seller units.PeerKey, ih units.InfoHash, m units.Msat, note string) error {
	return errTODO
}
func (l *Ledger) WrittenOff(context.Context, units.InfoHash) (torrent, today units.Msat, err error) {
	return 0, 0, errTODO
}
func (l *Ledger) Totals(context.Context) (Totals, error) { return Totals{}, errTODO }
func (l *Ledger) Journal(ctx context.Context, after int64, limit int) ([]Entry, error) {
	return nil, errTODO
}
func (l *Ledger) Verify(context.Context) error                         { return errTODO }
func (l *Ledger) Meta(ctx context.Context, key string) (string, error) { return "", errTODO }
func (l *Ledger) SetMeta(ctx context.Context, key, value string) error { return errTODO }
