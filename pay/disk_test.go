package pay

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

const fullDiskVariable = "PAY_TEST_FULL_DISK"

// onAFullDisk runs the rest of a test in a process of its own, in which a disk can be filled: the limit on the size
// of files holds for the whole process.
func onAFullDisk(t *testing.T, rest func(t *testing.T)) {
	t.Helper()
	if os.Getenv(fullDiskVariable) != "" {
		rest(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), fullDiskVariable+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fillDisk makes every write to a file fail, but for the first few bytes of one, until the disk is emptied.
func fillDisk(t *testing.T) { limitFiles(t, 64) }

func emptyDisk(t *testing.T) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Error(err)
	}
	limitFiles(t, l.Max)
}

func limitFiles(t *testing.T, size uint64) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Error(err)
	}
	l.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Error(err)
	}
}

// on calls then when the first message of a type passes, before it is heard.
func on(s *sim, kind string, then func()) {
	done := false
	s.tamper = func(b []byte) []byte {
		if m, err := wire.ParseMessage(b); err == nil && m.Type() == kind && !done {
			done = true
			then()
		}
		return b
	}
}

// TestNothingIsPaidThatCannotBeJournalled fills the disk just when the first invoice arrives, and empties it later.
func TestNothingIsPaidThatCannotBeJournalled(t *testing.T) {
	onAFullDisk(t, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sell, buy := simRules()
			s := newSim(t, newBank(70*time.Millisecond), sell, buy)
			defer s.sellerL.Close()
			defer s.buyerL.Close()
			on(s, "invoice", func() { fillDisk(t) })
			s.start()
			s.transfer(time.Minute)
			if s.bank.pays != 0 {
				t.Errorf("%d payments were made while the disk was full", s.bank.pays)
			}
			if s.got > int64(sell.Rules[0].Sample) {
				t.Errorf("%d bytes were served", s.got)
			}
			emptyDisk(t)
			if open, err := s.buyerL.Purchases(t.Context(), 10); err != nil || len(open) != 0 {
				t.Errorf("%d purchases are journalled, %v", len(open), err)
			}
			s.transfer(10 * time.Minute)
			time.Sleep(3 * time.Second)
			s.close()
			seller, buyer := s.totals()
			if s.got != s.size || s.bank.pays == 0 || buyer.Paid != seller.Received || seller.Received != s.bank.sent {
				t.Errorf("%d of %d bytes came once there was room; %d payments, paid %v, received %v", s.got, s.size, s.bank.pays, buyer.Paid, seller.Received)
			}
		})
	})
}

// TestNothingIsSentThatCannotBeNoted fills the disk between the reservation and the payment.
func TestNothingIsSentThatCannotBeNoted(t *testing.T) {
	onAFullDisk(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		inv, err := s.bank.node(1).Issue(t.Context(), Order{Msat: 10 * units.Sat})
		if err != nil {
			t.Fatal(err)
		}
		in := ledger.Intent{
			Hash: inv.Hash, Seller: units.PeerKey{1}, InfoHash: s.infoHash, Price: sell.Rules[0].Price,
			Buys: 1, Msat: 10 * units.Sat, Request: inv.Request, Expires: inv.Expires,
		}
		if err := s.buyerL.Reserve(t.Context(), in, s.buyer.rules().caps); err != nil {
			t.Fatal(err)
		}
		fillDisk(t)
		out := make(chan Outcome, 1)
		s.buyer.pay(t.Context(), job{intent: in, done: func(o Outcome) { out <- o }})
		emptyDisk(t)
		if o := <-out; o.State != Failed || s.bank.pays != 0 {
			t.Errorf("outcome %+v, %d payments", o, s.bank.pays)
		}
		if list, err := s.buyerL.OpenPurchases(t.Context()); err != nil || len(list) != 1 || list[0].State != ledger.StateIntent {
			t.Errorf("%+v, %v: the reservation must stay until it can be resolved", list, err)
		}
	})
}

