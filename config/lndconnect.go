package config

import (
	"encoding/hex"
	"net/url"
	"strings"

	"paygate/units"
)

// connection is what an lndconnect URI carries: where a node is and the right to use it.
type connection struct {
	address  string
	cert     []byte // PEM; nil: a certificate that the system trusts
	macaroon units.Secret
}

const (
	connectScheme = "lndconnect://"
	lndPort       = "10009" // lnd's own default, for a URI without one
)

// connect reads an lndconnect URI, or the file that holds one. The URI is a secret: no message shows any of it.
func (p *parser) connect(dst **connection) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		if isConnect(s) {
			*dst, err = parseConnect(s)
			return err
		}
		data, mode, err := p.file(s, "it takes an lndconnect:// URI, a file that holds one, or env:NAME")
		if err != nil {
			return err
		}
		if *dst, err = parseConnect(strings.TrimSpace(string(data))); err != nil {
			return err
		}
		return openToOthers("the lndconnect file", mode)
	}
}

func isConnect(s string) bool {
	return len(s) >= len(connectScheme) && strings.EqualFold(s[:len(connectScheme)], connectScheme)
}

// parseConnect reads lndconnect://host:port?cert=…&macaroon=…, both in base64url, the certificate in DER.
func parseConnect(s string) (*connection, error) {
	u, err := url.Parse(s)
	if err != nil || !isConnect(s) {
		return nil, badConnect("it must be lndconnect://host:port?cert=...&macaroon=...")
	}
	c := &connection{}
	host := u.Host
	if u.Port() == "" {
		host = strings.TrimSuffix(host, ":") + ":" + lndPort
	}
	if farAddress(&c.address)(host) != nil {
		return nil, badConnect("its host and port cannot be read")
	}
	query := u.Query()
	if text := query.Get("cert"); text != "" {
		if c.cert = certificateText(text); c.cert == nil {
			return nil, badConnect("cert is no certificate in base64url")
		}
	}
	raw, ok := decodeBase64(query.Get("macaroon"))
	if !ok || len(raw) < minMacaroon {
		return nil, badConnect("macaroon is missing, or is not base64url")
	}
	c.macaroon = units.Secret(hex.EncodeToString(raw))
	return c, nil
}

func badConnect(why string) error {
	return &fault{message: "is not an lndconnect URI: " + why, remedy: "copy the whole URI, quoted, on one line"}
}

// takeConnection lets an lndconnect URI stand for address, tls_cert and macaroon, none of which may be told twice.
func (p *parser) takeConnection(l *Lightning) {
	if p.connection == nil {
		return
	}
	for _, o := range []struct {
		key string
		set bool
	}{{"address", l.Address != ""}, {"tls_cert", l.TLSCert != nil}, {"macaroon", l.Macaroon != ""}} {
		path := join("lightning", o.key)
		if o.set || p.given(path) {
			remedy := "remove one of the two"
			if !p.given(path) {
				remedy = "unset " + variableName(path) + ", or remove lightning.lndconnect"
			}
			p.wrong(path, "is told by lightning.lndconnect too", remedy)
		}
	}
	l.Address, l.TLSCert, l.Macaroon = p.connection.address, p.connection.cert, p.connection.macaroon
}
