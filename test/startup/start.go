package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"gopkg.in/yaml.v3"

	"paygate/admin"
	"paygate/test/process"
	"paygate/test/scenario"
)

// start starts paygate as a seller and buyer, waits until it is ready, and stops it.
func start(ctx context.Context, program, dir string, network *scenario.Network) (took time.Duration, err error) {
	node, err := network.Seller.Options(ctx)
	if err != nil {
		return 0, err
	}
	text, err := yaml.Marshal(scenario.Options{
		"data_dir": filepath.Join(dir, "data"), "lightning": node,
		"listen": scenario.Options{"peers": "127.0.0.1:0", "public_port": 6881, "socks5": "127.0.0.1:0"},
		"client": scenario.Options{"address": "127.0.0.1:9"},
		"sell":   scenario.Options{"rules": []scenario.Options{{"torrents": []string{torrent(0)}, "price": "25 sat per GiB", "rights": "own"}}},
		"buy": scenario.Options{
			"per_torrent": "1 btc", "per_day": "1 btc", "total": "1 btc",
			"rules": []scenario.Options{{"torrents": "any", "max_price": "40 sat per GiB"}},
		},
	})
	if err != nil {
		return 0, err
	}
	config := filepath.Join(dir, "paygate.yaml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return 0, err
	}
	began := time.Now()
	p, err := process.Start(exec.Command(program, "run", "-c", config), filepath.Join(dir, "paygate.log"))
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := process.Poll(ctx, 5*time.Millisecond, func() error { return ready(ctx, p, dir) }); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "paygate.log"))
		return 0, fmt.Errorf("%w\n%s", err, log)
	}
	took = time.Since(began)
	return took, p.Stop(20 * time.Second)
}

// ready asks as `paygate status --ready` does, but not about the client, which there is none of, and liquidity.
func ready(ctx context.Context, p *process.Process, dir string) error {
	if err := p.Ended(); err != nil {
		return process.Final(err)
	}
	st, err := admin.Fetch(ctx, filepath.Join(dir, "data", admin.SocketName))
	if err == nil && st.Lightning.State != "ready" {
		err = fmt.Errorf("the Lightning node is %s", st.Lightning.State)
	}
	return err
}