// TestFullDiskSellsNothingTwice fills the disk in the middle of a paid transfer, and lets the buyer come back again
// and again: it is given what was leased once, and the rest is charged for.
func TestFullDiskSellsNothingTwice(t *testing.T) {
	onAFullDisk(t, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sell, buy := simRules()
			buy.Total = 30 * units.Sat
			s := newSim(t, newBank(0), sell, buy)
			defer s.sellerL.Close()
			defer s.buyerL.Close()
			ctx, cancel := context.WithCancel(context.Background())
			s.stop = cancel
			for _, d := range []*Desk{s.seller, s.buyer} {
				s.wg.Go(func() { _ = d.Run(ctx) })
			}
			session, hangUp := context.WithCancel(ctx)
			s.connect(session)
			s.transfer(1500 * time.Millisecond)
			fillDisk(t)
			for range 5 {
				s.transfer(10 * time.Second)
				hangUp()
				time.Sleep(time.Second)
				session, hangUp = context.WithCancel(ctx)
				s.connect(session)
			}
			full := s.got
			emptyDisk(t)
			s.transfer(time.Minute)
			hangUp()
			s.close()
			seller, _ := s.totals()
			rule := sell.Rules[0]
			// What one session had served and could not write down before it ended is lost, at most one purchase.
			if most := rule.Sample + rule.Price.Buys(seller.Received+30*units.Sat); units.Bytes(s.got) > most || full == 0 {
				t.Errorf("%d bytes were served, %d of them before there was room, for %v and a sample", s.got, full, seller.Received)
			}
			if seller.Earned > seller.Received {
				t.Errorf("earned %v, received %v", seller.Earned, seller.Received)
			}
		})
	})
}

// TestFreeTorrentsFlowOnAFullDisk relays a torrent that no rule charges for through a real proxy.
func TestFreeTorrentsFlowOnAFullDisk(t *testing.T) {
	onAFullDisk(t, func(t *testing.T) {
		charged, free := units.InfoHash{1}, units.InfoHash{2}
		sell, _ := simRules()
		sell.Rules[0].Any, sell.Rules[0].InfoHash = false, []units.InfoHash{charged}
		dir := t.TempDir()
		l := openLedger(t, filepath.Join(dir, "seller.sqlite"))
		defer l.Close()
		desk := newDesk(t, Config{Network: "regtest", Sell: sell}, l, newBank(0).node(1), filepath.Join(dir, "key"))
		client := listen(t)
		p, err := proxy.New(proxy.Config{
			Peers: "127.0.0.1:0", Client: client.Addr().String(), AliasFile: filepath.Join(dir, "aliases"),
			HandshakeTimeout: 5 * time.Second, DrainTimeout: time.Second, PerAddress: 10,
		}, proxy.Deps{Desk: desk, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 2)
		go func() { done <- p.Run(ctx) }()
		go func() { done <- desk.Run(ctx) }()

		fillDisk(t)
		if err := l.SetMeta(ctx, "k", "v"); err == nil {
			t.Error("the disk is not full")
		}
		exchange(t, p.PeersAddr().String(), client, free)
		emptyDisk(t)
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// exchange shakes hands between a stranger and the client, and serves it a block that it has asked for.
func exchange(t *testing.T, peers string, client net.Listener, ih units.InfoHash) {
	t.Helper()
	remote, err := net.Dial("tcp", peers)
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	head := wire.NewHead(ih)
	send(t, remote, append(head[:], "-XX0001-stranger...."...))
	local, err := client.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for _, c := range []net.Conn{remote, local} {
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, local, head[:20])
	expect(t, local, make([]byte, wire.HandshakeLen-20))
	send(t, local, append(head[:], "-XX0001-client......"...))
	expect(t, remote, head[:20])
	expect(t, remote, make([]byte, wire.HandshakeLen-20))
	asked := wire.AppendRequest(nil, wire.Block{Length: block})
	send(t, remote, asked)
	expect(t, local, asked)
	piece := binary.BigEndian.AppendUint32(nil, 9+block)
	piece = append(piece, 7, 0, 0, 0, 0, 0, 0, 0, 0)
	piece = append(piece, bytes.Repeat([]byte{0x5a}, block)...)
	send(t, local, piece)
	expect(t, remote, piece)
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// expect reads what was sent; of zeros it wants the length alone.
func expect(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(want, "\x00")) > 0 && !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came that were not sent so", len(got))
	}
}
