package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"paygate/units"
)

// What lnd's defaults and limits are for invoices.
const (
	defaultExpiry = 24 * time.Hour
	longestExpiry = 365 * 24 * time.Hour
	defaultCLTV   = 80
	leastCLTV     = 18
	mostCLTV      = 65535
	longestMemo   = 1024
	mostInvoice   = 100_000 * units.BTC
)

// AddInvoice issues an invoice on regtest.
func (l *lightning) AddInvoice(ctx context.Context, req *lnrpc.Invoice) (*lnrpc.AddInvoiceResponse, error) {
	if err := l.node.blocked(ctx); err != nil {
		return nil, err
	}
	r, err := l.node.newInvoice(req)
	if err != nil {
		return nil, err
	}
	index, err := l.node.enter(r)
	if err != nil {
		return nil, err
	}
	return &lnrpc.AddInvoiceResponse{RHash: r.Hash, PaymentRequest: r.Request, AddIndex: index, PaymentAddr: r.PaymentAddr}, nil
}

// enter records an invoice and tells its subscribers.
func (node *Node) enter(r *invoiceRecord) (uint64, error) {
	n := node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	hash := units.PaymentHash(r.Hash)
	if node.account.invoices[hash] != nil {
		return 0, errDuplicateInvoice
	}
	if err := n.commit(event{Invoice: r}); err != nil {
		return 0, err
	}
	i := node.account.invoices[hash]
	node.feeds.added(n.rpcInvoice(i), i.addIndex)
	return i.addIndex, nil
}

// newInvoice checks what is asked for, draws the secrets and signs.
func (node *Node) newInvoice(req *lnrpc.Invoice) (*invoiceRecord, error) {
	msat, err := invoiceAmount(req)
	if err != nil {
		return nil, err
	}
	if err := checkInvoice(req); err != nil {
		return nil, err
	}
	r := &invoiceRecord{
		Node:        node.alias,
		Preimage:    req.RPreimage,
		PaymentAddr: make([]byte, 32),
		Memo:        req.Memo,
		Description: req.DescriptionHash,
		Msat:        msat,
		Created:     node.net.now(),
		Expiry:      defaultExpiry,
		CLTV:        defaultCLTV,
		Private:     req.Private,
	}
	if req.Expiry > 0 {
		r.Expiry = time.Duration(req.Expiry) * time.Second
	}
	if req.CltvExpiry != 0 {
		r.CLTV = req.CltvExpiry
	}
	if err := drawSecrets(r); err != nil {
		return nil, err
	}
	return r, node.sign(r)
}

func invoiceAmount(req *lnrpc.Invoice) (units.Msat, error) {
	switch {
	case req.Value != 0 && req.ValueMsat != 0:
		return 0, errBothAmounts
	case req.Value < 0 || req.ValueMsat < 0:
		return 0, errNegativeAmount
	case req.Value > int64(mostInvoice/units.Sat) || req.ValueMsat > int64(mostInvoice):
		return 0, fmt.Errorf("invoice amount %v is too large, max is %v", req.Value+req.ValueMsat/1000, "100000 BTC")
	}
	return units.Msat(req.ValueMsat) + units.Msat(req.Value)*units.Sat, nil
}

func checkInvoice(req *lnrpc.Invoice) error {
	switch {
	case len(req.Memo) > longestMemo:
		return fmt.Errorf("memo too large: %v bytes (maxsize=%v)", len(req.Memo), longestMemo)
	case len(req.DescriptionHash) != 0 && len(req.DescriptionHash) != 32:
		return fmt.Errorf("description hash is %v bytes, must be 32", len(req.DescriptionHash))
	case float64(req.Expiry) > longestExpiry.Seconds():
		return fmt.Errorf("expiry of %v seconds greater than max expiry of %v seconds", float64(req.Expiry), longestExpiry.Seconds())
	case req.CltvExpiry > mostCLTV:
		return fmt.Errorf("CLTV delta of %v is too large, max accepted is: %v", req.CltvExpiry, mostCLTV)
	case req.CltvExpiry != 0 && req.CltvExpiry < leastCLTV:
		return fmt.Errorf("CLTV delta of %v must be greater than minimum of %v", req.CltvExpiry, leastCLTV)
	case len(req.RPreimage) != 0 && len(req.RPreimage) != 32:
		return fmt.Errorf("invalid preimage length of %v, want 32", len(req.RPreimage))
	case req.IsAmp || req.IsBlinded:
		return fmt.Errorf("the sandbox issues plain invoices only")
	}
	return nil
}

