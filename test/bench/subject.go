package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/units"
)

var background = context.Background()

const startPatience = 20 * time.Second

// subject is a relay that is measured.
type subject struct {
	name            string
	about           string
	farMSE, nearMSE bool // the downloader's leg, the seeder's leg
	strangers       bool // its downloaders know nothing of paygate
	free            bool
	program         string // "": as built from here
	front           string
	homes           int // the first downloader's number
	proc            *process.Process
	missing         string // why it cannot be measured here
	start           func(ctx context.Context, b *bench, s *subject) error
	throughput      map[int]*samples // by connections, MB/s
	cpu             map[int]*samples // by connections, CPU seconds per GiB
	p50, p99        samples          // milliseconds for one block at half load
	idle            samples          // KiB per idle session
	opened          samples          // sessions per second
}

// subjects lists all that is compared. The first is the yardstick for latency that is added.
func subjects() []*subject {
	return []*subject{
		{name: "direct", about: "no relay at all", start: startDirect},
		{name: "splice", about: "Go, io.Copy between two sockets: the kernel splices", start: startSelf},
		{name: "copy", about: "Go, the same through a 256 KiB buffer", start: startSelf},
		{name: "decoder", about: "Go, every message decoded and encoded by anacrolix/torrent", start: startSelf},
		{name: "haproxy", about: "haproxy, TCP mode, default buffers", start: startHAProxy},
		{name: "nginx", about: "nginx stream", start: startNginx},
		{name: "socat", about: "socat, one process for each connection", start: startSocat},
		{name: "paygate free", about: "no rule charges for the torrent", free: true, start: startPaygate},
		{name: "paygate gated", about: "every block passes the gate and is counted", start: startPaygate},
		{name: "paygate gated, MSE on one leg", about: "the downloader encrypts (RC4)", farMSE: true, start: startPaygate},
		{name: "paygate gated, MSE on two legs", about: "both sides encrypt (RC4)", farMSE: true, nearMSE: true, start: startPaygate},
	}
}

// others are further builds of paygate.
func others(programs []string) (all []*subject) {
	for _, path := range programs {
		name := "paygate %s, as built in " + filepath.Base(path)
		all = append(all,
			&subject{name: fmt.Sprintf(name, "free"), free: true, program: path, start: startPaygate},
			&subject{name: fmt.Sprintf(name, "gated"), program: path, start: startPaygate})
	}
	return all
}

func (s *subject) isPaygate() bool { return strings.HasPrefix(s.name, "paygate") }

// fileName makes a file's name of a relay's.
func fileName(name string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(name) }

// launch starts a program that is to listen on s.front.
func (s *subject) launch(ctx context.Context, b *bench, cmd *exec.Cmd) (err error) {
	s.proc, err = process.Start(cmd, filepath.Join(b.dir, fileName(s.name)+".log"))
	if err != nil {
		return err
	}
	return s.await(ctx)
}

func (s *subject) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err := process.Poll(ctx, 20*time.Millisecond, func() error {
		if s.proc.Exited() {
			return process.Final(errors.New("it has ended"))
		}
		c, err := net.Dial("tcp", s.front)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s does not listen: %w", s.name, err)
	}
	return nil
}

// freeAddr is a loopback address that nobody listens on now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func startDirect(_ context.Context, b *bench, s *subject) error {
	s.front = b.plain.addr()
	return nil
}

