package clients

import (
	"bytes"
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"paygate/units"
)

// qBittorrent drives qbittorrent-nox through its WebUI API (v2, qBittorrent 4.1 and later).
type qBittorrent struct {
	kind Kind
	api  string
	http *http.Client

	password string
	session  string // cookie
}

func (q *qBittorrent) command(spec Spec) (*exec.Cmd, error) {
	path, err := program(spec, q.kind)
	if err != nil {
		return nil, err
	}
	settings, err := q.settings(spec)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(spec.Dir, "qBittorrent", "config", "qBittorrent.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(path, "--profile="+spec.Dir), nil
}

// settings is the configuration file. Upload slots are unlimited, as a seller needs them; several connections from
// one address stay forbidden, which is the default and the harder case.
func (q *qBittorrent) settings(spec Spec) (string, error) {
	host, port, err := net.SplitHostPort(q.api)
	if err != nil {
		return "", err
	}
	proxy, err := qbProxy(cmp.Or(spec.SOCKS5, spec.Tracker))
	if err != nil {
		return "", err
	}
	protocol := "TCP"
	if spec.UTP {
		protocol = "Both"
	}
	secret, err := qbPassword(q.password)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`[LegalNotice]
Accepted=true

[BitTorrent]
Session\Port=%d
Session\InterfaceAddress=%s
Session\DHTEnabled=%t
Session\LSDEnabled=false
Session\PeXEnabled=%t
Session\BTProtocol=%s
Session\AnnouncePort=%d
Session\Encryption=%d
Session\MultiConnectionsPerIp=false
Session\MaxConnections=-1
Session\MaxConnectionsPerTorrent=-1
Session\MaxUploads=-1
Session\MaxUploadsPerTorrent=-1
Session\QueueingSystemEnabled=false
Session\IgnoreLimitsOnLAN=false
Session\GlobalUPSpeedLimit=%d
Session\GlobalDLSpeedLimit=%d
Session\Preallocation=false
Session\TempPathEnabled=false
Session\DefaultSavePath=%s
Session\ProxyPeerConnections=%t
Session\ProxyHostnameLookup=false

[Network]
PortForwardingEnabled=false
%s
[Preferences]
Connection\ResolvePeerCountries=false
WebUI\Enabled=true
WebUI\Address=%s
WebUI\Port=%s
WebUI\LocalHostAuth=%t
%sWebUI\HostHeaderValidation=false
WebUI\CSRFProtection=false
WebUI\UseUPnP=false
`, spec.Listen.Port(), qbAddress(spec), spec.DHT, spec.PEX, protocol, spec.Announce, qbEncryption[spec.Encryption], kib(spec.Upload), kib(spec.Download), filepath.Join(spec.Dir, "downloads"),
		spec.SOCKS5 != "", proxy, host, port, q.password != "", secret), nil
}

// qbAddress is the one that its sockets are bound to; empty: none.
func qbAddress(spec Spec) string {
	switch {
	case spec.Everywhere:
		return ""
	case spec.SOCKS5 != "":
		return "127.0.0.1" // with another one it drops its own proxy connections
	default:
		return spec.Listen.Addr().String()
	}
}

// qbEncryption are qBittorrent's numbers: allow, which prefers, require and disable.
var qbEncryption = map[Encryption]int{Default: 0, Plain: 2, Prefer: 0, Require: 1}

// kib turns a limit into qBittorrent's and Transmission's unit.
func kib(n units.Bytes) int64 { return int64(n / units.KiB) }

// qbProxy writes the proxy settings. The port is a Qt variant of an unsigned short, in Qt's own spelling.
func qbProxy(socks5 string) (string, error) {
	if socks5 == "" {
		return "", nil
	}
	address, err := netip.ParseAddrPort(socks5)
	if err != nil {
		return "", fmt.Errorf("SOCKS5 address: %w", err)
	}
	return fmt.Sprintf(`Proxy\Type=SOCKS5
Proxy\IP=%s
Proxy\Port=@Variant(\0\0\0\x85\x%x\x%x)
Proxy\OnlyForTorrents=false
Proxy\Profiles\BitTorrent=true
Proxy\HostnameLookupEnabled=false
`, address.Addr(), address.Port()>>8, address.Port()&0xff), nil
}

