package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// channelCapacity is what each channel of the network holds; all of it is the buyer's at first.
const channelCapacity = 10_000_000 * units.Sat

// Network is a sandboxed Lightning network: a buyer and a seller with a routing node between them, so that payments
// cost fees.
type Network struct {
	*sandbox.Network
	Seller, Buyer *sandbox.Node

	between *sandbox.Node
	dir     string
}

// NewNetwork starts the nodes. Each payment takes latency and costs 0.5 sat and 0.01 % in fees.
func NewNetwork(dir string, latency time.Duration) (*Network, error) {
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for the Lightning network: %w", err)
	}
	inner, err := sandbox.New(sandbox.Config{Dir: state, Latency: latency, FeeBase: units.Sat / 2, FeePPM: 100})
	if err != nil {
		return nil, fmt.Errorf("start Lightning network: %w", err)
	}
	n := &Network{Network: inner, dir: dir}
	if err := n.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("start Lightning network: %w", err), inner.Close())
	}
	return n, nil
}

func (n *Network) open() (err error) {
	for alias, node := range map[string]**sandbox.Node{"seller": &n.Seller, "buyer": &n.Buyer, "between": &n.between} {
		if *node, err = n.AddNode(alias, "127.0.0.1:0"); err != nil {
			return err
		}
	}
	if err := n.OpenChannel(n.Buyer, n.between, channelCapacity, channelCapacity); err != nil {
		return err
	}
	return n.OpenChannel(n.between, n.Seller, channelCapacity, channelCapacity)
}

// Options is the lightning section of a configuration for one of the nodes, with the rights that paygate needs.
func (n *Network) Options(node *sandbox.Node) (Options, error) {
	cert := filepath.Join(n.dir, node.Alias()+".cert")
	if err := os.WriteFile(cert, node.TLSCert(), 0o600); err != nil {
		return nil, fmt.Errorf("write certificate: %w", err)
	}
	rights, err := node.Bake(lnclient.Permissions(true, true)...)
	if err != nil {
		return nil, err
	}
	macaroon := filepath.Join(n.dir, node.Alias()+".macaroon.hex")
	if err := os.WriteFile(macaroon, []byte(rights.Reveal()), 0o600); err != nil {
		return nil, fmt.Errorf("write macaroon: %w", err)
	}
	return Options{"address": node.Address(), "tls_cert": cert, "macaroon": macaroon, "network": "regtest"}, nil
}

// Down takes the seller's and the buyer's nodes away, as when lnd is being restarted.
func (n *Network) Down() error { return errors.Join(n.Seller.Stop(), n.Buyer.Stop()) }

// Up brings them back on their old addresses.
func (n *Network) Up() error { return errors.Join(n.Seller.Start(), n.Buyer.Start()) }
