// Command anacrolix is a small BitTorrent client over anacrolix/torrent, run as a process of its own so that it can
// stand beside the packaged clients in the demo and the end-to-end tests. It is driven over HTTP on a loopback address:
//
//	POST /add?dir=DIR         body: a .torrent; its files are, or come to be, under DIR
//	GET  /status?info_hash=H  {"done":N,"total":N,"peers":N}
//
// It speaks TCP only: no uTP, DHT, peer exchange or port mapping, and it never encrypts on its own account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "anacrolix:", err)
		stop()
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	api              string
	listen           netip.AddrPort
	socks5, tracker  string
	ipv6             bool
	upload, download int
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("anacrolix", flag.ContinueOnError)
	flags.StringVar(&o.api, "api", "127.0.0.1:0", "where to be driven, host:port")
	flags.TextVar(&o.listen, "listen", netip.AddrPort{}, "where to listen for peers, host:port")
	flags.StringVar(&o.socks5, "socks5", "", "proxy for outgoing connections, host:port; empty: direct")
	flags.StringVar(&o.tracker, "tracker", "", "SOCKS5 proxy for announces alone, host:port")
	flags.BoolVar(&o.ipv6, "ipv6", false, "take peers with IPv6 addresses, too")
	flags.IntVar(&o.upload, "upload", 0, "limit in bytes per second; 0: none")
	flags.IntVar(&o.download, "download", 0, "limit in bytes per second; 0: none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if !o.listen.IsValid() {
		return o, errors.New("-listen is missing")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	seat, err := newSeat(o)
	if err != nil {
		return fmt.Errorf("start client: %w", err)
	}
	defer seat.close()
	listener, err := net.Listen("tcp", o.api)
	if err != nil {
		return err
	}
	go seat.watch(ctx)
	server := &http.Server{Handler: seat.handler(), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
