package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

const (
	maxAnswer   = 64 << 20 // bytes of one answer: 10,000 torrents have about 20 MiB
	maxWord     = 4 << 10  // bytes of an answer that says one thing
	maxTorrents = 50_000
	patience    = 30 * time.Second // for a whole answer
	maxHeader   = 64 << 10
)

// errTooMuch says that an answer is longer than any client's should be.
var errTooMuch = errors.New("the answer is too long")

// web speaks HTTP with one client: bounded, without the environment's proxy, and never following it elsewhere.
type web struct {
	base string
	http *http.Client
	most int64 // bytes of one answer
}

func newWeb(base string) (*web, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &web{base: base, most: maxAnswer, http: &http.Client{
		Timeout: patience, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: patience,
			MaxResponseHeaderBytes: maxHeader, MaxConnsPerHost: 2, MaxIdleConns: 2, IdleConnTimeout: 2 * time.Minute,
		},
	}}, nil
}

func (w *web) close() { w.http.CloseIdleConnections() }

// do sends a request. The answer's body is bounded; the caller closes it.
func (w *web) do(req *http.Request) (*http.Response, error) {
	resp, err := w.http.Do(req)
	if err != nil {
		if ctx := req.Context().Err(); ctx != nil {
			return nil, ctx
		}
		return nil, w.away(err)
	}
	resp.Body = &bounded{body: resp.Body, left: w.most}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Body.Close()
		return nil, &Problem{Trouble: Stranger, Text: w.base + " sends elsewhere", Remedy: "set client.api.url to where it leads in your browser"}
	}
	return resp, nil
}

// away classifies an error of the network. It leaves out the address, which stands in the text, as the error may hold
// the whole request.
func (w *web) away(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &Problem{
		Trouble: Away, Text: "the client does not answer at " + w.base, Err: err,
		Remedy: "start it with its web interface (qBittorrent: Options, Web UI; Transmission: rpc-enabled), and see that client.api.url is its address",
	}
}

func (w *web) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+path, nil)
	if err != nil {
		return nil, err
	}
	return w.do(req)
}

func (w *web) post(ctx context.Context, path, contentType string, body string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", contentType)
	return w.do(req)
}

// word reads a short answer to its end and closes it.
func word(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxWord))
	return strings.TrimSpace(string(b)), err
}

// bounded fails a body that goes on and on.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }

// fields walks through a JSON object and calls each with every key; each must read the value from the decoder. Nothing
// of the object is kept, so that a long one takes no memory.
func fields(d *json.Decoder, each func(key string) error) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("a key is %v", t)
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

// elements walks through a JSON array; see fields.
func elements(d *json.Decoder, each func() error) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return delimiter(d, ']')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v where %v is wanted", t, want)
	}
	return nil
}

// ignore reads over a value.
func ignore(d *json.Decoder) error {
	depth := 0
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
