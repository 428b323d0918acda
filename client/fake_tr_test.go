package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeTR answers as Transmission does.
type fakeTR struct {
	*httptest.Server
	mu       sync.Mutex
	password string
	status   int // instead of any answer
	prefs    string
	lists    []string // answers of torrent-get in turn; the last one stays
	session  string
	asked    []string
}

func newFakeTR(t *testing.T, prefs string, lists ...string) *fakeTR {
	t.Helper()
	f := &fakeTR{prefs: recorded(t, prefs), session: "s1"}
	for _, l := range lists {
		if strings.HasSuffix(l, ".json") {
			l = recorded(t, l)
		}
		f.lists = append(f.lists, l)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeTR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Server", "Transmission")
	user, password, _ := r.BasicAuth()
	switch {
	case f.status != 0:
		w.WriteHeader(f.status)
	case f.password != "" && (user != "u" || password != f.password):
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path != "/transmission/rpc":
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get(trSessionHeader) != f.session:
		w.Header().Set(trSessionHeader, f.session)
		w.WriteHeader(http.StatusConflict)
	default:
		f.answer(w, r)
	}
}

func (f *fakeTR) answer(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Method    string `json:"method"`
		Arguments struct {
			IDs    any      `json:"ids"`
			Fields []string `json:"fields"`
		} `json:"arguments"`
	}
	if json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch q.Method {
	case "session-get":
		f.asked = append(f.asked, q.Method)
		fmt.Fprint(w, f.prefs)
	case "session-stats":
		fmt.Fprint(w, `{"arguments":{"activeTorrentCount":1,"cumulative-stats":{"uploadedBytes":99},"current-stats":{"uploadedBytes":4096},"downloadSpeed":0,"uploadSpeed":5},"result":"success"}`)
	case "torrent-get":
		what := "all"
		if q.Arguments.IDs != nil {
			what = fmt.Sprint(q.Arguments.IDs)
		}
		f.asked = append(f.asked, fmt.Sprintf("%s/%d", what, len(q.Arguments.Fields)))
		fmt.Fprint(w, f.lists[0])
		if len(f.lists) > 1 {
			f.lists = f.lists[1:]
		}
	default:
		fmt.Fprint(w, `{"arguments":{},"result":"method name not recognized"}`)
	}
}

// restart begins a new session, as a new process has.
func (f *fakeTR) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session += "x"
}

func (f *fakeTR) questions() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.asked, " ")
	f.asked = nil
	return s
}
