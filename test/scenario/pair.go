package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/units"
)

// Hosts of a pair on its site.
const (
	hostSeller     = 1
	hostSellerGate = 2
	hostBuyer      = 3
	hostBuyerGate  = 4
)

// HostGuest and those above it are for other clients of a scenario (Site.Launch).
const HostGuest = 10

// Terms are what both paygates of a pair are configured with.
type Terms struct {
	Price    units.Price // the free price: no sell rules and no buy rules at all
	Sample   units.Bytes
	Legacy   string     // what peers without paygate get; empty: the default
	Min, Max units.Msat // smallest and largest purchase, on both sides
	Cap      units.Msat // what the buyer may spend on the torrent, in a day and in all; 0: enough
	Dial     []Dial     // peers to which the seller's paygate opens both legs
}

// Dial names a peer to be connected to the seller's client for one torrent.
type Dial struct {
	InfoHash units.InfoHash
	Peer     string // host:port
}

// Plan says which clients to pair and how.
type Plan struct {
	Seller, Buyer clients.Kind       // without a buyer, the pair is a seller alone
	Encryption    clients.Encryption // of both clients
	Rate          units.Bytes        // limit of the seller's upload and the buyer's download, per second; 0: none
	Download      units.Bytes        // limit of the buyer's download alone, per second; 0: Rate
	Terms         Terms
	// Trackers lets both clients announce through their paygate's HTTP proxy, and the paygates dial the peers that the
	// tracker names. For clients that can only be reached; both paygates then listen for peers.
	Trackers bool
}

// Pair is a seller's and a buyer's client, each behind its own paygate.
type Pair struct {
	Site                  *Site
	Plan                  Plan
	Network               *Network // nil: no Lightning
	Seller, Buyer         clients.Client
	SellerGate, BuyerGate *Gate

	name    string
	sellsAt netip.AddrPort // where the swarm reaches the seller
	socks5  string
	buysAt  netip.AddrPort // where the swarm reaches the buyer, if its paygate listens
	http    [2]string      // HTTP proxies of the seller's and the buyer's paygate
}

// plenty is a cap that no scenario reaches.
const plenty = 1_000_000 * units.Sat

// NewPair starts both paygates and both clients, and lets the seller seed. The name tells pairs on one site apart.
// With a nil network the paygates have no Lightning node. On an error everything is ended again.
func NewPair(ctx context.Context, site *Site, network *Network, name string, plan Plan) (*Pair, error) {
	p := &Pair{Site: site, Plan: plan, Network: network, name: name}
	if err := p.start(ctx); err != nil {
		p.Close()
		return nil, fmt.Errorf("%s to %s: %w", plan.Seller, plan.Buyer, err)
	}
	return p, nil
}

func (p *Pair) start(ctx context.Context) (err error) {
	if p.sellsAt, err = p.Site.Address(hostSellerGate); err != nil {
		return err
	}
	sellerSpec := clients.Spec{Upload: p.Plan.Rate, Encryption: p.Plan.Encryption}
	if p.Plan.Trackers {
		if err := p.placeProxies(); err != nil {
			return err
		}
		sellerSpec.Tracker = p.http[0]
	}
	if p.Seller, err = p.Site.Launch(ctx, p.Plan.Seller, p.dir("seller"), hostSeller, sellerSpec); err != nil {
		return err
	}
	config, err := p.sellerConfig(ctx)
	if err != nil {
		return err
	}
	if p.SellerGate, err = p.gate(ctx, "sg", config); err != nil {
		return fmt.Errorf("seller's paygate: %w", err)
	}
	if p.Plan.Buyer != "" {
		if err := p.startBuyer(ctx); err != nil {
			return err
		}
	}
	return p.Site.Seed(ctx, p.Seller, p.dir("seller"), p.Site.Torrent)
}

// placeProxies chooses where the paygates listen that dial what the tracker names.
func (p *Pair) placeProxies() (err error) {
	if p.buysAt, err = p.Site.Address(hostBuyerGate); err != nil {
		return err
	}
	for i, host := range []byte{hostSellerGate, hostBuyerGate} {
		at, err := p.Site.Address(host)
		if err != nil {
			return err
		}
		p.http[i] = at.String()
	}
	return nil
}

