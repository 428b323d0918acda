package lnclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"gopkg.in/macaroon.v2"

	"paygate/units"
)

// maxAnswer bounds one message from the node: a page of invoices is the largest that is asked for.
const maxAnswer = 64 << 20

// dial prepares a connection that goes straight to the node (no proxy from the environment) and comes back within
// seconds of the node's return. lnd refuses pings more often than every 5 s; 30 s is far from that.
func dial(address string, tls *watchedTLS, mac macaroonCredential) (*grpc.ClientConn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(tls),
		grpc.WithPerRPCCredentials(mac),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
}

// watchedTLS remembers why the last handshake failed, because gRPC keeps only its text.
type watchedTLS struct {
	credentials.TransportCredentials
	last *atomic.Pointer[error]
}

func newWatchedTLS(pem []byte) (*watchedTLS, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(pem) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no PEM certificate in it")
		}
	}
	return &watchedTLS{TransportCredentials: credentials.NewTLS(cfg), last: new(atomic.Pointer[error])}, nil
}

// ClientHandshake does the TLS handshake and notes how it went.
func (w *watchedTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	w.last.Store(&err)
	return conn, info, err
}

// Clone shares the note with the copy that gRPC makes for a connection.
func (w *watchedTLS) Clone() credentials.TransportCredentials {
	return &watchedTLS{TransportCredentials: w.TransportCredentials.Clone(), last: w.last}
}

// refusedCert reports whether the last handshake failed over the node's certificate.
func (w *watchedTLS) refusedCert() bool {
	p := w.last.Load()
	if p == nil {
		return false
	}
	var verify *tls.CertificateVerificationError
	return errors.As(*p, &verify)
}

var (
	errNotHex      = errors.New("it is not hexadecimal")
	errNotMacaroon = errors.New("it is not a macaroon")
)

// macaroonCredential sends a macaroon with every call, over TLS only.
type macaroonCredential struct{ hex units.Secret }

func newMacaroonCredential(s units.Secret) (macaroonCredential, error) {
	text := strings.TrimSpace(s.Reveal())
	raw, err := hex.DecodeString(text)
	if err != nil {
		return macaroonCredential{}, errNotHex
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(raw); err != nil {
		return macaroonCredential{}, errNotMacaroon
	}
	return macaroonCredential{hex: units.Secret(text)}, nil
}

// GetRequestMetadata hands gRPC the macaroon.
func (m macaroonCredential) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": m.hex.Reveal()}, nil
}

// RequireTransportSecurity keeps the macaroon off plain connections.
func (macaroonCredential) RequireTransportSecurity() bool { return true }
