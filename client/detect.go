package client

import (
	"context"
	"net/http"
	"strings"
	"time"

	"paygate/units"
)

// adapter reads one kind of client.
type adapter interface {
	// refresh brings a book up to date. The book is whole only after a call without an error.
	refresh(ctx context.Context, b *book, now time.Time) error
}

// trimBase takes off what people copy from the browser's address line.
func trimBase(address string) string {
	address = strings.TrimRight(address, "/")
	for _, tail := range []string{"/transmission/rpc", "/transmission/web", "/transmission", "/api/v2"} {
		address = strings.TrimSuffix(address, tail)
	}
	return strings.TrimRight(address, "/")
}

// detect finds out which kind of client answers, without a password.
func detect(ctx context.Context, w *web, user string, password units.Secret) (adapter, error) {
	resp, err := w.get(ctx, trRPC)
	if err != nil {
		return nil, err
	}
	if _, err := word(resp); err != nil {
		return nil, err
	}
	if isTransmission(resp) {
		return newTransmission(w, user, password), nil
	}
	if resp, err = w.get(ctx, "/api/v2/app/webapiVersion"); err != nil {
		return nil, err
	}
	said, err := word(resp)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusOK && strings.HasPrefix(said, "2.") {
		return newQBittorrent(w, user, password), nil
	}
	if resp.StatusCode == http.StatusUnauthorized && isQBittorrent(resp) {
		return nil, (&qBittorrent{}).refusal(http.StatusUnauthorized)
	}
	return nil, &Problem{
		Trouble: Stranger, Text: "what answers at " + w.base + " is neither qBittorrent's WebUI nor Transmission's RPC",
		Remedy: "set client.api.url to the address at which you open the client in a browser; for another client, use client.torrents instead",
	}
}

func isTransmission(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusConflict:
		return resp.Header.Get(trSessionHeader) != ""
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest:
		return strings.HasPrefix(resp.Header.Get("Server"), "Transmission")
	}
	return false
}

// isQBittorrent recognizes the headers that qBittorrent sends with everything.
func isQBittorrent(resp *http.Response) bool {
	return resp.Header.Get("Content-Security-Policy") != "" && resp.Header.Get("Server") == ""
}
