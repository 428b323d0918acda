package mse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/units"
)

// recorded is what an initiator says in a whole handshake, up to and with some words behind it.
func recorded(t *testing.T) []byte {
	a, b := pair(t)
	tap, c := pair(t)
	said := make(chan []byte, 1)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(c, io.TeeReader(b, &all))
		c.CloseWrite()
		said <- all.Bytes()
	}()
	go func() { _, _ = io.Copy(b, c) }()
	go func() {
		_, _ = Initiate(within(t), a, hashOf(0), RC4, random(68), nil)
		a.CloseWrite()
	}()
	if _, err := Receive(within(t), tap, Reception{Torrents: [][]units.InfoHash{hashes(0, 1)}, Choose: take(RC4)}); err != nil {
		t.Fatal(err)
	}
	all := <-said
	tap.Close()
	return all
}

// hear says b to a receiver, ends, and returns what the receiver makes of it.
func hear(t testing.TB, b []byte) error {
	a, c := pair(t)
	defer a.Close()
	defer c.Close()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, a)
	}()
	_, _ = a.Write(b)
	a.CloseWrite()
	_, err := Receive(within(t), c, Reception{Torrents: [][]units.InfoHash{hashes(0, 1)}, Choose: take(RC4)})
	c.Close()
	<-drained
	return err
}

// TestHostileInitiators says a recorded handshake again, which fails since the receiver's half of the secret is new, and
// cuts it off everywhere, and garbage of many lengths.
func TestHostileInitiators(t *testing.T) {
	all := recorded(t)
	if err := hear(t, all); err == nil {
		t.Error("a replay was taken")
	}
	for n := 0; n < len(all); n += 7 {
		if err := hear(t, all[:n]); err == nil {
			t.Fatalf("%d of %d bytes were enough", n, len(all))
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		if err := hear(t, rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(r, "garbage")); err == nil {
			r.Fatal("garbage was taken")
		}
	})
	for name, b := range map[string][]byte{
		"zeros": make([]byte, 4000), "ones": bytes.Repeat([]byte{0xff}, 4000), "one": append(make([]byte, 95), append([]byte{1}, make([]byte, 600)...)...),
	} {
		if err := hear(t, b); err == nil {
			t.Errorf("%s were taken", name)
		}
	}
}

// TestTruncatedFirstWords is about an initial payload that is announced and does not come, which anacrolix overlooks.
func TestTruncatedFirstWords(t *testing.T) {
	a, b := pair(t)
	cut, c := pair(t)
	go func() {
		_, _ = io.Copy(c, io.LimitReader(b, 96+512+20+20+8+4+2+512+2+1000))
		c.CloseWrite()
	}()
	go func() { _, _ = io.Copy(b, c) }()
	go func() { _, _ = Initiate(within(t), a, hashOf(0), RC4, random(60000), nil); a.Close() }()
	if r, err := Receive(within(t), cut, Reception{Torrents: [][]units.InfoHash{hashes(0, 1)}, Choose: take(RC4)}); err == nil {
		t.Errorf("took %d of 60000 bytes for whole", len(r.Early))
	}
	cut.Close()
}

func TestEndsWithItsContext(t *testing.T) {
	for name, do := range map[string]func(context.Context, *net.TCPConn) error{
		"receive": func(ctx context.Context, c *net.TCPConn) error {
			_, err := Receive(ctx, c, Reception{Choose: take(RC4)})
			return err
		},
		"initiate": func(ctx context.Context, c *net.TCPConn) error {
			_, err := Initiate(ctx, c, hashOf(0), RC4, nil, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if err := do(ctx, a); err == nil {
				t.Error("no error")
			}
			b, _ := pair(t)
			ctx, stop := context.WithCancel(context.Background())
			time.AfterFunc(20*time.Millisecond, stop)
			if err := do(ctx, b); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