func drawSecrets(r *invoiceRecord) error {
	if _, err := rand.Read(r.PaymentAddr); err != nil {
		return err
	}
	if len(r.Preimage) == 0 {
		r.Preimage = make([]byte, 32)
		if _, err := rand.Read(r.Preimage); err != nil {
			return err
		}
	}
	hash := sha256.Sum256(r.Preimage)
	r.Hash = hash[:]
	return nil
}

// sign puts the request into words (BOLT 11), with the features that lnd's invoices carry.
func (node *Node) sign(r *invoiceRecord) error {
	options := []func(*zpay32.Invoice){
		zpay32.Expiry(r.Expiry),
		zpay32.CLTVExpiry(r.CLTV),
		zpay32.PaymentAddr([32]byte(r.PaymentAddr)),
		zpay32.Features(invoiceFeatures()),
	}
	if r.Msat > 0 {
		options = append(options, zpay32.Amount(lnwire.MilliSatoshi(r.Msat)))
	}
	if len(r.Description) > 0 {
		options = append(options, zpay32.DescriptionHash([32]byte(r.Description)))
	} else {
		options = append(options, zpay32.Description(r.Memo))
	}
	inv, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, [32]byte(r.Hash), r.Created, options...)
	if err != nil {
		return err
	}
	r.Request, err = inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(node.account.priv, chainhash.HashB(msg), true), nil
	}})
	return err
}

func invoiceFeatures() *lnwire.FeatureVector {
	return lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional, lnwire.RouteBlindingOptional,
	), lnwire.Features)
}

// LookupInvoice shows one invoice.
func (l *lightning) LookupInvoice(_ context.Context, req *lnrpc.PaymentHash) (*lnrpc.Invoice, error) {
	raw := req.RHash
	if req.RHashStr != "" { //nolint:staticcheck // lnd still reads it
		var err error
		if raw, err = hex.DecodeString(req.RHashStr); err != nil { //nolint:staticcheck // as above
			return nil, err
		}
	}
	if len(raw) != 32 {
		return nil, fmt.Errorf("payment hash must be exactly 32 bytes, is instead %v", len(raw))
	}
	n := l.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	i := l.node.account.invoices[units.PaymentHash(raw)]
	if i == nil {
		return nil, errNoInvoice()
	}
	return n.rpcInvoice(i), nil
}

// invoices is lnd's service for single invoices.
type invoices struct {
	invoicesrpc.UnimplementedInvoicesServer
	node *Node
}

// CancelInvoice cancels an open invoice. Cancelling twice is no error.
func (s *invoices) CancelInvoice(_ context.Context, req *invoicesrpc.CancelInvoiceMsg) (*invoicesrpc.CancelInvoiceResp, error) {
	if len(req.PaymentHash) != 32 {
		return nil, fmt.Errorf("invalid hash length of %v, want 32", len(req.PaymentHash))
	}
	n := s.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	i := s.node.account.invoices[units.PaymentHash(req.PaymentHash)]
	switch {
	case i == nil:
		return nil, errInvoiceUnknown
	case i.state == lnrpc.Invoice_SETTLED:
		return nil, errInvoiceSettled
	case i.state == lnrpc.Invoice_OPEN:
		ref := reference{Node: s.node.alias, Hash: req.PaymentHash, At: n.now()}
		if err := n.commit(event{Cancel: &ref}); err != nil {
			return nil, err
		}
	}
	return &invoicesrpc.CancelInvoiceResp{}, nil
}

func (n *Network) isOpen(i *invoice) bool { return n.invoiceState(i) == lnrpc.Invoice_OPEN }

// rpcInvoice puts an invoice in lnd's form. The lock is held.
func (n *Network) rpcInvoice(i *invoice) *lnrpc.Invoice {
	state := n.invoiceState(i)
	r := &lnrpc.Invoice{
		Memo:            i.Memo,
		RPreimage:       i.Preimage,
		RHash:           i.Hash,
		Value:           int64(i.Msat / units.Sat),
		ValueMsat:       int64(i.Msat),
		CreationDate:    i.Created.Unix(),
		SettleDate:      i.settledAt,
		Settled:         state == lnrpc.Invoice_SETTLED,
		PaymentRequest:  i.Request,
		DescriptionHash: i.Description,
		Expiry:          int64(i.Expiry / time.Second),
		CltvExpiry:      i.CLTV,
		AddIndex:        i.addIndex,
		SettleIndex:     i.settleIndex,
		AmtPaidSat:      int64(i.paid / units.Sat),
		AmtPaidMsat:     int64(i.paid),
		State:           state,
		PaymentAddr:     i.PaymentAddr,
		Features:        invoicesrpc.CreateRPCFeatures(invoiceFeatures()),
	}
	return r
}
