package config

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// environment answers from a map.
func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func TestSecretsAndWhereTheyComeFrom(t *testing.T) {
	dir := t.TempDir()
	digits := strings.Repeat("0A", 60)
	cert := testCertificate(t)
	write(t, filepath.Join(dir, "c.cert"), cert, 0o644)
	write(t, filepath.Join(dir, "binary.macaroon"), strings.Repeat("\x0b", 60), 0o600)
	write(t, filepath.Join(dir, "hex.macaroon"), digits+"\n", 0o600)
	write(t, filepath.Join(dir, "open.macaroon"), digits+"\n", 0o604)
	write(t, filepath.Join(dir, "short.macaroon"), "x", 0o600)
	a, b := strings.Repeat("0a", 60), strings.Repeat("0b", 60)
	lnds := "0201036c6e64" + strings.Repeat("fbff", 40) // begins as lnd's do, with letters that differ in base64url
	write(t, filepath.Join(dir, "base64.macaroon"), base64Of(lnds)+"\n", 0o600)
	block, _ := pem.Decode([]byte(cert))
	write(t, filepath.Join(dir, "base64.cert"), base64.StdEncoding.EncodeToString(block.Bytes), 0o644)
	for _, c := range []struct {
		name, cert, macaroon string
		env                  map[string]string
		want, problem        string
	}{
		{"binary file", "c.cert", "binary.macaroon", nil, b, ""},
		{"hex file", "c.cert", "hex.macaroon", nil, a, ""},
		{"hex itself", "c.cert", digits, nil, a, ""},
		{"base64 itself", "c.cert", base64Of(lnds), nil, lnds, ""},
		{"base64url itself", "c.cert", strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(base64Of(lnds)), nil, lnds, ""},
		{"base64 file", "c.cert", "base64.macaroon", nil, lnds, ""},
		{"certificate in a base64 file", "base64.cert", "hex.macaroon", nil, a, ""},
		{"certificate in hex", "env:CERT", "hex.macaroon", map[string]string{"CERT": fmt.Sprintf("%x", block.Bytes)}, a, ""},
		{"certificate in base64", "env:CERT", "hex.macaroon", map[string]string{"CERT": base64.StdEncoding.EncodeToString(block.Bytes)}, a, ""},
		{"certificate file in base64", "env:CERT", "hex.macaroon", map[string]string{"CERT": base64.StdEncoding.EncodeToString([]byte(cert))}, a, ""},
		{"home", "~/c.cert", "~/hex.macaroon", map[string]string{"HOME": dir}, a, ""},
		{"named variable", "env:CERT", "env:MAC", map[string]string{"CERT": cert, "MAC": digits}, a, ""},
		{"variable holds a path", "c.cert", "env:MAC", map[string]string{"MAC": "binary.macaroon"}, b, ""},
		{"own variable alone", "", "", map[string]string{"PAYGATE_LIGHTNING_TLS_CERT": cert, "PAYGATE_LIGHTNING_MACAROON": digits}, a, ""},
		{"own variable wins", "c.cert", "binary.macaroon", map[string]string{"PAYGATE_LIGHTNING_MACAROON": digits}, a, ""},
		{"empty variable is none", "c.cert", "hex.macaroon", map[string]string{"PAYGATE_LIGHTNING_MACAROON": ""}, a, ""},
		{"open file", "c.cert", "open.macaroon", nil, a, "p.yaml:3:109: note: lightning.macaroon: other users can open the macaroon file (mode 0604) (chmod 600)"},
		{"unset variable", "c.cert", "env:MAC", nil, "", "lightning.macaroon: environment variable MAC is not set"},
		{"missing file", "c.cert", "none.macaroon", nil, "", "none.macaroon: no such file or directory"},
		{"directory", "c.cert", ".", nil, "", "is not a file of at most 65536 bytes"},
		{"device", "c.cert", "/dev/zero", nil, "", "is not a file of at most 65536 bytes"},
		{"short file", "c.cert", "short.macaroon", nil, "", "the file is too short for a macaroon"},
		{"no certificate", "hex.macaroon", "hex.macaroon", nil, "", "lightning.tls_cert: holds no certificate"},
		{"broken certificate", "env:CERT", "hex.macaroon", map[string]string{"CERT": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "", "holds no certificate"},
		{"broken own variable", "c.cert", "hex.macaroon", map[string]string{"PAYGATE_LIGHTNING_MACAROON": "nope"}, "", "PAYGATE_LIGHTNING_MACAROON: lightning.macaroon: cannot read the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := "data_dir: d\n" + "listen: {peers: 192.0.2.1:6881}\n" + lightningLine(c.cert, c.macaroon) + "client: {address: 127.0.0.1:6881}\n"
			p := &parser{name: "p.yaml", dir: dir, env: environment(c.env)}
			got, err := parse(p, []byte(data))
			if told := fmt.Sprint(p.problems); c.problem == "" && len(p.problems) != 0 || strings.Count(told, c.problem) == 0 || len(p.problems) > 1 {
				t.Errorf("problems %v, want %q", told, c.problem)
			}
			if err == nil && !holdsCertificate(got.Lightning.TLSCert) {
				t.Errorf("certificate %q", got.Lightning.TLSCert)
			}
			if (c.want == "") != (err != nil) || got != nil && got.Lightning.Macaroon.Reveal() != c.want {
				t.Errorf("config %+v, error %v", got, err)
			}
		})
	}
}

func base64Of(digits string) string {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// lightningLine pads the certificate so that the macaroon stands in one column.
func lightningLine(cert, macaroon string) string {
	s := "lightning: {address: 127.0.0.1:1"
	if cert != "" {
		s += ", tls_cert: " + cert
	}
	if macaroon != "" {
		s += fmt.Sprintf("%*s, macaroon: %s", 96-len(s), "", macaroon)
	}
	return s + "}\n"
}

func TestProblemsNeverShowSecrets(t *testing.T) {
	for _, secret := range []string{
		strings.Repeat("0a", 60) + "0",          // a digit too many
		strings.Repeat("0a", 60) + "g",          // a letter too many
		"AgEDbG5kAvgBAwoQ/x+4Qe2mHs0Y9zQ8dGVzd", // base64
		strings.Repeat("s3cret", 60),
	} {
		data := base + "lightning: {address: 127.0.0.1:1, tls_cert: " + secret + ", macaroon: " + secret + "}\n"
		_, err := Parse("p.yaml", []byte(data), environment(map[string]string{"HOME": "/nonexistent"}))
		if err == nil || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("told %v", err)
		}
	}
	long := strings.Repeat("s3cret", 60)
	_, err := Parse("p.yaml", []byte("listen: {socks5: 127.0.0.1:1, socks5_user: u, socks5_password: "+long+"}\n"), environment(map[string]string{"HOME": "/x"}))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("told %v", err)
	}
}

func TestHomeMustBeKnown(t *testing.T) {
	_, err := Parse("p.yaml", []byte(base), environment(nil))
	if err == nil || !strings.HasPrefix(err.Error(), `p.yaml: data_dir: "~/.paygate" needs HOME, which is not set`) {
		t.Errorf("told %v", err)
	}
}