// startBuyer starts the buyer's client first if paygate must know its address, and paygate first otherwise.
func (p *Pair) startBuyer(ctx context.Context) (err error) {
	spec := clients.Spec{Download: cmp.Or(p.Plan.Download, p.Plan.Rate), Encryption: p.Plan.Encryption}
	if p.Plan.Trackers {
		spec.Tracker = p.http[1]
	} else if p.Plan.Buyer.TakesSOCKS5() {
		at, err := p.Site.Address(hostBuyerGate)
		if err != nil {
			return err
		}
		p.socks5, spec.SOCKS5 = at.String(), at.String()
	}
	if p.Buyer, err = p.Site.Launch(ctx, p.Plan.Buyer, p.dir("buyer"), hostBuyer, spec); err != nil {
		return err
	}
	config, err := p.buyerConfig(ctx)
	if err != nil {
		return err
	}
	if p.BuyerGate, err = p.gate(ctx, "bg", config); err != nil {
		return fmt.Errorf("buyer's paygate: %w", err)
	}
	return nil
}

func (p *Pair) dir(what string) string { return p.name + "-" + what }

func (p *Pair) gate(ctx context.Context, what string, config Options) (*Gate, error) {
	return StartGate(ctx, p.Site.Programs.Paygate, filepath.Join(p.Site.Dir, p.dir(what)), config)
}

// sellerConfig is inbound only: what an owner without root uses.
func (p *Pair) sellerConfig(ctx context.Context) (Options, error) {
	client := Options{"address": p.Seller.PeerAddr()}
	var dial []Options
	for _, d := range p.Plan.Terms.Dial {
		dial = append(dial, Options{"info_hash": d.InfoHash.String(), "peers": []string{d.Peer}})
	}
	if dial != nil {
		client["dial"] = dial
	}
	if p.Plan.Encryption != clients.Default {
		client["info_hashes"] = p.priced()
	}
	listen := Options{"peers": p.sellsAt.String()}
	if p.Plan.Trackers {
		listen["http"], client["dial_trackers"] = p.http[0], true
	}
	config := Options{"listen": listen, "client": client}
	if err := p.addLightning(ctx, config, true); err != nil {
		return nil, err
	}
	if p.Plan.Terms.Price.Free() {
		return config, nil
	}
	rule := Options{
		"name": "test", "torrents": p.priced(), "rights": "own",
		"price": p.Plan.Terms.Price.String(), "sample": sizeText(p.Plan.Terms.Sample),
	}
	p.Plan.Terms.limits(rule)
	if p.Plan.Terms.Legacy != "" {
		rule["legacy"] = p.Plan.Terms.Legacy
	}
	config["sell"] = Options{"rules": []Options{rule}}
	return config, nil
}

// buyerConfig sends the client's connections through SOCKS5, or lets paygate open both legs for a client that cannot.
func (p *Pair) buyerConfig(ctx context.Context) (Options, error) {
	config := Options{}
	if p.Plan.Trackers {
		config["listen"] = Options{"peers": p.buysAt.String(), "http": p.http[1]}
		config["client"] = Options{"address": p.Buyer.PeerAddr(), "dial_trackers": true}
	} else if p.socks5 != "" {
		config["listen"] = Options{"socks5": p.socks5}
	} else {
		dial := Options{"info_hash": p.Site.Torrent.InfoHash.String(), "peers": []string{p.sellsAt.String()}}
		config["client"] = Options{"address": p.Buyer.PeerAddr(), "dial": []Options{dial}}
	}
	if p.Plan.Encryption != clients.Default {
		client, _ := config["client"].(Options)
		if client == nil {
			client = Options{}
		}
		client["info_hashes"] = p.priced()
		config["client"] = client
	}
	if err := p.addLightning(ctx, config, false); err != nil {
		return nil, err
	}
	if p.Plan.Terms.Price.Free() {
		return config, nil
	}
	allowed := p.Plan.Terms.Cap
	if allowed == 0 {
		allowed = plenty
	}
	buy := Options{
		"per_torrent": msatText(allowed), "per_day": msatText(allowed), "total": msatText(allowed),
		"rules": []Options{{"name": "test", "torrents": p.priced(), "max_price": p.Plan.Terms.Price.String()}},
	}
	p.Plan.Terms.limits(buy)
	config["buy"] = buy
	return config, nil
}

