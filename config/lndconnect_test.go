package config

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// connectURI writes a URI as the programs that show them do. An empty certificate is left out.
func connectURI(host, cert, macaroon string) string {
	uri := "lndconnect://" + host + "?"
	if block, _ := pem.Decode([]byte(cert)); block != nil {
		uri += "cert=" + base64.RawURLEncoding.EncodeToString(block.Bytes) + "&"
	}
	return uri + "macaroon=" + base64.RawURLEncoding.EncodeToString([]byte(macaroon))
}

func TestLndconnect(t *testing.T) {
	dir := t.TempDir()
	cert := testCertificate(t)
	mac := "\x02\x01\x03lnd" + strings.Repeat("\xfb\xff", 40)
	full := connectURI("node.example:10010", cert, mac)
	write(t, filepath.Join(dir, "node.lndconnect"), full+"\n", 0o600)
	write(t, filepath.Join(dir, "open.lndconnect"), full, 0o644)
	write(t, filepath.Join(dir, "c.cert"), cert, 0o644)
	for _, c := range []struct {
		name, options string
		env           map[string]string
		address       string // empty: not valid
		problem       string
	}{
		{"URI", "lndconnect: '" + full + "'", nil, "node.example:10010", ""},
		{"file", "lndconnect: node.lndconnect", nil, "node.example:10010", ""},
		{"file that others can read", "lndconnect: open.lndconnect", nil, "node.example:10010", "note: lightning.lndconnect: other users can open the lndconnect file (mode 0644) (chmod 600)"},
		{"variable", "lndconnect: env:NODE", map[string]string{"NODE": full}, "node.example:10010", ""},
		{"own variable", "network: regtest", map[string]string{"PAYGATE_LIGHTNING_LNDCONNECT": full}, "node.example:10010", ""},
		{"own variable names a file", "network: regtest", map[string]string{"PAYGATE_LIGHTNING_LNDCONNECT": "node.lndconnect"}, "node.example:10010", ""},
		{"address of six words", "lndconnect: '" + connectURI("[::1]:10009", cert, mac) + "'", nil, "[::1]:10009", ""},
		{"no port", "lndconnect: '" + connectURI("127.0.0.1", cert, mac) + "'", nil, "127.0.0.1:10009", ""},
		{"padded, in the other alphabet", "lndconnect: '" + padded(connectURI("h:1", cert, mac)) + "'", nil, "h:1", ""},
		{"no certificate: the system's roots decide", "lndconnect: '" + connectURI("h:1", "", mac) + "'", nil, "h:1", ""},
		{"network beside it", "lndconnect: node.lndconnect, network: signet", nil, "node.example:10010", ""},
		{"address beside it", "lndconnect: node.lndconnect, address: 127.0.0.1:1", nil, "", "lightning.address: is told by lightning.lndconnect too (remove one of the two)"},
		{"certificate beside it", "lndconnect: node.lndconnect, tls_cert: c.cert", nil, "", "lightning.tls_cert: is told by lightning.lndconnect too (remove one of the two)"},
		{
			"macaroon in the environment beside it", "lndconnect: node.lndconnect",
			map[string]string{"PAYGATE_LIGHTNING_MACAROON": strings.Repeat("0a", 60)},
			"",
			"lightning.macaroon: is told by lightning.lndconnect too (unset PAYGATE_LIGHTNING_MACAROON, or remove lightning.lndconnect)",
		},
		{"another scheme", "lndconnect: 'https://h:1?macaroon=" + strings.Repeat("Ag", 60) + "'", nil, "", "lightning.lndconnect: cannot read"},
		{"no host", "lndconnect: '" + connectURI("", cert, mac) + "'", nil, "", "its host and port cannot be read"},
		{"bad port", "lndconnect: '" + connectURI("h:99999", cert, mac) + "'", nil, "", "its host and port cannot be read"},
		{"no URI at all", "lndconnect: 'lndconnect://%zz'", nil, "", "it must be lndconnect://host:port?cert=...&macaroon=..."},
		{"no macaroon", "lndconnect: 'lndconnect://h:1'", nil, "", "macaroon is missing, or is not base64url"},
		{"short macaroon", "lndconnect: 'lndconnect://h:1?macaroon=AgED'", nil, "", "macaroon is missing, or is not base64url"},
		{"broken certificate", "lndconnect: 'lndconnect://h:1?cert=AAAA&macaroon=" + strings.Repeat("Ag", 60) + "'", nil, "", "cert is no certificate in base64url"},
		{"file that holds none", "lndconnect: c.cert", nil, "", "is not an lndconnect URI"},
		{"missing file", "lndconnect: none.lndconnect", nil, "", "none.lndconnect: no such file or directory"},
		{"unset variable", "lndconnect: env:NODE", nil, "", "environment variable NODE is not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := "data_dir: d\nlisten: {peers: 192.0.2.1:6881}\nclient: {address: 127.0.0.1:6881}\nlightning: {" + c.options + "}\n"
			p := &parser{name: "p.yaml", dir: dir, env: environment(c.env)}
			got, err := parse(p, []byte(data))
			if told := fmt.Sprint(p.problems); c.problem == "" && len(p.problems) != 0 || !strings.Contains(told, c.problem) || len(p.problems) > 1 {
				t.Errorf("problems %v, want %q", told, c.problem)
			}
			if (c.address == "") != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			l := got.Lightning
			if l.Address != c.address || l.Macaroon.Reveal() != fmt.Sprintf("%x", mac) || (l.TLSCert == nil) != (c.name == "no certificate: the system's roots decide") {
				t.Errorf("%+v", l)
			}
		})
	}
}

