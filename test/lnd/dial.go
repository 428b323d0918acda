package lnd

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"paygate/test/clients"
	"paygate/units"
)

// callPatience bounds a call that a node should answer at once. A node that is starting may not answer at all.
const callPatience = 10 * time.Second

// macaroon is sent with every call.
type macaroon units.Secret

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (m macaroon) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": units.Secret(m).Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (macaroon) RequireTransportSecurity() bool { return true }

// dial prepares a connection to a node's gRPC. It comes back soon after the node does.
func dial(address string, cert []byte, m units.Secret) (*grpc.ClientConn, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cert) {
		return nil, errors.New("the node's certificate cannot be read")
	}
	soon := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: pollEvery, Multiplier: 1.5, MaxDelay: 10 * pollEvery},
		MinConnectTimeout: callPatience,
	}
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")),
		grpc.WithPerRPCCredentials(macaroon(m)),
		grpc.WithConnectParams(soon),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)),
	)
}

// freeAddress is a loopback address with a port on which nothing listens.
func freeAddress() (string, error) {
	port, err := clients.FreePort()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String(), err
}
