package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paygate/lnclient"
)

const validConfig = `data_dir: data
listen: {peers: 192.0.2.1:6881, socks5: 127.0.0.1:1080}
client: {address: 127.0.0.1:6881}
lightning: {address: 127.0.0.1:10009, tls_cert: tls.cert, macaroon: paygate.macaroon, network: regtest}
sell:
  rules:
    - {name: films, torrents: [0123456789abcdef0123456789abcdef01234567], price: 25 sat per GiB, sample: 1 MiB, rights: own}
    - {torrents: [1123456789abcdef0123456789abcdef01234567, 2123456789abcdef0123456789abcdef01234567], price: 1.5 sat per 100 MiB, legacy: throttle, rights: licensed, min: 1 sat}
    - {name: the rest, torrents: any, price: free}
buy:
  per_torrent: 500 sat
  per_day: 1000 sat
  total: 0.0001 btc
  max: 600 sat
  rules:
    - {torrents: any, max_price: 40 sat per GiB}
`

const brokenConfig = `listen: {peers: 192.0.2.1:6881}
client: {adress: 127.0.0.1:6881}
sell:
  rules:
    - all_torrents: true
      price: 25 sat
buy: {max: 5}
`

// configDir holds a valid configuration with all that it names, and a broken one.
func configDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "paygate.yaml"), validConfig)
	writeFile(t, filepath.Join(dir, "broken.yaml"), brokenConfig)
	writeFile(t, filepath.Join(dir, "tls.cert"), certificate(t))
	writeFile(t, filepath.Join(dir, "paygate.macaroon"), strings.Repeat("0a", 60))
	return dir
}

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCheck(t *testing.T) {
	dir := configDir(t)
	for _, c := range []struct {
		golden string
		code   int
		args   []string
	}{
		{"check-valid.txt", 0, []string{"check"}},
		{"check-valid.json", 0, []string{"check", "--json"}},
		{"check-broken.txt", exitConfiguration, []string{"check", "-c", "broken.yaml"}},
		{"check-broken.json", exitConfiguration, []string{"check", "-c", "broken.yaml", "--json"}},
	} {
		got := runIn(t, dir, c.args...)
		if got.code != c.code || got.stderr != "" {
			t.Errorf("%q: status %d, told %q", c.args, got.code, got.stderr)
		}
		text := got.stdout
		if strings.HasSuffix(c.golden, ".json") {
			text = indented(t, text)
		}
		golden(t, c.golden, text, dir, "DIR")
	}
}

// indented checks that text is exactly one JSON value on one line, and spreads it out for reading.
func indented(t *testing.T, text string) string {
	t.Helper()
	var v any
	if strings.Count(text, "\n") != 1 || json.Unmarshal([]byte(text), &v) != nil {
		t.Fatalf("%q is not one JSON value on one line", text)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// TestExampleConfiguration checks the example that newcomers copy, with the real command.
func TestExampleConfiguration(t *testing.T) {
	example, err := filepath.Abs("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got := runIn(t, dir, "check", "-c", example)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	golden(t, "check-example.txt", got.stdout, example, "config.example.yaml", dir, "HOME")
}

// TestExampleBakesTheRightMacaroon holds the lncli command in the example against what lnclient calls.
func TestExampleBakesTheRightMacaroon(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, word := range strings.Fields(string(data)) {
		if uri, ok := strings.CutPrefix(word, "uri:"); ok {
			named = append(named, uri)
		}
	}
	wanted := lnclient.Permissions(true, true)
	slices.Sort(named)
	slices.Sort(wanted)
	if !slices.Equal(named, wanted) {
		t.Errorf("the example names\n%q\nlnclient calls\n%q", named, wanted)
	}
}
