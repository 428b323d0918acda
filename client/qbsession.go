package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// call asks a method. It logs in where that is asked for; an answer other than 200 or 404 is an error.
func (q *qBittorrent) call(ctx context.Context, method string) (*http.Response, error) {
	resp, err := q.web.get(ctx, "/api/v2/"+method)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusForbidden {
		resp.Body.Close()
		q.rid = 0 // a new session counts anew
		if err := q.logIn(ctx); err != nil {
			return nil, err
		}
		if strings.HasPrefix(method, "sync/maindata") {
			method = "sync/maindata?rid=0"
		}
		if resp, err = q.web.get(ctx, "/api/v2/"+method); err != nil {
			return nil, err
		}
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		return resp, nil
	}
	resp.Body.Close()
	return nil, q.refusal(resp.StatusCode)
}

func (q *qBittorrent) refusal(status int) error {
	if status == http.StatusUnauthorized {
		return &Problem{
			Trouble: Unlisted, Text: "qBittorrent does not answer to the name in client.api.url",
			Remedy: "ask it by IP address, such as http://127.0.0.1:8080, or add the name to Options, Web UI, Server domains",
		}
	}
	return &Problem{Trouble: Broken, Text: fmt.Sprintf("qBittorrent answers with status %d", status), Remedy: "look into its log"}
}

// logIn begins a session, which a cookie names. qBittorrent counts wrong passwords and bans the address of whoever has
// sent five, so it is never tried twice in a row.
func (q *qBittorrent) logIn(ctx context.Context) error {
	if q.password == "" {
		return &Problem{
			Trouble: Refused, Text: "qBittorrent asks for a password, and none is set",
			Remedy: "set client.api.user and client.api.password, or let this machine in without: Options, Web UI, Bypass authentication for clients on localhost",
		}
	}
	form := url.Values{"username": {q.user}, "password": {q.password.Reveal()}}
	resp, err := q.web.post(ctx, "/api/v2/auth/login", "application/x-www-form-urlencoded", form.Encode(), nil)
	if err != nil {
		return err
	}
	said, err := word(resp)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusForbidden:
		return &Problem{
			Trouble: Banned, Text: "qBittorrent has banned this machine's address after too many wrong passwords",
			Remedy: "correct client.api.password, and wait an hour or restart qBittorrent",
		}
	case resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusOK && said == "Ok.":
		return nil
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusUnauthorized:
		return &Problem{
			Trouble: Refused, Text: "qBittorrent refuses the user or the password",
			Remedy: "correct client.api.user and client.api.password: Options, Web UI, Authentication",
		}
	}
	return q.refusal(resp.StatusCode)
}

// qbPreferences is the part of app/preferences that matters here; nil: not told by this version.
type qbPreferences struct {
	ListenPort      number          `json:"listen_port"`
	RandomPort      bool            `json:"random_port"`
	AnnouncePort    *number         `json:"announce_port"`
	Address         string          `json:"current_interface_address"`
	Interface       string          `json:"current_network_interface"`
	Protocol        number          `json:"bittorrent_protocol"` // 0 both, 1 TCP, 2 uTP
	DHT             bool            `json:"dht"`
	PEX             bool            `json:"pex"`
	LSD             bool            `json:"lsd"`
	UPnP            bool            `json:"upnp"`
	Encryption      number          `json:"encryption"` // 0 allow, 1 require, 2 off
	ProxyType       json.RawMessage `json:"proxy_type"` // a number up to 4.5, then a word
	ProxyIP         string          `json:"proxy_ip"`
	ProxyPort       number          `json:"proxy_port"`
	ProxyPeers      bool            `json:"proxy_peer_connections"`
	ProxyBitTorrent *bool           `json:"proxy_bittorrent"`
	Uploads         number          `json:"max_uploads"`
	UploadsTorrent  number          `json:"max_uploads_per_torrent"`
	Connections     number          `json:"max_connec"`
	ConnectionsEach number          `json:"max_connec_per_torrent"`
	LimitLAN        bool            `json:"limit_lan_peers"`
	IPFilter        bool            `json:"ip_filter_enabled"`
}

func (p *qbPreferences) settings(version string) Settings {
	s := Settings{
		Kind: QBittorrent, Version: strings.TrimPrefix(version, "v"),
		ListenPort: p.ListenPort.port(), RandomPort: p.RandomPort, BindKnown: true, BindAddress: bound(p.Address), BindInterface: clip(p.Interface, maxName),
		TCP: p.Protocol != 2, UTP: p.Protocol != 1, DHT: p.DHT, PEX: p.PEX, LSD: p.LSD, PortForwarding: p.UPnP,
		UploadSlots: p.Uploads.limit(), SlotsPerTorrent: p.UploadsTorrent.limit(), SlotsKnown: true,
		MaxPeers: p.Connections.limit(), MaxPeersPerTorrent: p.ConnectionsEach.limit(),
		LimitLAN: p.LimitLAN, IPFilter: p.IPFilter,
	}
	if p.AnnouncePort != nil {
		s.AnnouncePortOK, s.AnnouncePort = true, p.AnnouncePort.port()
	}
	switch p.Encryption {
	case 1:
		s.Encryption = EncryptionRequire
	case 2:
		s.Encryption = EncryptionOff
	default:
		s.Encryption = EncryptionAllow
	}
	s.Proxy = p.proxy()
	return s
}

func (p *qbPreferences) proxy() Proxy {
	kinds := map[string]string{
		"1": "http", "2": "socks5", "3": "http", "4": "socks5", "5": "socks4",
		"http": "http", "socks5": "socks5", "socks4": "socks4",
	}
	kind := kinds[strings.ToLower(strings.Trim(string(p.ProxyType), `"`))]
	if kind == "" || p.ProxyBitTorrent != nil && !*p.ProxyBitTorrent {
		return Proxy{}
	}
	return Proxy{Kind: kind, Address: net.JoinHostPort(clip(p.ProxyIP, 255), strconv.Itoa(int(p.ProxyPort.port()))), Peers: p.ProxyPeers}
}

// bound is "" for an address that stands for every one.
func bound(address string) string {
	if ip := net.ParseIP(address); ip != nil && !ip.IsUnspecified() {
		return ip.String()
	}
	return ""
}

func (q *qBittorrent) readSettings(ctx context.Context, b *book) error {
	resp, err := q.call(ctx, "app/version")
	if err != nil {
		return err
	}
	version, err := word(resp)
	if err != nil {
		return err
	}
	if resp, err = q.call(ctx, "app/preferences"); err != nil {
		return err
	}
	defer resp.Body.Close()
	var p qbPreferences
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		return fmt.Errorf("app/preferences: %w", err)
	}
	b.settings = p.settings(clip(version, 64))
	return nil
}
