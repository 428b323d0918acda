package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// newServer makes the gRPC server that stands for the node's. Stop waits for its handlers.
func (node *Node) newServer() (*grpc.Server, error) {
	pair, err := tls.X509KeyPair([]byte(node.account.Cert), []byte(node.account.CertKey))
	if err != nil {
		return nil, fmt.Errorf("read certificate of node %s: %w", node.alias, err)
	}
	s := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})),
		grpc.UnaryInterceptor(node.guardUnary),
		grpc.StreamInterceptor(node.guardStream),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
	)
	lnrpc.RegisterLightningServer(s, &lightning{node: node})
	lnrpc.RegisterStateServer(s, &stateService{node: node})
	invoicesrpc.RegisterInvoicesServer(s, &invoices{node: node})
	routerrpc.RegisterRouterServer(s, &router{node: node})
	return s, nil
}

func (node *Node) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := node.guard(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (node *Node) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := node.guard(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, stream)
}

// guard lets a call pass if the node's state does, and then if its macaroon does: lnd's order.
func (node *Node) guard(ctx context.Context, method string) error {
	if !open[method] {
		for _, f := range []struct {
			kind FaultKind
			err  error
		}{{RefuseAll, errLocked}, {NoWallet, errNoWallet}, {Starting, errStarting}} {
			if node.net.hit(f.kind, node.alias) {
				return f.err
			}
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return authorize(node.account.RootKey, md.Get("macaroon"), method, node.net.now())
}

// drop breaks the connection that a call came on.
func (node *Node) drop(ctx context.Context) {
	if p, ok := peer.FromContext(ctx); ok {
		node.conns.drop(p.Addr.String())
	}
}

// blocked waits until the caller gives up, if the node has never synced: lnd does not refuse such calls.
func (node *Node) blocked(ctx context.Context) error {
	for node.net.has(Unsynced, node.alias) {
		node.net.mu.Lock()
		changed := node.net.changed
		node.net.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
	return nil
}

// stateService is lnd's State service, which needs no macaroon.
type stateService struct {
	lnrpc.UnimplementedStateServer
	node *Node
}

// GetState tells how far the node has come.
func (s *stateService) GetState(context.Context, *lnrpc.GetStateRequest) (*lnrpc.GetStateResponse, error) {
	for _, f := range []struct {
		kind  FaultKind
		state lnrpc.WalletState
	}{
		{RefuseAll, lnrpc.WalletState_LOCKED},
		{NoWallet, lnrpc.WalletState_NON_EXISTING},
		{Starting, lnrpc.WalletState_UNLOCKED},
		{Unsynced, lnrpc.WalletState_RPC_ACTIVE},
	} {
		if s.node.net.has(f.kind, s.node.alias) {
			return &lnrpc.GetStateResponse{State: f.state}, nil
		}
	}
	return &lnrpc.GetStateResponse{State: lnrpc.WalletState_SERVER_ACTIVE}, nil
}
