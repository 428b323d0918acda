package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"paygate/units"
)

// aria2 drives aria2c through its JSON-RPC.
type aria2 struct {
	api  string
	http *http.Client

	mu  sync.Mutex
	gid map[units.InfoHash]string // its own name for each torrent
}

func (a *aria2) command(spec Spec) (*exec.Cmd, error) {
	path, err := program(spec, Aria2)
	if err != nil {
		return nil, err
	}
	if spec.SOCKS5+spec.HTTP != "" {
		return nil, errors.New("it cannot send peer connections through a proxy")
	}
	_, port, err := net.SplitHostPort(a.api)
	if err != nil {
		return nil, err
	}
	proxy := spec.Tracker
	if proxy != "" {
		proxy = "http://" + proxy
	}
	return exec.Command(path, "--no-conf", "--all-proxy="+proxy, "--enable-rpc", "--rpc-listen-port="+port, "--rpc-listen-all=false",
		"--listen-port="+strconv.Itoa(int(spec.Listen.Port())), "--interface="+spec.Listen.Addr().String(),
		"--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
		"--disable-ipv6=true", "--check-integrity=true", "--seed-ratio=0", "--file-allocation=none",
		"--bt-require-crypto=false", "--bt-min-crypto-level=plain", "--allow-overwrite=true",
		"--max-overall-upload-limit="+strconv.FormatInt(int64(spec.Upload), 10),
		"--max-overall-download-limit="+strconv.FormatInt(int64(spec.Download), 10)), nil
}

func (a *aria2) ready(ctx context.Context) error { return a.call(ctx, nil, "getVersion") }

func (a *aria2) add(ctx context.Context, torrent []byte, dir string) error {
	ih, _, err := inspect(torrent, dir)
	if err != nil {
		return err
	}
	var gid string
	if err := a.call(ctx, &gid, "addTorrent", torrent, []string{}, map[string]string{"dir": dir}); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gid[ih] = gid
	return nil
}

func (a *aria2) status(ctx context.Context, ih units.InfoHash) (status, error) {
	a.mu.Lock()
	gid := a.gid[ih]
	a.mu.Unlock()
	var answer struct {
		Status      string `json:"status"`
		Total       string `json:"totalLength"`
		Completed   string `json:"completedLength"`
		Connections string `json:"connections"`
		Seeder      string `json:"seeder"`
		Verified    string `json:"verifiedLength"`
		Pending     string `json:"verifyIntegrityPending"`
		Error       string `json:"errorMessage"`
	}
	if err := a.call(ctx, &answer, "tellStatus", gid); err != nil {
		return status{}, err
	}
	var st status
	var err error
	for _, field := range []struct {
		text string
		into *int64
	}{{answer.Completed, &st.done}, {answer.Total, &st.total}} {
		if *field.into, err = strconv.ParseInt(field.text, 10, 64); err != nil {
			return status{}, err
		}
	}
	if st.peers, err = strconv.Atoi(answer.Connections); err != nil {
		return status{}, err
	}
	st.checking = answer.Status == "waiting" || answer.Verified != "" || answer.Pending == "true"
	st.seeding = answer.Seeder == "true"
	if answer.Status == "error" {
		st.problem = answer.Error
	}
	return st, nil
}

func (a *aria2) call(ctx context.Context, into any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "1", "method": "aria2." + method, "params": params})
	if err != nil {
		return err
	}
	answer, err := do(ctx, a.http, http.MethodPost, "http://"+a.api+"/jsonrpc", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return err
	}
	if envelope.Error != nil {
		return fmt.Errorf("%s: %s", method, strings.TrimSpace(envelope.Error.Message))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(envelope.Result, into)
}
