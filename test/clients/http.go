package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callTimeout bounds one call to a client's API.
const callTimeout = 10 * time.Second

// do makes one HTTP request and returns the body of a successful answer.
func do(ctx context.Context, client *http.Client, verb, url, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, verb, url, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c, _ := ctx.Value(cookieKey{}).(string); c != "" {
		req.Header.Set("Cookie", c)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

// cookieKey is under which a context carries the cookie to send.
type cookieKey struct{}

func withCookie(ctx context.Context, cookie string) context.Context {
	return context.WithValue(ctx, cookieKey{}, cookie)
}
