package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// maxAnswer bounds what Fetch reads: 64 MiB, far above the status of any number of sessions that paygate allows.
const maxAnswer = 64 << 20

// Fetch asks the paygate that listens on the socket for its status. It waits as long as ctx allows.
func Fetch(ctx context.Context, socketPath string) (Status, error) {
	var st Status
	code, body, err := get(ctx, socketPath, "/status")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("it answers %d %s: %s", code, http.StatusText(code), strings.TrimSpace(string(body)))
	}
	if err != nil {
		return st, fmt.Errorf("ask paygate at %s: %w", socketPath, err)
	}
	if err := json.Unmarshal(body, &st); err != nil {
		return Status{}, fmt.Errorf("read paygate's status: %w", err)
	}
	return st, nil
}

// FetchReady asks the paygate that listens on the socket whether it can do all that it is there for. The line says so,
// or what is wrong and what to do about it.
func FetchReady(ctx context.Context, socketPath string) (line string, ready bool, err error) {
	code, body, err := get(ctx, socketPath, "/readyz")
	if err == nil && code != http.StatusOK && code != http.StatusServiceUnavailable {
		err = fmt.Errorf("it answers %d %s: %s", code, http.StatusText(code), strings.TrimSpace(string(body)))
	}
	if err != nil {
		return "", false, fmt.Errorf("ask paygate at %s: %w", socketPath, err)
	}
	return strings.TrimSpace(string(body)), code == http.StatusOK, nil
}

func get(ctx context.Context, socketPath, path string) (code int, body []byte, err error) {
	return ask(ctx, socketPath, http.MethodGet, path, nil)
}

func transport(socketPath string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socketPath)
		},
	}
}
