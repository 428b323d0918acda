package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says where the socket is.
type Config struct {
	Socket string // path of the socket file; its directory must exist
}

// Server answers status questions on a unix socket, and takes the owner's orders there.
type Server struct {
	socket  string
	source  Source
	control Control
	ready   chan struct{}
}

// New checks the configuration. It opens nothing: Run does. A nil Control takes no orders.
func New(cfg Config, source Source, control Control) (*Server, error) {
	if err := checkLength(cfg.Socket); err != nil {
		return nil, err
	}
	return &Server{socket: cfg.Socket, source: source, control: control, ready: make(chan struct{})}, nil
}

// Ready is closed once the socket answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

const (
	headerTimeout   = 5 * time.Second
	answerTimeout   = 10 * time.Second
	shutdownTimeout = 2 * time.Second
	maxHeader       = 16 << 10
)

// Run opens the socket, answers until ctx ends, and removes the socket again. It returns nil when ctx ended it, and
// ErrInUse when another paygate answers there. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := listen(ctx, s.socket)
	if err != nil {
		return fmt.Errorf("open status socket %s: %w", s.socket, err)
	}
	defer l.remove()
	srv := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout,
		MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(drained); shutdown(srv) })
	close(s.ready)
	err = srv.Serve(l)
	if stop() {
		srv.Close()
		return fmt.Errorf("serve status: %w", err)
	}
	<-drained
	return nil
}

// shutdown lets answers under way finish, for a short while.
func shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	s.obey(mux)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// readyz answers 200 and "ready", or 503 and one line that says what is wrong and what to do about it.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout/2)
	defer cancel()
	if err := s.source.Ready(ctx); err != nil {
		http.Error(w, "not ready: "+strings.Join(strings.Fields(err.Error()), " "), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout/2)
	defer cancel()
	st, err := s.source.Status(ctx)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	body, err := json.Marshal(withLists(st))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

// withLists makes empty lists of missing ones, so that a reader can always range over them.
func withLists(st Status) Status {
	if st.Sessions == nil {
		st.Sessions = []Session{}
	}
	if st.Clients == nil {
		st.Clients = []Client{}
	}
	if st.Torrents == nil {
		st.Torrents = []Torrent{}
	}
	return st
}

// ErrInUse says that another paygate answers on the socket.
var ErrInUse = errors.New("another paygate is running on this data_dir")

// maxPath is what fits into sockaddr_un with its final zero, on every unix.
const maxPath = 103

func checkLength(path string) error {
	if path == "" || len(path) > maxPath {
		return fmt.Errorf("status socket %q: a unix socket's path has 1 to %d bytes, this has %d: choose a shorter data_dir", path, maxPath, len(path))
	}
	return nil
}

// socket is a listener whose file lies where its owner wants it, readable by the owner alone.
type socket struct {
	net.Listener
	path string
	file os.FileInfo
}

// listen binds inside a directory of its own that nobody else can enter, closes the file to others, and only then
// moves it into place, so that there is no moment at which a stranger could connect. A dead socket is replaced.
func listen(ctx context.Context, path string) (*socket, error) {
	if answers(ctx, path) {
		return nil, ErrInUse
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	s := &socket{Listener: l, path: path}
	if err := s.place(tmp); err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) place(tmp string) (err error) {
	if err = os.Chmod(tmp, 0o600); err != nil {
		return err
	}
	if s.file, err = os.Lstat(tmp); err != nil {
		return err
	}
	if old, err := os.Lstat(s.path); err == nil && old.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", s.path)
	}
	return os.Rename(tmp, s.path)
}

// remove closes the listener and deletes its file, unless somebody has put another in its place.
func (s *socket) remove() {
	s.Close()
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		os.Remove(s.path)
	}
}

func answers(ctx context.Context, path string) bool {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
