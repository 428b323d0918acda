package doctor

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"paygate/client"
)

// door answers knocks by a function; nil means silence.
func door(t *testing.T, answer func([]byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if out := answer(buf[:n]); out != nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func state(p []byte) []byte {
	out := append([]byte(nil), p[:utpHeader]...)
	out[0] = utpState<<4 | utpVersion
	return out
}

func TestUTPKnock(t *testing.T) {
	resets := make(chan byte, 10)
	for _, tt := range []struct {
		name   string
		answer func([]byte) []byte
		want   bool
	}{
		{"one that takes it up", func(p []byte) []byte {
			if p[0] != utpSyn<<4|utpVersion {
				resets <- p[0]
				return nil
			}
			return state(p)
		}, true},
		{"one that refuses", func(p []byte) []byte { p[0] = utpReset<<4 | utpVersion; return p }, false},
		{"one that speaks of another connection", func(p []byte) []byte { p = state(p); p[3]++; return p }, false},
		{"one that says too little", func(p []byte) []byte { return state(p)[:utpHeader-1] }, false},
		{"one that echoes", func(p []byte) []byte { return p }, false},
		{"one that is silent", func([]byte) []byte { return nil }, false},
	} {
		if got := utpKnock(t.Context(), door(t, tt.answer)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if kind := <-resets; kind != utpReset<<4|utpVersion {
		t.Errorf("after the answer came %#x", kind)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if utpKnock(ctx, netip.MustParseAddrPort("127.0.0.1:9")) {
		t.Error("nobody answers")
	}
}

func TestUTP(t *testing.T) {
	at := door(t, state)
	c := seller()
	c.Client.Address = at.String()
	if f := utp(t.Context(), c, good(), nil, nil); f.Verdict != Fail || !strings.Contains(f.Remedy, "BTProtocol") || !strings.Contains(f.Text, at.String()) {
		t.Errorf("%+v", f)
	}
	c.Listen.Peers = at.String()
	if f := utp(t.Context(), c, client.Settings{}, nil, &Running{}); f.Verdict != Pass {
		t.Errorf("paygate's own: %+v", f)
	}
}
