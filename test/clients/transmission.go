package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"paygate/units"
)

// transmission drives transmission-daemon through its RPC.
type transmission struct {
	kind Kind
	api  string
	http *http.Client

	password string

	mu      sync.Mutex
	session string // the RPC's guard against cross-site requests, asked for by status 409
}

func (t *transmission) command(spec Spec) (*exec.Cmd, error) {
	path, err := program(spec, t.kind)
	if err != nil {
		return nil, err
	}
	settings, err := t.settings(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(spec.Dir, "settings.json"), settings, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--foreground", "--config-dir", spec.Dir, "--log-info")
	if spec.Tracker != "" { // its announces are libcurl's, which knows this variable and no other way
		cmd.Env = []string{"http_proxy=http://" + spec.Tracker, "https_proxy=http://" + spec.Tracker}
	}
	return cmd, nil
}

func (t *transmission) settings(spec Spec) ([]byte, error) {
	host, port, err := net.SplitHostPort(t.api)
	if err != nil {
		return nil, err
	}
	rpcPort, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	if spec.SOCKS5+spec.HTTP != "" {
		return nil, errors.New("it cannot send peer connections through a proxy")
	}
	v4, v6 := bindings(spec)
	return json.MarshalIndent(map[string]any{
		"bind-address-ipv4": v4, "bind-address-ipv6": v6,
		"peer-port": spec.Listen.Port(), "port-forwarding-enabled": false,
		"utp-enabled": spec.UTP, "dht-enabled": false, "lpd-enabled": false, "pex-enabled": spec.PEX,
		"encryption":  trEncryption[spec.Encryption],
		"rpc-enabled": true, "rpc-bind-address": host, "rpc-port": rpcPort,
		"rpc-authentication-required": t.password != "", "rpc-username": APIUser, "rpc-password": t.password, "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
		"download-dir": filepath.Join(spec.Dir, "downloads"), "incomplete-dir-enabled": false,
		"download-queue-enabled": false, "seed-queue-enabled": false, "queue-stalled-enabled": false,
		"ratio-limit-enabled": false, "idle-seeding-limit-enabled": false, "preallocation": 0,
		"peer-limit-global": 2000, "peer-limit-per-torrent": 1000, "upload-slots-per-torrent": 1000,
		"speed-limit-up-enabled": spec.Upload > 0, "speed-limit-up": kib(spec.Upload),
		"speed-limit-down-enabled": spec.Download > 0, "speed-limit-down": kib(spec.Download),
	}, "", "  ")
}

// trEncryption are Transmission's numbers: tolerated, preferred and required.
var trEncryption = map[Encryption]int{Default: 0, Plain: 0, Prefer: 1, Require: 2}

// bindings returns the addresses to listen on, one of each family.
func bindings(spec Spec) (v4, v6 string) {
	switch {
	case spec.Everywhere:
		return "0.0.0.0", "::"
	case spec.Listen.Addr().Is6():
		return "127.0.0.1", spec.Listen.Addr().String()
	default:
		return spec.Listen.Addr().String(), "::1"
	}
}

func (t *transmission) ready(ctx context.Context) error {
	return t.call(ctx, "session-get", nil, nil)
}

func (t *transmission) add(ctx context.Context, torrent []byte, dir string) error {
	return t.call(ctx, "torrent-add", map[string]any{"metainfo": torrent, "download-dir": dir, "paused": false}, nil)
}

// The states of a torrent in the RPC's answers.
const (
	trStopped      = 0
	trCheckWaiting = 1
	trChecking     = 2
	trSeeding      = 6

	trLocalError = 3 // 1 and 2 are the tracker's
)

func (t *transmission) status(ctx context.Context, ih units.InfoHash) (status, error) {
	var answer struct {
		Torrents []struct {
			Status        int    `json:"status"`
			Error         int    `json:"error"`
			ErrorString   string `json:"errorString"`
			SizeWhenDone  int64  `json:"sizeWhenDone"`
			LeftUntilDone int64  `json:"leftUntilDone"`
			Peers         int    `json:"peersConnected"`
		} `json:"torrents"`
	}
	fields := []string{"status", "error", "errorString", "sizeWhenDone", "leftUntilDone", "peersConnected"}
	err := t.call(ctx, "torrent-get", map[string]any{"ids": []string{ih.String()}, "fields": fields}, &answer)
	if err != nil {
		return status{}, err
	}
	if len(answer.Torrents) == 0 {
		return status{}, fmt.Errorf("torrent %s is not there", ih)
	}
	a := answer.Torrents[0]
	st := status{done: a.SizeWhenDone - a.LeftUntilDone, total: a.SizeWhenDone, peers: a.Peers}
	st.checking = a.Status == trStopped || a.Status == trCheckWaiting || a.Status == trChecking
	st.seeding = a.Status == trSeeding
	if a.Error == trLocalError {
		st.problem = a.ErrorString
	}
	return st, nil
}

// call makes one RPC call. The first one is refused with the session id to use.
func (t *transmission) call(ctx context.Context, method string, arguments, into any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": arguments})
	if err != nil {
		return err
	}
	resp, err := t.post(ctx, body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusConflict {
		_ = resp.Body.Close()
		t.setSession(resp.Header.Get("X-Transmission-Session-Id"))
		if resp, err = t.post(ctx, body); err != nil {
			return err
		}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return decodeResult(resp.Body, into)
}

func decodeResult(body io.Reader, into any) error {
	var answer struct {
		Result    string          `json:"result"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return err
	}
	if answer.Result != "success" {
		return errors.New(answer.Result)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Arguments, into)
}

func (t *transmission) post(ctx context.Context, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.api+"/transmission/rpc", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	req.Header.Set("X-Transmission-Session-Id", t.session)
	t.mu.Unlock()
	if t.password != "" {
		req.SetBasicAuth(APIUser, t.password)
	}
	return t.http.Do(req)
}

func (t *transmission) setSession(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session = id
}
