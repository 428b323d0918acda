package doctor

import (
	"net"
	"testing"

	"paygate/client"
	"paygate/config"
)

func TestHTTPPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	for name, c := range map[string]struct {
		address string
		running *Running
		want    Verdict
	}{
		"free":      {"127.0.0.1:0", nil, Pass},
		"ours":      {at, &Running{HTTP: at}, Pass},
		"another's": {at, &Running{SOCKS5: at}, Fail},
	} {
		if f := httpPort(t.Context(), c.address, c.running); f.Verdict != c.want || f.Check != CheckHTTP {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestAnnouncedThroughProxies(t *testing.T) {
	proxied := func(at string) client.Settings {
		var s client.Settings
		s.ListenPort, s.Proxy.Kind, s.Proxy.Address, s.Proxy.Peers = 51413, "http", at, true
		return s
	}
	for name, c := range map[string]struct {
		http  string
		dials bool
		s     client.Settings
		want  Verdict
	}{
		"through HTTP":          {"127.0.0.1:8118", false, proxied("127.0.0.1:8118"), Pass},
		"through another proxy": {"127.0.0.1:8118", false, proxied("127.0.0.1:3128"), Fail},
		"by its environment":    {"127.0.0.1:8118", true, client.Settings{ListenPort: 51413}, Skip},
		"the same port anyway":  {"127.0.0.1:8118", true, client.Settings{ListenPort: 6881}, Pass},
	} {
		cfg := &config.Config{}
		cfg.Listen.Peers, cfg.Listen.HTTP, cfg.Client.DialTrackers = "192.0.2.1:6881", c.http, c.dials
		if f := announced(cfg, c.s, nil); f.Verdict != c.want {
			t.Errorf("%s: %+v", name, f)
		}
	}
	cfg := &config.Config{}
	cfg.Listen.HTTP = "127.0.0.1:8118"
	if f := outgoing(cfg, proxied("127.0.0.1:8118")); f.Verdict != Pass {
		t.Errorf("peers by CONNECT: %+v", f)
	}
}
