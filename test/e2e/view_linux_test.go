package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/admin"
	"paygate/client"
	"paygate/proxy/wire"
	"paygate/test/clients"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/units"
)

// TestFinding starts paygate with nothing but the client's URL in its configuration, and before the client: it waits,
// finds port, version and settings, knows the torrent with its category and that it is private, and lets peers in at
// this machine's other address.
func TestFinding(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real clients are not started")
	}
	for _, kind := range []clients.Kind{clients.QBittorrent, clients.QBittorrent5, clients.Transmission, clients.Transmission4} {
		t.Run("finding "+string(kind), func(t *testing.T) {
			t.Parallel()
			need(t, kind)
			testFinding(t, kind)
		})
	}
}

func testFinding(t *testing.T, kind clients.Kind) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	lab := netns.NewLab(t)
	home, world := lab.Namespace("home"), lab.Namespace("world")
	lab.Connect(home, "h0", homeAt+"/24 2001:db8::1/64", world, "w0", worldAt+"/24 2001:db8::9/64")
	site := newSite(t, units.MiB)
	spec := clients.Spec{
		Dir: filepath.Join(site.Dir, "client"), Namespace: "/run/netns/" + home.Name, Password: "right horse",
	}
	if err := spec.Listen.UnmarshalText(fmt.Appendf(nil, "127.0.0.1:%d", leakPort)); err != nil {
		t.Fatal(err)
	}
	c, err := clients.Launch(ctx, kind, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Kill() // so that paygate comes first

	file := filepath.Join(site.Dir, "paygate.yaml")
	data := filepath.Join(site.Dir, "data")
	put(t, file, fmt.Sprintf("data_dir: %s\nclient: {api: {url: \"http://%s\", user: %s, password: right horse}}\n", data, c.API(), clients.APIUser))
	log := filepath.Join(site.Dir, "paygate.log")
	gate := home.Start(exec.Command(shared.programs.Paygate, "run", "-c", file), log)
	defer gate.Kill()
	logged(ctx, t, log, "waits for the client")
	if err := c.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	private, err := site.Torrent.Private()
	if err != nil {
		t.Fatal(err)
	}
	addTorrent(ctx, t, c, private, "http://"+worldAt+":1/announce", site.SeedDir())
	mark(ctx, t, home, c, kind, private.InfoHash)
	logged(ctx, t, log, "found the client")
	logged(ctx, t, log, "paygate stands in front of the client")

	st := awaitClient(ctx, t, filepath.Join(data, admin.SocketName))
	if st.Address != fmt.Sprintf("127.0.0.1:%d", leakPort) || st.Peers != fmt.Sprintf("%s:%d", homeAt, leakPort) || st.Kind == "" || st.Version == "" {
		t.Errorf("found %+v", st)
	}
	for _, at := range []string{homeAt, "2001:db8::1"} {
		if err := greets(ctx, world, net.JoinHostPort(at, fmt.Sprint(leakPort)), private.InfoHash); err != nil {
			t.Errorf("through %s: %v", at, err)
		}
	}
	seen(ctx, t, home, c, kind, private.InfoHash)
	text, _ := os.ReadFile(log)
	if n := strings.Count(string(text), "waits for the client"); n != 1 {
		t.Errorf("said %d times that it waits", n)
	}
	if strings.Contains(string(text), "right horse") {
		t.Error("the password is in the log")
	}
}

