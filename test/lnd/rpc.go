package lnd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// rpc asks btcd, by JSON-RPC over HTTPS.
type rpc struct {
	url, user, password string
	http                *http.Client
}

func newRPC(address, user, password string, cert []byte) (*rpc, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cert) {
		return nil, errors.New("btcd's certificate cannot be read")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return &rpc{url: "https://" + address, user: user, password: password, http: &http.Client{Transport: transport}}, nil
}

func (r *rpc) close() { r.http.CloseIdleConnections() }

// call makes one call and reads its result into out, unless that is nil.
func (r *rpc) call(ctx context.Context, out any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(r.user, r.password)
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask btcd to %s: %w", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("ask btcd to %s: %s: %w", method, resp.Status, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("ask btcd to %s: %s", method, answer.Error.Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, out)
}