// padded rewrites a URI's values as programs do that know the standard alphabet only.
func padded(uri string) string {
	head, query, _ := strings.Cut(uri, "?")
	fields := strings.Split(query, "&")
	for i, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		raw, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			panic(err)
		}
		fields[i] = name + "=" + base64.StdEncoding.EncodeToString(raw)
	}
	return head + "?" + strings.Join(fields, "&")
}

// TestLndconnectMakesANode: rules that move money are content with it.
func TestLndconnectMakesANode(t *testing.T) {
	uri := connectURI("127.0.0.1:10009", testCertificate(t), strings.Repeat("\x02", 60))
	data := base + "lightning: {lndconnect: '" + uri + "'}\nsell: {rules: [{all_torrents: true, price: 1 sat per GiB, rights: own}]}\n"
	c, err := Parse("p.yaml", []byte(data), homeEnv(t))
	if err != nil || !c.Lightning.Enabled() || c.Lightning.AllowAdmin {
		t.Fatalf("%+v, %v", c, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", c), strings.Repeat("02", 60)) {
		t.Error("the macaroon can be printed")
	}
}

func TestProblemsNeverShowAnLndconnectURI(t *testing.T) {
	secret := strings.Repeat("Ag", 60)
	for _, uri := range []string{
		"lndconnect://h:99999?macaroon=" + secret, "lndconnect://h:1?macaroon=*" + secret, "lndconnect://%zz?macaroon=" + secret,
		"lndconect://h:1?macaroon=" + secret, "h:1?macaroon=" + secret, secret,
	} {
		_, err := Parse("p.yaml", []byte(base+"lightning: {lndconnect: '"+uri+"'}\n"), homeEnv(t))
		if err == nil || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%q: told %v", uri, err)
		}
	}
}

func TestAnOpenFileWithAnLndconnectURIIsNoted(t *testing.T) {
	uri := connectURI("127.0.0.1:10009", testCertificate(t), strings.Repeat("\x02", 60))
	p := &parser{name: "p.yaml", env: homeEnv(t), mode: 0o644}
	if _, err := parse(p, []byte(base+"lightning: {lndconnect: '"+uri+"'}\n")); err != nil || len(p.problems) != 1 ||
		!strings.Contains(p.problems[0].String(), "other users can read this file (mode 0644), and a secret stands in it (chmod 600 the file, or set PAYGATE_LIGHTNING_LNDCONNECT instead)") {
		t.Errorf("%v, %v", p.problems, err)
	}
}
