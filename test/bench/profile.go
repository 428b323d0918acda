package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"paygate/admin"
	"paygate/test/scenario"
)

// profiles are taken from paygate's own socket while it works: the CPU under full load, and what memory holds with idle
// sessions.
const profileConns = 16

// profile writes CPU and heap profiles of every paygate that is measured into the directory, for `go tool pprof`.
func (b *bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.o.profile, 0o755); err != nil {
		return err
	}
	i := 0
	err := b.each(ctx, func(s *subject) error {
		if !s.isPaygate() {
			return nil
		}
		g := b.gates[i]
		i++
		return errors.Join(b.profileCPU(ctx, s, g), b.profileHeap(ctx, s, g))
	})
	return errors.Join(append(b.failed, err)...)
}

func (b *bench) profileCPU(ctx context.Context, s *subject, g *scenario.Gate) error {
	path := filepath.Join(b.o.profile, fileName(s.name)+"-cpu.pprof")
	progress("%s: CPU into %s", s.name, path)
	c, err := gather(s, profileConns)
	if err != nil {
		return err
	}
	defer c.leave()
	if err := c.begin(); err != nil {
		return err
	}
	for _, l := range c.all {
		c.wg.Go(func() { _ = l.download(window(profileConns)) }) // until it is closed
	}
	time.Sleep(warmUp)
	return fetch(ctx, g, fmt.Sprintf("profile?seconds=%d", max(1, int(b.o.slice/time.Second))), path)
}

func (b *bench) profileHeap(ctx context.Context, s *subject, g *scenario.Gate) error {
	if b.o.idle == 0 {
		return nil
	}
	c, err := gather(s, b.o.idle)
	if err != nil {
		return err
	}
	defer c.leave()
	time.Sleep(settle)
	for _, kind := range []string{"heap", "goroutine"} {
		path := filepath.Join(b.o.profile, fileName(s.name)+"-"+kind+".pprof")
		progress("%s: %d idle sessions, %s into %s", s.name, b.o.idle, kind, path)
		if err := fetch(ctx, g, kind, path); err != nil {
			return err
		}
	}
	progress("%s: %.1f KiB of resident memory for each session", s.name, float64(s.rss())/float64(b.o.idle))
	return nil
}

// fetch gets one profile from a running paygate.
func fetch(ctx context.Context, g *scenario.Gate, what, path string) error {
	socket := filepath.Join(filepath.Dir(g.ConfigFile()), "data", admin.SocketName)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://paygate/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", answer.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}
