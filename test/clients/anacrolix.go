package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"

	"paygate/units"
)

// anacrolix drives the program in test/anacrolix through its HTTP interface.
type anacrolix struct {
	api  string
	http *http.Client
}

func (a *anacrolix) command(spec Spec) (*exec.Cmd, error) {
	cmd := exec.Command(spec.Program, "-api", a.api, "-listen", spec.Listen.String(), "-socks5", spec.SOCKS5,
		"-tracker", spec.Tracker, "-ipv6="+fmt.Sprint(spec.IPv6),
		"-upload", fmt.Sprint(int64(spec.Upload)), "-download", fmt.Sprint(int64(spec.Download)))
	// Its default storage fails to flush files that do not end on a page boundary (EINVAL from msync).
	cmd.Env = []string{"TORRENT_STORAGE_DEFAULT_FILE_IO=classic"}
	return cmd, nil
}

func (a *anacrolix) ready(ctx context.Context) error {
	_, err := do(ctx, a.http, http.MethodGet, "http://"+a.api+"/", "", nil)
	return err
}

func (a *anacrolix) add(ctx context.Context, torrent []byte, dir string) error {
	_, err := do(ctx, a.http, http.MethodPost, "http://"+a.api+"/add?dir="+url.QueryEscape(dir),
		"application/x-bittorrent", bytes.NewReader(torrent))
	return err
}

func (a *anacrolix) status(ctx context.Context, ih units.InfoHash) (status, error) {
	answer, err := do(ctx, a.http, http.MethodGet, "http://"+a.api+"/status?info_hash="+ih.String(), "", nil)
	if err != nil {
		return status{}, err
	}
	var st struct {
		Done  int64 `json:"done"`
		Total int64 `json:"total"`
		Peers int   `json:"peers"`
	}
	err = json.Unmarshal(answer, &st)
	return status{done: st.Done, total: st.Total, peers: st.Peers, seeding: st.Done == st.Total}, err
}
