package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestWatcherTellsOnceThatTheClientIsAwayAndOnceThatItIsBack runs against a port on which nothing listens at first.
func TestWatcherTellsOnceThatTheClientIsAwayAndOnceThatItIsBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	core, logs := observer.New(zap.InfoLevel)
	w, err := New(Config{URL: "http://" + address, User: "admin", Password: "hidden"}, Deps{Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	eventually(t, func() bool { return w.Problem() != nil })

	fake := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "qb45-maindata.json", `{"rid":2}`)
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip(err) // somebody else has taken the port
	}
	srv := &http.Server{Handler: fake}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	<-w.Ready()
	eventually(t, func() bool { return w.Problem() == nil && len(w.InfoHashes()) == 2 && logs.Len() > 1 })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	srv.Close()
	<-served
	var lines []string
	for _, e := range logs.All() {
		lines = append(lines, e.Message)
		if text := fmt.Sprint(e.ContextMap()); strings.Contains(text, "hidden") {
			t.Errorf("a password in the log: %s", text)
		}
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "the client cannot be asked") || lines[1] != "the client answers" {
		t.Errorf("told %q", lines)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it never happened")
}

// TestHurry shortens a pause, though not to nothing.
func TestHurry(t *testing.T) {
	f := newFakeQB(t, "v5.1.0", "qb51-preferences.json", "qb51-maindata.json", `{"rid":2}`)
	w := watching(t, f.URL, "", "")
	w.Hurry()
	w.Hurry()
	for range 2 {
		if !w.wait(t.Context(), time.Millisecond) {
			t.Error("a pause that does not end")
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if w.wait(ctx, time.Hour) {
		t.Error("a pause outlives its context")
	}
	if w.Ask(ctx) == nil {
		t.Error("a question outlives its context")
	}
}

// TestAnswerWithoutEnd: what goes on for ever is given up, and memory for it is not held.
func TestAnswerWithoutEnd(t *testing.T) {
	for name, head := range map[string]string{
		"torrents":     `{"rid":1,"torrents":{`,
		"another list": `{"categories":[`,
	} {
		s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "maindata"):
				endless(w, head)
			case strings.HasSuffix(r.URL.Path, "preferences"):
				fmt.Fprint(w, "{}")
			case strings.HasPrefix(r.URL.Path, "/api/v2/app"):
				fmt.Fprint(w, "2.9")
			default:
				http.NotFound(w, r)
			}
		}))
		w := watching(t, s.URL, "", "")
		w.web.most = 4 << 20
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		err := w.Ask(t.Context())
		runtime.GC()
		runtime.ReadMemStats(&after)
		if troubleOf(err) != Broken {
			t.Errorf("%s: %v", name, err)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
			t.Errorf("%s: %d MiB are held", name, grown>>20)
		}
	}
}

func endless(w io.Writer, head string) {
	if _, err := io.WriteString(w, head); err != nil {
		return
	}
	for i := 0; ; i++ {
		text := fmt.Sprintf(`"%040x":{"name":"%s"},`, i, strings.Repeat("x", 900))
		if strings.HasSuffix(head, "[") {
			text = `"` + strings.Repeat("x", 1000) + `",`
		}
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

func TestTenThousandTorrents(t *testing.T) {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, `,{"id":%d,"hashString":"%040x","name":"%0200d","labels":["a"],"sizeWhenDone":9,"leftUntilDone":0,"isPrivate":false}`, i, i, i)
	}
	f := newFakeTR(t, "tr41-session.json", `{"arguments":{"torrents":[`+b.String()[1:]+`]},"result":"success"}`)
	w := watching(t, f.URL, "", "")
	ask(t, w)
	if n := len(w.InfoHashes()); n != 10_000 {
		t.Fatalf("%d torrents", n)
	}
	if allocs := testing.AllocsPerRun(100, func() { w.InfoHashes(); w.Torrent(w.InfoHashes()[77]) }); allocs != 0 {
		t.Errorf("a look at a torrent allocates %v times", allocs)
	}
}
