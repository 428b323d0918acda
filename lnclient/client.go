package lnclient

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"

	"paygate/units"
)

// callTimeout bounds every call that has one answer. A node that has not synced blocks some calls for ever instead of
// refusing them, so none may go without.
const callTimeout = 10 * time.Second

// Config names one lnd node and the right to use it.
type Config struct {
	Address  string       // gRPC host:port
	TLSCert  []byte       // PEM of the node's certificate; empty: the system's roots decide
	Macaroon units.Secret // hexadecimal, see SellPermissions and BuyPermissions
	Network  string       // mainnet, testnet, signet, simnet or regtest
}

// Client speaks to one lnd node. It is safe for concurrent use and reconnects by itself.
type Client struct {
	network string
	timeout time.Duration // of calls with one answer
	conn    *grpc.ClientConn
	tls     *watchedTLS
	node    lnrpc.LightningClient
	state   lnrpc.StateClient
	invoice invoicesrpc.InvoicesClient
	router  routerrpc.RouterClient
}

// New prepares a client; it connects at the first call, not before. It fails, with a *Problem, only on a configuration
// that can never work: an unknown network, a certificate or a macaroon that cannot be read.
func New(cfg Config) (*Client, error) {
	if _, err := networkParams(cfg.Network); err != nil {
		return nil, &Problem{Kind: Other, Remedy: remedyNetwork, Err: err}
	}
	tls, err := newWatchedTLS(cfg.TLSCert)
	if err != nil {
		return nil, newProblem(BadCert, fmt.Errorf("read certificate of %s: %w", cfg.Address, err))
	}
	mac, err := newMacaroonCredential(cfg.Macaroon)
	if err != nil {
		return nil, newProblem(BadMacaroon, fmt.Errorf("read macaroon for %s: %w", cfg.Address, err))
	}
	conn, err := dial(cfg.Address, tls, mac)
	if err != nil {
		return nil, newProblem(Other, fmt.Errorf("prepare connection to %s: %w", cfg.Address, err))
	}
	return &Client{
		network: cfg.Network,
		timeout: callTimeout,
		conn:    conn,
		tls:     tls,
		node:    lnrpc.NewLightningClient(conn),
		state:   lnrpc.NewStateClient(conn),
		invoice: invoicesrpc.NewInvoicesClient(conn),
		router:  routerrpc.NewRouterClient(conn),
	}, nil
}

// Close ends every call in flight and releases the connection. Payments that lnd has taken go on without it.
func (c *Client) Close() error { return c.conn.Close() }

// Info describes the node.
type Info struct {
	Node    units.NodeKey
	Alias   string
	Version string
	Network string    // as lnd names it: mainnet, testnet, signet, simnet or regtest
	Synced  bool      // with the chain, as lnd sees it
	Header  time.Time // in the newest block header that the node knows; whole seconds
}

// Info asks the node who it is. It never blocks longer than ten seconds.
func (c *Client) Info(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.node.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if err != nil {
		return Info{}, c.problem(ctx, "ask node for its identity", err)
	}
	info := Info{Alias: r.Alias, Version: r.Version, Synced: r.SyncedToChain, Header: time.Unix(r.BestHeaderTimestamp, 0)}
	if len(r.Chains) > 0 {
		info.Network = r.Chains[0].Network
	}
	if n, err := hex.Decode(info.Node[:], []byte(r.IdentityPubkey)); err != nil || n != len(info.Node) {
		return Info{}, newProblem(Other, fmt.Errorf("node's identity %q is not a key", r.IdentityPubkey))
	}
	return info, nil
}
