package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/grpc"

	"paygate/units"
)

// Node is one simulated lnd. It is safe for concurrent use.
type Node struct {
	net      *Network
	account  *account // its keys never change; the rest is the network's
	alias    string
	macaroon units.Secret
	feeds    feeds // guarded by the network's lock

	run     sync.Mutex   // one start or stop at a time
	conns   *connections // of the current listener
	served  chan struct{}
	address string
	server  *grpc.Server // nil while stopped; written under run and the network's lock
}

// AddNode brings a node up on listen, host:port on a loopback address; port 0 takes any port, or, for a node that was
// read back from the state, the port that it had if that is free. A node of that alias keeps all that it ever had.
func (n *Network) AddNode(alias string, listen string) (*Node, error) {
	if err := checkName(alias, listen); err != nil {
		return nil, fmt.Errorf("add node %q: %w", alias, err)
	}
	a, err := n.register(alias, listen)
	if err != nil {
		return nil, fmt.Errorf("add node %q: %w", alias, err)
	}
	mac, err := bake(a.RootKey, adminOps())
	if err != nil {
		return nil, fmt.Errorf("add node %q: %w", alias, err)
	}
	node := &Node{net: n, account: a, alias: alias, macaroon: mac, feeds: feeds{}}
	if err := node.open(listen); err != nil {
		return nil, fmt.Errorf("add node %q: %w", alias, err)
	}
	if err := node.export(); err != nil {
		return nil, errors.Join(fmt.Errorf("add node %q: %w", alias, err), node.Stop())
	}
	return node, nil
}

