package contract

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"time"

	"paygate/lnclient"
	"paygate/units"
)

// with opens a client whose macaroon allows some calls only.
func (s *scene) with(r Role, uris []string) *lnclient.Client {
	cfg := s.env.Config(r)
	cfg.Macaroon = s.env.Bake(s.T, r, uris...)
	return s.open(cfg)
}

func macaroonSelling(s *scene) {
	c := s.with(Seller, lnclient.SellPermissions())
	_, err := c.Info(s.ctx())
	s.must(err)
	s.must(c.Ready(s.ctx()))
	_, err = c.Liquidity(s.ctx())
	s.must(err)
	inv := s.ask(c, 1000)
	s.must(c.CancelInvoice(s.ctx(), s.ask(c, 1000).Hash))
	l := s.listen(c, 0)
	s.paid(s.client(Buyer), inv)
	s.next(l, inv, true)
	s.close(l)
	s.status(c, inv.Hash, lnclient.Settled)
	_, err = c.Pay(s.ctx(), payment(s.ask(s.client(Far), 1000)))
	s.refused(err, lnclient.RefusedNode)
	s.problem(err, lnclient.Denied)
	_, err = c.Track(s.ctx(), inv.Hash)
	s.problem(err, lnclient.Denied)
}

func macaroonBuying(s *scene) {
	c := s.with(Buyer, lnclient.BuyPermissions())
	_, err := c.Info(s.ctx())
	s.must(err)
	_, err = c.Liquidity(s.ctx())
	s.must(err)
	inv := s.ask(s.client(Seller), 1000)
	s.paid(c, inv)
	s.look(c, inv.Hash, lnclient.Succeeded)
	s.pending(c, inv.Hash)
	_, err = c.AddInvoice(s.ctx(), lnclient.NewInvoice{Msat: 1000, Expiry: time.Hour})
	s.problem(err, lnclient.Denied)
	_, err = c.LookupInvoice(s.ctx(), inv.Hash)
	s.problem(err, lnclient.Denied)
	s.problem(c.CancelInvoice(s.ctx(), inv.Hash), lnclient.Denied)
	s.problem(c.Settlements(s.ctx(), 1, func(lnclient.Settlement) error { return nil }), lnclient.Denied)
}

// macaroonSays reads rights off the macaroons that the node itself has made.
func macaroonSays(s *scene) {
	sell, buy := lnclient.SellPermissions(), lnclient.BuyPermissions()
	for _, baked := range [][]string{sell, buy, lnclient.Permissions(true, true)} {
		r, err := lnclient.InspectMacaroon(s.env.Bake(s.T, Seller, baked...))
		s.must(err)
		if harmful, harmless := r.Beyond(baked); len(r.Missing(baked))+len(harmful)+len(harmless) != 0 || len(r.List) != len(baked) {
			s.Errorf("baked for %q, it says %+v", baked, r)
		}
	}
	r, err := lnclient.InspectMacaroon(s.env.Config(Seller).Macaroon)
	s.must(err)
	harmful, _ := r.Beyond(lnclient.Permissions(true, true))
	for _, want := range []lnclient.Right{{Entity: "onchain", Action: "write"}, {Entity: "offchain", Action: "write"}, {Entity: "macaroon", Action: "generate"}} {
		if !slices.Contains(harmful, want) {
			s.Errorf("of an admin macaroon, %v counts as harmful; want %s too", harmful, want)
		}
	}
}

func macaroonWrong(s *scene) {
	cfg := s.env.Config(Buyer)
	inv := s.ask(s.client(Seller), 1000)
	cfg.Macaroon = s.env.Config(Seller).Macaroon
	c := s.open(cfg)
	_, err := c.Info(s.ctx())
	s.problem(err, lnclient.BadMacaroon)
	_, err = c.Pay(s.ctx(), payment(inv))
	s.refused(err, lnclient.RefusedNode)
	s.problem(err, lnclient.BadMacaroon)
	for _, bad := range []units.Secret{"", "zz", "00ff"} {
		cfg.Macaroon = bad
		_, err := lnclient.New(cfg)
		s.problem(err, lnclient.BadMacaroon)
	}
}

func certificateWrong(s *scene) {
	cfg := s.env.Config(Seller)
	cfg.TLSCert = s.strangeCert()
	c := s.open(cfg)
	_, err := c.Info(s.ctx())
	s.problem(err, lnclient.BadCert)
	inv := s.ask(s.client(Far), 1000)
	_, err = c.Pay(s.ctx(), payment(inv))
	s.refused(err, lnclient.RefusedNotAsked)
	s.problem(err, lnclient.BadCert)
	cfg.TLSCert = []byte("no certificate")
	_, err = lnclient.New(cfg)
	s.problem(err, lnclient.BadCert)
}

// strangeCert is a good certificate of someone else.
func (s *scene) strangeCert() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "someone else"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	s.must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func nobodyThere(s *scene) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	cfg := s.env.Config(Seller)
	cfg.Address = l.Addr().String()
	s.must(l.Close())
	c := s.open(cfg)
	_, err = c.Info(s.ctx())
	s.problem(err, lnclient.Unreachable)
	s.problem(c.Ready(s.ctx()), lnclient.Unreachable)
	err = c.Settlements(s.ctx(), 1, func(lnclient.Settlement) error { return nil })
	s.problem(err, lnclient.Unreachable)
}
