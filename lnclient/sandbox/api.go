package sandbox

import (
	"errors"
	"time"

	"paygate/units"
)

// Config says how the simulated network behaves.
type Config struct {
	Dir     string
	Latency time.Duration
	FeeBase units.Msat
	FeePPM  int64
}

var errTODO = errors.New("not built yet")

// Network is a set of nodes and the channels between them.
type Network struct{}

// Node is one simulated lnd.
type Node struct{}

func New(cfg Config) (*Network, error) { return nil, errTODO }
func (n *Network) Close() error        { return nil }

func (n *Network) AddNode(alias string, listen string) (*Node, error)          { return nil, errTODO }
func (n *Network) OpenChannel(a, b *Node, capacity, aBalance units.Msat) error { return errTODO }
func (n *Network) SetLatency(d time.Duration)                                  {}
func (n *Network) SetFault(f Fault)                                            {}
func (n *Network) ClearFaults()                                                {}

// FaultKind is what goes wrong.
type FaultKind string

const (
	NoRoute             FaultKind = "no-route"
	InsufficientBalance FaultKind = "insufficient-balance"
	Slow                FaultKind = "slow"
	StuckInFlight       FaultKind = "stuck-in-flight"
	DropConnection      FaultKind = "drop-connection"
	RefuseAll           FaultKind = "refuse-all"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Kind  FaultKind
	Node  string
	Times int
	Delay time.Duration
}

// Stats counts what a node has done.
type Stats struct {
	SentMsat, FeesMsat, ReceivedMsat units.Msat
	Payments, Settled                int
	OpenInvoices                     int
}

func (n *Node) Address() string                           { return "" }
func (n *Node) TLSCert() []byte                           { return nil }
func (n *Node) Macaroon() units.Secret                    { return "" }
func (n *Node) Key() units.NodeKey                        { return units.NodeKey{} }
func (n *Node) Stop() error                               { return errTODO }
func (n *Node) Start() error                              { return errTODO }
func (n *Node) Balance() (local, remote units.Msat)       { return 0, 0 }
func (n *Node) Stats() Stats                              { return Stats{} }
func (n *Node) Bake(uris ...string) (units.Secret, error) { return "", errTODO }
