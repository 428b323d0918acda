package clients

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paygate/units"
)

// rTorrent drives rtorrent through XML-RPC over SCGI on a unix socket in its directory.
type rTorrent struct{ socket string }

func (r *rTorrent) command(spec Spec) (*exec.Cmd, error) {
	path, err := program(spec, RTorrent)
	if err != nil {
		return nil, err
	}
	if spec.SOCKS5 != "" {
		return nil, errors.New("it knows HTTP proxies only")
	}
	settings := []string{
		"system.daemon.set=true",
		"network.scgi.open_local=" + r.socket,
		fmt.Sprintf("network.port_range.set=%d-%d", spec.Listen.Port(), spec.Listen.Port()),
		"network.port_random.set=no",
		"session.path.set=" + spec.Dir,
		"dht.mode.set=disable", "protocol.pex.set=no", "trackers.use_udp.set=no", "system.umask.set=0022",
		"protocol.encryption.set=" + rtEncryption[spec.Encryption],
		"throttle.max_uploads.global.set=1000", "throttle.max_uploads.set=1000", "pieces.hash.on_completion.set=no",
		fmt.Sprintf("throttle.global_up.max_rate.set_kb=%d", kib(spec.Upload)),
		fmt.Sprintf("throttle.global_down.max_rate.set_kb=%d", kib(spec.Download)),
	}
	if !spec.Everywhere {
		settings = append(settings, "network.bind_address.set="+spec.Listen.Addr().String())
	}
	if spec.HTTP != "" {
		settings = append(settings, "network.proxy_address.set="+spec.HTTP)
	}
	if spec.Tracker != "" {
		settings = append(settings, "network.http.proxy_address.set=http://"+spec.Tracker)
	}
	file := filepath.Join(spec.Dir, "rtorrent.rc")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(strings.Join(settings, "\n"), ".set=", ".set = ")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(path, "-n", "-o", "import="+file), nil
}

// rtEncryption are rtorrent's words; by default it takes what comes.
var rtEncryption = map[Encryption]string{
	Default: "allow_incoming", Plain: "none", Prefer: "allow_incoming,try_outgoing,enable_retry", Require: "require,require_RC4",
}

func (r *rTorrent) ready(ctx context.Context) error {
	_, err := r.call(ctx, "system.client_version")
	return err
}

func (r *rTorrent) add(ctx context.Context, torrent []byte, dir string) error {
	_, err := r.call(ctx, "load.raw_start", "", torrent, "d.directory.set=\""+dir+"\"")
	return err
}

func (r *rTorrent) status(ctx context.Context, ih units.InfoHash) (status, error) {
	id := strings.ToUpper(ih.String())
	var st status
	var left, complete, active, checking, hashed int64
	var peers int64
	for _, field := range []struct {
		method string
		into   *int64
	}{
		{"d.left_bytes", &left},
		{"d.size_bytes", &st.total},
		{"d.complete", &complete},
		{"d.is_active", &active},
		{"d.is_hash_checking", &checking},
		{"d.is_hash_checked", &hashed},
		{"d.peers_connected", &peers},
	} {
		answer, err := r.call(ctx, field.method, id)
		if err != nil {
			return status{}, err
		}
		if *field.into, err = strconv.ParseInt(answer, 10, 64); err != nil {
			return status{}, fmt.Errorf("%s: %w", field.method, err)
		}
	}
	st.done, st.peers = st.total-left, int(peers)
	st.checking = checking != 0 || hashed == 0 || active == 0
	st.seeding = complete != 0 && active != 0
	return st, nil
}

// call makes one XML-RPC call with strings and []byte as parameters, and returns the value of the answer as text.
func (r *rTorrent) call(ctx context.Context, method string, params ...any) (string, error) {
	var body strings.Builder
	fmt.Fprintf(&body, "<?xml version=\"1.0\"?><methodCall><methodName>%s</methodName><params>", method)
	for _, p := range params {
		switch p := p.(type) {
		case []byte:
			fmt.Fprintf(&body, "<param><value><base64>%s</base64></value></param>", base64.StdEncoding.EncodeToString(p))
		default:
			body.WriteString("<param><value><string>")
			if err := xml.EscapeText(&body, fmt.Append(nil, p)); err != nil {
				return "", err
			}
			body.WriteString("</string></value></param>")
		}
	}
	body.WriteString("</params></methodCall>")
	answer, err := r.exchange(ctx, body.String())
	if err != nil {
		return "", err
	}
	return answer.value()
}

// exchange sends a request the SCGI way: its headers as one netstring, then the body.
func (r *rTorrent) exchange(ctx context.Context, body string) (*rtAnswer, error) {
	conn, err := (&net.Dialer{Timeout: callTimeout}).DialContext(ctx, "unix", r.socket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	headers := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00", len(body))
	if _, err := fmt.Fprintf(conn, "%d:%s,%s", len(headers), headers, body); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return nil, err
	}
	_, content, found := strings.Cut(string(text), "\r\n\r\n")
	if !found {
		return nil, fmt.Errorf("answered %.100q", text)
	}
	var answer rtAnswer
	return &answer, xml.Unmarshal([]byte(content), &answer)
}

// rtAnswer is an XML-RPC answer: one value, or a fault.
type rtAnswer struct {
	Value rtValue  `xml:"params>param>value"`
	Fault *rtValue `xml:"fault>value"`
}

// rtValue is a value of any of the simple types.
type rtValue struct {
	Text    string `xml:",chardata"`
	String  string `xml:"string"`
	Int     string `xml:"i4"`
	Long    string `xml:"i8"`
	Members []struct {
		Name  string  `xml:"name"`
		Value rtValue `xml:"value"`
	} `xml:"struct>member"`
}

func (v rtValue) text() string {
	for _, s := range []string{v.String, v.Int, v.Long} {
		if s != "" {
			return s
		}
	}
	return strings.TrimSpace(v.Text)
}

func (a *rtAnswer) value() (string, error) {
	if a.Fault == nil {
		return a.Value.text(), nil
	}
	for _, m := range a.Fault.Members {
		if m.Name == "faultString" {
			return "", errors.New(m.Value.text())
		}
	}
	return "", errors.New("it answers with a fault")
}