func checkName(alias, listen string) error {
	if alias == "" || len(alias) > 32 || strings.ContainsAny(alias, `/\`) || strings.HasPrefix(alias, ".") {
		return errors.New("the name must be 1 to 32 characters without slashes, and must not begin with a dot")
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not a loopback address: a sandbox is for this machine only", host)
	}
	return nil
}

var errSameName = errors.New("there is one of that name")

// register finds or makes the account of a node.
func (n *Network) register(alias, listen string) (*account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[alias] != nil {
		return nil, errSameName
	}
	if a := n.state.accounts[alias]; a != nil {
		return a, nil
	}
	r, err := newRecord(alias, listen)
	if err != nil {
		return nil, err
	}
	if err := n.commit(event{Node: &r}); err != nil {
		return nil, err
	}
	return n.state.accounts[alias], nil
}

func newRecord(alias, listen string) (nodeRecord, error) {
	host, _, _ := net.SplitHostPort(listen)
	r := nodeRecord{Alias: alias, RootKey: make([]byte, 32), Address: listen}
	if _, err := rand.Read(r.RootKey); err != nil {
		return r, err
	}
	priv, err := btcec.NewPrivateKey()
	if err != nil {
		return r, err
	}
	r.Key = priv.Serialize()
	r.Cert, r.CertKey, err = newCert(alias, host)
	return r, err
}

// open listens for the first time, and makes the node known to the network.
func (node *Node) open(listen string) error {
	node.run.Lock()
	defer node.run.Unlock()
	var lis net.Listener
	var err error
	node.net.mu.Lock()
	last := node.account.Address
	node.net.mu.Unlock()
	host, port, _ := net.SplitHostPort(listen)
	if oldHost, oldPort, _ := net.SplitHostPort(last); port == "0" && oldHost == host && oldPort != "0" {
		lis, err = net.Listen("tcp", last)
	}
	if lis == nil || err != nil {
		lis, err = net.Listen("tcp", listen)
	}
	if err != nil {
		return err
	}
	node.address = lis.Addr().String()
	return node.serve(lis, func() error {
		if node.net.nodes[node.alias] != nil {
			return errSameName
		}
		r := node.account.nodeRecord
		r.Address = node.address
		if err := node.net.commit(event{Node: &r}); err != nil {
			return err
		}
		node.net.nodes[node.alias] = node
		return nil
	})
}

// Start brings a stopped node back on the address that it had. Starting twice is no error.
func (node *Node) Start() error {
	node.run.Lock()
	defer node.run.Unlock()
	if node.server != nil {
		return nil
	}
	lis, err := net.Listen("tcp", node.address)
	if err != nil {
		return fmt.Errorf("start node %s: %w", node.alias, err)
	}
	return node.serve(lis, func() error { return nil })
}

// serve puts a server on the listener, which it then owns. enter runs under the network's lock.
func (node *Node) serve(lis net.Listener, enter func() error) error {
	server, err := node.newServer()
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	node.conns = newConnections(lis)
	node.served = make(chan struct{})
	node.net.mu.Lock()
	defer node.net.mu.Unlock()
	if node.net.closed {
		return errors.Join(errors.New("the sandbox is closed"), lis.Close())
	}
	if err := enter(); err != nil {
		return errors.Join(err, lis.Close())
	}
	node.server = server
	node.net.broadcast()
	go node.accept(server, node.conns, node.served)
	return nil
}

// accept serves until Stop, which waits for it.
func (node *Node) accept(server *grpc.Server, lis net.Listener, served chan<- struct{}) {
	defer close(served)
	_ = server.Serve(lis) // it returns an error only if it ends before Stop, and then every call fails plainly
}

// Stop closes the listener and breaks every connection and stream, as if the node had been killed. Its state stays,
// and payments that it has sent go on; those through it or to it wait. Stopping twice is no error.
func (node *Node) Stop() error {
	node.run.Lock()
	defer node.run.Unlock()
	if node.server == nil {
		return nil
	}
	server := node.server
	node.net.mu.Lock()
	node.server = nil
	node.net.broadcast()
	node.net.mu.Unlock()
	server.Stop()
	<-node.served
	return nil
}

// Address is where the node listens, host:port.
func (node *Node) Address() string { return node.address }

// TLSCert is the node's certificate, PEM.
func (node *Node) TLSCert() []byte { return []byte(node.account.Cert) }

// Macaroon allows everything, like lnd's admin.macaroon.
func (node *Node) Macaroon() units.Secret { return node.macaroon }

// Alias is the node's name.
func (node *Node) Alias() string { return node.alias }

// Key is the node's identity, which signs its invoices.
func (node *Node) Key() units.NodeKey { return node.account.key }

// Bake makes a macaroon that allows the given calls only, each as /package.Service/Method.
func (node *Node) Bake(uris ...string) (units.Secret, error) {
	ops := make([]op, len(uris))
	for i, u := range uris {
		if _, ok := permissions[u]; !ok {
			return "", fmt.Errorf("bake macaroon for %s: %w", u, errBadURI)
		}
		ops[i] = op{uriEntity, u}
	}
	if len(ops) == 0 {
		return "", errNoPermissions
	}
	return bake(node.account.RootKey, ops)
}

// Balance is what the node owns in its channels, and what its peers own there. Amounts in flight belong to neither.
func (node *Node) Balance() (local, remote units.Msat) {
	node.net.mu.Lock()
	defer node.net.mu.Unlock()
	for _, c := range node.net.state.channels {
		if c.has(node.alias) {
			side := c.side(node.alias)
			local += c.balance[side]
			remote += c.balance[1-side]
		}
	}
	return local, remote
}

// Stats counts what a node has done since it was made.
type Stats struct {
	SentMsat     units.Msat // to payees, fees apart
	FeesMsat     units.Msat // paid for routing
	ReceivedMsat units.Msat
	Payments     int // sent and settled
	Settled      int // invoices paid
	OpenInvoices int // waiting now
	InFlight     int // payments under way now
}

// Stats returns the counts, read in one moment.
func (node *Node) Stats() Stats {
	n := node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	s := node.account.stats
	for _, i := range node.account.added {
		if n.isOpen(i) {
			s.OpenInvoices++
		}
	}
	for p := range n.flying {
		if p.Node == node.alias {
			s.InFlight++
		}
	}
	return s
}

// export writes the certificate and the macaroon where lnd's users expect them.
func (node *Node) export() error {
	if node.net.cfg.Dir == "" {
		return nil
	}
	dir := filepath.Join(node.net.cfg.Dir, node.alias)
	raw, err := hex.DecodeString(node.macaroon.Reveal())
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "tls.cert"), node.TLSCert(), 0o600),
		os.WriteFile(filepath.Join(dir, "admin.macaroon"), raw, 0o600),
	)
}