// startSelf starts this program as the relay of that name.
func startSelf(ctx context.Context, b *bench, s *subject) (err error) {
	if s.front, err = freeAddr(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return s.launch(ctx, b, exec.Command(self, "-relay", s.name, "-listen", s.front, "-to", b.plain.addr()))
}

// rival starts a program from the machine's packages with a configuration file.
func (s *subject) rival(ctx context.Context, b *bench, program, config string, args func(file string) []string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		path = filepath.Join("/usr/sbin", program)
		if _, err := os.Stat(path); err != nil {
			s.missing = program + " is not installed"
			return nil
		}
	}
	file := filepath.Join(b.dir, s.name+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return s.launch(ctx, b, exec.Command(path, args(file)...))
}

func startHAProxy(ctx context.Context, b *bench, s *subject) (err error) {
	if s.front, err = freeAddr(); err != nil {
		return err
	}
	config := fmt.Sprintf(`global
  maxconn 9000
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
frontend front
  bind %s
  default_backend back
backend back
  server seeder %s
`, s.front, b.plain.addr())
	return s.rival(ctx, b, "haproxy", config, func(file string) []string { return []string{"-db", "-f", file} })
}

func startNginx(ctx context.Context, b *bench, s *subject) (err error) {
	module := "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		s.missing = "nginx's stream module is not installed"
		return nil
	}
	if s.front, err = freeAddr(); err != nil {
		return err
	}
	config := fmt.Sprintf(`load_module %s;
daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid %s/nginx.pid;
error_log %s/nginx.err;
events { worker_connections 16000; }
stream {
  server { listen %s; proxy_pass %s; proxy_timeout 10m; }
}
`, module, b.dir, b.dir, s.front, b.plain.addr())
	return s.rival(ctx, b, "nginx", config, func(file string) []string { return []string{"-p", b.dir, "-c", file} })
}

func startSocat(ctx context.Context, b *bench, s *subject) (err error) {
	if s.front, err = freeAddr(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.front)
	if err != nil {
		return err
	}
	return s.rival(ctx, b, "socat", "", func(string) []string {
		return []string{"TCP-LISTEN:" + port + ",bind=" + host + ",fork,reuseaddr,backlog=1024", "TCP:" + b.plain.addr()}
	})
}

// startPaygate starts a paygate whose one rule charges for the torrent, or none; the downloaders do not pay, so that
// what they get is counted as a sample, which is large enough.
func startPaygate(ctx context.Context, b *bench, s *subject) (err error) {
	if s.front, err = freeAddr(); err != nil {
		return err
	}
	upstream, mode := b.plain.addr(), "off"
	if s.nearMSE {
		upstream, mode = b.hidden.addr(), "require"
	}
	config := scenario.Options{
		"log":    scenario.Options{"format": "json", "level": "warn"},
		"listen": scenario.Options{"peers": s.front},
		"client": scenario.Options{"address": upstream},
		"limits": scenario.Options{
			"connections": 20000, "per_address": 20000, "handshakes": 20000, "unpaid_peers": 20000, "unpaid_slots": 1000,
		},
	}
	if s.farMSE {
		config["encryption"] = scenario.Options{"client": mode}
		config["client"].(scenario.Options)["info_hashes"] = []string{torrent.String()}
	}
	if !s.free {
		huge := (1 << 20 * units.GiB).String()
		config["lightning"] = b.lightning
		rule := scenario.Options{
			"torrents": []string{torrent.String()}, "price": "1000 sat per GiB", "rights": "own",
			"sample": (64 * units.GiB).String(), // for each downloader: all have networks of their own
		}
		if b.o.peers > 0 { // only so many may have their samples at once
			delete(rule, "sample")
			rule["legacy"], rule["throttle"] = "throttle", "1 MiB"
			s.strangers = true
		}
		config["sell"] = scenario.Options{"sample_per_torrent_day": huge, "sample_per_day": huge, "rules": []scenario.Options{rule}}
	}
	dir := filepath.Join(b.dir, "pg"+strconv.Itoa(len(b.gates)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	program := b.program
	if s.program != "" {
		program = s.program
	}
	gate, err := scenario.StartGate(ctx, program, dir, config)
	if err != nil {
		return err
	}
	b.gates = append(b.gates, gate)
	s.proc = gate.Process()
	return nil
}

// hello is what its downloaders say in their extended handshakes.
func (s *subject) hello() []byte {
	if s.strangers {
		return stranger()
	}
	return offer()
}
