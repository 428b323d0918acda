package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// fakeQB answers as qBittorrent does, with what one has been recorded to say.
type fakeQB struct {
	*httptest.Server
	mu       sync.Mutex
	password string // "": nobody is asked for one
	version  string
	prefs    string
	maindata []string // answers in turn; the last one stays
	asked    []string // methods
	private  map[string]bool
	failures int
	session  string
}

func newFakeQB(t *testing.T, version, prefs string, maindata ...string) *fakeQB {
	t.Helper()
	f := &fakeQB{version: version, prefs: recorded(t, prefs), private: map[string]bool{}}
	for _, m := range maindata {
		if strings.HasSuffix(m, ".json") {
			m = recorded(t, m)
		}
		f.maindata = append(f.maindata, m)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func recorded(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (f *fakeQB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Security-Policy", "default-src 'self'")
	method, ok := strings.CutPrefix(r.URL.Path, "/api/v2/")
	if !ok {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	if method != "app/webapiVersion" {
		f.asked = append(f.asked, strings.TrimSuffix(method+"?"+r.URL.RawQuery, "?"))
	}
	if method == "auth/login" {
		f.logIn(w, r)
		return
	}
	if c, err := r.Cookie("SID"); f.password != "" && (err != nil || c.Value != f.session || f.session == "") {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	f.answer(w, r, method)
}

func (f *fakeQB) logIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.failures >= 5:
		http.Error(w, "Your IP address has been banned after too many failed authentication attempts.", http.StatusForbidden)
	case r.PostFormValue("username") != "admin" || r.PostFormValue("password") != f.password:
		f.failures++
		fmt.Fprint(w, "Fails.")
	default:
		f.session += "x"
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: f.session, HttpOnly: true, Path: "/"})
		fmt.Fprint(w, "Ok.")
	}
}

func (f *fakeQB) answer(w http.ResponseWriter, r *http.Request, method string) {
	switch method {
	case "app/version":
		fmt.Fprint(w, f.version)
	case "app/webapiVersion":
		fmt.Fprint(w, "2.8.19")
	case "app/preferences":
		fmt.Fprint(w, f.prefs)
	case "sync/maindata":
		fmt.Fprint(w, f.maindata[0])
		if len(f.maindata) > 1 {
			f.maindata = f.maindata[1:]
		}
	case "torrents/properties":
		private, ok := f.private[r.URL.Query().Get("hash")]
		if !ok {
			http.Error(w, "Not Found", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"hash":%q,"is_private":%t}`, r.URL.Query().Get("hash"), private)
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

// expire ends all sessions.
func (f *fakeQB) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session += "y"
}

// questions returns what was asked since the last time.
func (f *fakeQB) questions() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.asked, " ")
	f.asked = nil
	return s
}
