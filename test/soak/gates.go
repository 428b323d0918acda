package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"paygate/lnclient"
	"paygate/test/light"
	"paygate/test/scenario"
	"paygate/units"
)

// plenty is a cap that nobody reaches.
const plenty = 1_000_000 * units.Sat

func price() units.Price { return units.Price{Msat: purchase, Per: lasts} }

// forFree is a torrent that costs nothing.
func forFree() units.InfoHash { return units.InfoHash{0xf0} }

// torrent is the first that a client asks for; the others count its last bytes up.
func torrent(buyer, client int) units.InfoHash {
	return units.InfoHash{0x50, byte(buyer), byte(client)}
}

// freePort is an address that nobody else uses right now.
func freePort() (string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return lis.Addr().String(), lis.Close()
}

func (s *soak) openSeller(ctx context.Context, program, dir string) (sells string, err error) {
	if sells, err = freePort(); err != nil {
		return "", err
	}
	node, err := s.network.Seller.OptionsFor(ctx, lnclient.SellPermissions()...)
	if err != nil {
		return "", err
	}
	var torrents []string
	for b := range buyers {
		for c := range each {
			ih := torrent(b, c)
			for n := range uint32(200) { // more than a client turns to
				binary.BigEndian.PutUint32(ih[16:], n)
				torrents = append(torrents, ih.String())
			}
		}
	}
	return sells, s.openGate(ctx, "seller", program, dir, scenario.Options{
		"listen": scenario.Options{"peers": sells}, "client": scenario.Options{"address": s.seeder.Address()},
		"limits": scenario.Options{"per_address": 1000}, "lightning": node,
		"sell": scenario.Options{"sample_per_day": "256 MiB", "rules": []scenario.Options{{
			"name": "soak", "torrents": torrents, "rights": "own", "price": price().String(),
			"sample": "0 B", "legacy": "choke", "min": purchase.String(), "max": purchase.String(),
		}}},
	})
}

// openBuyer starts a buyer's paygate, and makes the clients behind it.
func (s *soak) openBuyer(ctx context.Context, program, dir string, number int, sells string) error {
	socks, err := freePort()
	if err != nil {
		return err
	}
	node, err := s.network.Buyer.OptionsFor(ctx, lnclient.BuyPermissions()...)
	if err != nil {
		return err
	}
	for c := range each {
		r, err := newRoad(byte(1+number*each+c), sells)
		if err != nil {
			return err
		}
		s.roads = append(s.roads, r)
		l := light.NewLeecher(torrent(number, c), socks, r.address())
		l.Life = life
		s.leechers = append(s.leechers, l)
	}
	return s.openGate(ctx, fmt.Sprintf("buyer %d", number+1), program, dir, scenario.Options{
		"listen": scenario.Options{"socks5": socks}, "lightning": node,
		"sell": scenario.Options{"sample_per_day": "256 MiB"},
		"buy": scenario.Options{
			"per_torrent": plenty.String(), "per_day": plenty.String(), "total": plenty.String(),
			"min": purchase.String(), "max": purchase.String(),
			"rules": []scenario.Options{{"name": "soak", "torrents": "any", "max_price": price().String()}},
		},
	})
}

func (s *soak) openGate(ctx context.Context, name, program, dir string, config scenario.Options) error {
	g, err := scenario.StartGate(ctx, program, filepath.Join(dir, strings.ReplaceAll(name, " ", "")), config)
	if err != nil {
		return fmt.Errorf("%s's paygate: %w", name, err)
	}
	s.gates = append(s.gates, &gate{Gate: g, name: name})
	return nil
}

// reload changes something in every configuration and has it read again.
func (s *soak) reload() error {
	from, to := "256 MiB", "255 MiB"
	if s.reloads.Load()%2 == 1 {
		from, to = to, from
	}
	s.reloads.Add(1)
	for _, g := range s.gates {
		if err := g.Rewrite(func(text string) string { return strings.Replace(text, from, to, 1) }); err != nil {
			return err
		}
		if err := syscall.Kill(g.Process().PID(), syscall.SIGHUP); err != nil {
			return fmt.Errorf("reload %s: %w", g.name, err)
		}
	}
	return nil
}
