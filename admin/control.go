package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Control does what the owner asks of a running paygate. Its methods must be safe for concurrent use and end with ctx.
type Control interface {
	// Block takes a torrent down, named by its info-hash in hexadecimal, at once and for good, and Unblock lets it back.
	Block(ctx context.Context, infoHash, reason string) (BlockReport, error)
	Unblock(ctx context.Context, infoHash, reason string) (BlockReport, error)
	// Reload reads the configuration again. An error says what is wrong with it: nothing has changed then.
	Reload(ctx context.Context) (ReloadReport, error)
	// Explain says what the rules make of a peer on a torrent. It changes nothing.
	Explain(ctx context.Context, q Question) (Explanation, error)
}

// ReloadReport tells what a reload has changed, each by its key in the configuration.
type ReloadReport struct {
	Changed []string `json:"changed"` // holds now
	Restart []string `json:"restart"` // would hold after a restart
	Closed  int      `json:"closed"`  // connections that were closed for it
	Notes   []string `json:"notes"`   // what is valid but may not do what its author expects
}

// BlockReport tells what a block or its end has changed.
type BlockReport struct {
	Changed []string `json:"changed"` // info-hashes; empty if it was so already
	Closed  int      `json:"closed"`  // connections that were closed for it
}

// blockOrder is the body of a request to block or unblock.
type blockOrder struct {
	InfoHash string `json:"info_hash"`
	Reason   string `json:"reason"`
}

const (
	maxOrder     = 16 << 10
	controlLimit = 60 * time.Second // for an order to be carried out
)

// order makes a handler of a method of Control: it reads the body, if in wants one, and writes what comes out as JSON.
// An error of the method is answered with 422 and its text.
func order[In, Out any](do func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(controlLimit)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), controlLimit-answerTimeout)
		defer cancel()
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&in); err != nil {
			http.Error(w, "read the order: "+err.Error(), http.StatusBadRequest)
			return
		}
		out, err := do(ctx, in)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // the asker has gone
	}
}

// obey adds what Control can do.
func (s *Server) obey(mux *http.ServeMux) {
	if s.control == nil {
		return
	}
	mux.HandleFunc("POST /block", order(func(ctx context.Context, o blockOrder) (BlockReport, error) {
		return s.control.Block(ctx, o.InfoHash, o.Reason)
	}))
	mux.HandleFunc("POST /unblock", order(func(ctx context.Context, o blockOrder) (BlockReport, error) {
		return s.control.Unblock(ctx, o.InfoHash, o.Reason)
	}))
	mux.HandleFunc("POST /reload", order(func(ctx context.Context, _ struct{}) (ReloadReport, error) {
		return s.control.Reload(ctx)
	}))
	mux.HandleFunc("POST /explain", order(s.control.Explain))
}

// Reload asks the paygate that listens on the socket to read its configuration again. The error is *Refused if that is not
// valid.
func Reload(ctx context.Context, socketPath string) (r ReloadReport, err error) {
	err = post(ctx, socketPath, "/reload", struct{}{}, &r)
	return r, err
}

// Block asks the paygate that listens on the socket to take a torrent down.
func Block(ctx context.Context, socketPath, infoHash, reason string) (r BlockReport, err error) {
	err = post(ctx, socketPath, "/block", blockOrder{infoHash, reason}, &r)
	return r, err
}

// Unblock asks the paygate that listens on the socket to let a torrent back.
func Unblock(ctx context.Context, socketPath, infoHash, reason string) (r BlockReport, err error) {
	err = post(ctx, socketPath, "/unblock", blockOrder{infoHash, reason}, &r)
	return r, err
}

// Refused is the error of an order that paygate has understood and not carried out. It says why.
type Refused struct{ Why string }

func (e *Refused) Error() string { return e.Why }

// post gives an order and reads the answer into out.
func post(ctx context.Context, socketPath, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	code, answer, err := ask(ctx, socketPath, http.MethodPost, path, strings.NewReader(string(body)))
	switch {
	case err != nil:
		return fmt.Errorf("ask paygate at %s: %w", socketPath, err)
	case code == http.StatusUnprocessableEntity:
		return &Refused{strings.TrimSpace(string(answer))}
	case code != http.StatusOK:
		return fmt.Errorf("ask paygate at %s: it answers %d %s: %s", socketPath, code, http.StatusText(code), strings.TrimSpace(string(answer)))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read paygate's answer: %w", err)
	}
	return nil
}

func ask(ctx context.Context, socketPath, method, path string, body io.Reader) (code int, answer []byte, err error) {
	tr := transport(socketPath)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://paygate"+path, body)
	if err != nil {
		return 0, nil, err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, answer, err
}