// priced lists the site's own torrent: any other one is free.
func (p *Pair) priced() []string { return []string{p.Site.Torrent.InfoHash.String()} }

func (t Terms) limits(into Options) {
	if t.Min > 0 {
		into["min"] = msatText(t.Min)
	}
	if t.Max > 0 {
		into["max"] = msatText(t.Max)
	}
}

func (p *Pair) addLightning(ctx context.Context, config Options, seller bool) error {
	if p.Network == nil || p.Plan.Terms.Price.Free() {
		return nil
	}
	node := p.Network.Buyer
	if seller {
		node = p.Network.Seller
	}
	section, err := node.Options(ctx)
	config["lightning"] = section
	return err
}

func msatText(m units.Msat) string  { return fmt.Sprintf("%d msat", int64(m)) }
func sizeText(b units.Bytes) string { return fmt.Sprintf("%d B", int64(b)) }
func (p *Pair) downloadDir() string { return filepath.Join(p.Site.Dir, p.dir("download")) }

// DownloadDir is where the buyer's client puts the files.
func (p *Pair) DownloadDir() string { return p.downloadDir() }

// ClientName is how the tracker knows the pair's clients: "seller" or "buyer".
func (p *Pair) ClientName(role string) string { return p.dir(role) }

// SellsAt is the seller's address in the swarm.
func (p *Pair) SellsAt() netip.AddrPort { return p.sellsAt }

// BuysAt is the buyer's address in the swarm, if Plan.Trackers is set.
func (p *Pair) BuysAt() netip.AddrPort { return p.buysAt }

// Begin lets the buyer's client start the download. Peers are told to it besides the seller.
func (p *Pair) Begin(ctx context.Context, peers ...netip.AddrPort) error {
	return p.Site.Add(ctx, p.Buyer, p.dir("buyer"), p.Site.Torrent, p.downloadDir(), append(peers, p.sellsAt)...)
}

// Progress is how much of the torrent the buyer's client has.
func (p *Pair) Progress(ctx context.Context) (units.Bytes, error) {
	done, _, err := p.Buyer.Progress(ctx, p.Site.Torrent.InfoHash)
	return units.Bytes(done), err
}

// AwaitBytes waits until the buyer's client has n bytes of the torrent.
func (p *Pair) AwaitBytes(ctx context.Context, n units.Bytes) error {
	return process.Poll(ctx, pollEvery, func() error {
		done, err := p.Progress(ctx)
		if err != nil {
			return err
		}
		if done < n {
			return fmt.Errorf("%w: %d of %d bytes", errNotDone, done, n)
		}
		return nil
	})
}

// Download begins and waits for the end; it returns how long that took. The files are not yet verified.
func (p *Pair) Download(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	if err := p.Begin(ctx); err != nil {
		return 0, err
	}
	err := p.AwaitBytes(ctx, p.Site.Torrent.Size)
	return time.Since(start), err
}

// Verify checks the SHA-256 of every downloaded file. A client may take a moment to give the files their names.
func (p *Pair) Verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return process.Poll(ctx, time.Second, func() error { return p.Site.Torrent.Verify(p.downloadDir()) })
}

// Discard removes what was downloaded.
func (p *Pair) Discard() error { return os.RemoveAll(p.downloadDir()) }

// Close ends all four processes, the paygates in good order, and returns what is wrong with that or in their logs.
func (p *Pair) Close() error {
	if p.Seller != nil {
		defer p.Seller.Close()
	}
	if p.Buyer != nil {
		defer p.Buyer.Close()
	}
	var problems []error
	for who, g := range map[string]*Gate{"seller": p.SellerGate, "buyer": p.BuyerGate} {
		if g == nil {
			continue
		}
		if err := errors.Join(g.Stop(), g.CheckLog()); err != nil {
			problems = append(problems, fmt.Errorf("%s's paygate: %w", who, err))
		}
	}
	return errors.Join(problems...)
}