// awaitClient asks paygate's status until the client answers.
func awaitClient(ctx context.Context, t *testing.T, socket string) (c admin.Client) {
	t.Helper()
	err := process.Poll(ctx, 200*time.Millisecond, func() error {
		st, err := admin.Fetch(ctx, socket)
		if err != nil {
			return err
		}
		if c = st.Clients[0]; c.State != "answers" || c.InfoHashes == 0 || c.Peers == "" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func logged(ctx context.Context, t *testing.T, file, line string) {
	t.Helper()
	err := process.Poll(ctx, 200*time.Millisecond, func() error {
		text, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(text), line) {
			err = fmt.Errorf("%q is not in the log:\n%s", line, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// greets shakes hands with the client through paygate.
func greets(ctx context.Context, from *netns.Namespace, address string, ih units.InfoHash) error {
	return process.Poll(ctx, time.Second, func() error {
		conn, err := from.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		head := wire.NewHead(ih)
		if _, err := conn.Write(append(head[:], "-PT0000-0123456789ab"...)); err != nil {
			return err
		}
		_, err = io.ReadFull(conn, make([]byte, 68))
		return err
	})
}

// seen has the package's own view of the client, from within its namespace.
func seen(ctx context.Context, t *testing.T, at *netns.Namespace, c clients.Client, kind clients.Kind, ih units.InfoHash) {
	t.Helper()
	address := forward(t, at, c.API())
	w, err := client.New(client.Config{URL: "http://" + address, User: clients.APIUser, Password: "right horse"}, client.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	err = process.Poll(ctx, time.Second, func() error {
		if err := w.Ask(ctx); err != nil {
			return err
		}
		x, ok := w.Torrent(ih)
		if !ok || !x.Private || !x.PrivateKnown || !x.Complete() || x.Size != units.MiB || len(x.Trackers) != 1 {
			return fmt.Errorf("%+v, %v", x, ok)
		}
		if marked := x.Category + strings.Join(x.Tags, ","); marked != "films" {
			return fmt.Errorf("marked %q", marked)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	s, _ := w.Settings()
	if want := map[bool]client.Kind{true: client.QBittorrent, false: client.Transmission}[kind == clients.QBittorrent || kind == clients.QBittorrent5]; s.Kind != want ||
		s.ListenPort != leakPort || s.UTP || !s.TCP || s.BindAddress != "127.0.0.1" {
		t.Errorf("settings %+v", s)
	}
	t.Logf("%s %s: %+v", s.Kind, s.Version, s)
	if up, ok := w.Uploaded(); !ok || up != 0 {
		t.Errorf("uploaded %d, %v", up, ok)
	}
}

// forward lets this process reach an address in a namespace.
func forward(t *testing.T, at *netns.Namespace, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		for {
			in, err := l.Accept()
			if err != nil {
				return nil
			}
			out, err := at.DialContext(ctx, "tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	})
	return l.Addr().String()
}

// mark gives the torrent the category, or the label, "films".
func mark(ctx context.Context, t *testing.T, at *netns.Namespace, c clients.Client, kind clients.Kind, ih units.InfoHash) {
	t.Helper()
	web := at.HTTP()
	base := "http://" + c.API()
	if kind == clients.Transmission || kind == clients.Transmission4 {
		body, err := json.Marshal(map[string]any{"method": "torrent-set", "arguments": map[string]any{"ids": []string{ih.String()}, "labels": []string{"films"}}})
		if err != nil {
			t.Fatal(err)
		}
		first := post(ctx, t, web, base+"/transmission/rpc", string(body), http.Header{})
		post(ctx, t, web, base+"/transmission/rpc", string(body), http.Header{"X-Transmission-Session-Id": first.Header["X-Transmission-Session-Id"]})
		return
	}
	form := func(kv ...string) string {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v.Encode()
	}
	in := post(ctx, t, web, base+"/api/v2/auth/login", form("username", clients.APIUser, "password", "right horse"), http.Header{})
	header := http.Header{}
	for _, k := range in.Cookies() {
		header.Add("Cookie", k.Name+"="+k.Value)
	}
	post(ctx, t, web, base+"/api/v2/torrents/createCategory", form("category", "films"), header)
	post(ctx, t, web, base+"/api/v2/torrents/setCategory", form("hashes", ih.String(), "category", "films"), header)
}

func post(ctx context.Context, t *testing.T, web *http.Client, to, body string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	req.SetBasicAuth(clients.APIUser, "right horse")
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}