// qbPassword writes the password as qBittorrent keeps it: salt and PBKDF2-HMAC-SHA512 of 100,000 rounds.
func qbPassword(password string) (string, error) {
	if password == "" {
		return "", nil
	}
	salt := []byte("paygate's tests!")
	key, err := pbkdf2.Key(sha512.New, password, salt, 100_000, 64)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("WebUI\\Username=%s\nWebUI\\Password_PBKDF2=\"@ByteArray(%s:%s)\"\n", APIUser,
		base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(key)), nil
}

// logIn begins a session.
func (q *qBittorrent) logIn(ctx context.Context) error {
	form := url.Values{"username": {APIUser}, "password": {q.password}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+q.api+"/api/v2/auth/login", strings.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := q.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for _, c := range resp.Cookies() {
		q.session = c.Name + "=" + c.Value
	}
	if q.session == "" {
		return fmt.Errorf("log in: %s", resp.Status)
	}
	return nil
}

func (q *qBittorrent) ready(ctx context.Context) error {
	if q.password != "" {
		if err := q.logIn(ctx); err != nil {
			return err
		}
	}
	_, err := q.call(ctx, "app/version", "", nil)
	return err
}

func (q *qBittorrent) add(ctx context.Context, torrent []byte, dir string) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("torrents", "a.torrent")
	if err != nil {
		return err
	}
	if _, err := part.Write(torrent); err != nil {
		return err
	}
	for key, value := range map[string]string{"savepath": dir, "autoTMM": "false", "contentLayout": "Original"} {
		if err := form.WriteField(key, value); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	answer, err := q.call(ctx, "torrents/add", form.FormDataContentType(), &body)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(answer)); got != "Ok." {
		return fmt.Errorf("answered %q", got)
	}
	return nil
}

func (q *qBittorrent) status(ctx context.Context, ih units.InfoHash) (status, error) {
	answer, err := q.call(ctx, "torrents/info?hashes="+ih.String(), "", nil)
	if err != nil {
		return status{}, err
	}
	var list []struct {
		State      string `json:"state"`
		Size       int64  `json:"size"`
		AmountLeft int64  `json:"amount_left"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return status{}, err
	}
	if len(list) == 0 {
		return status{}, fmt.Errorf("torrent %s is not there", ih)
	}
	t := list[0]
	st := status{done: t.Size - t.AmountLeft, total: t.Size}
	switch t.State {
	case "error", "missingFiles":
		st.problem = "qBittorrent says " + t.State
	case "checkingUP", "checkingDL", "checkingResumeData", "allocating", "metaDL", "moving", "unknown":
		st.checking = true
	case "uploading", "stalledUP", "forcedUP":
		st.seeding = true
	}
	st.peers, err = q.peers(ctx, ih)
	return st, err
}

func (q *qBittorrent) peers(ctx context.Context, ih units.InfoHash) (int, error) {
	answer, err := q.call(ctx, "sync/torrentPeers?rid=0&hash="+url.QueryEscape(ih.String()), "", nil)
	if err != nil {
		return 0, err
	}
	var list struct {
		Peers map[string]struct {
			Client string `json:"client"`
		} `json:"peers"`
	}
	err = json.Unmarshal(answer, &list)
	return len(list.Peers), err
}

func (q *qBittorrent) call(ctx context.Context, method, contentType string, body io.Reader) ([]byte, error) {
	verb := http.MethodGet
	if body != nil {
		verb = http.MethodPost
	}
	return do(withCookie(ctx, q.session), q.http, verb, "http://"+q.api+"/api/v2/"+method, contentType, body)
}
