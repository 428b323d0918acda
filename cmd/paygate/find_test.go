package main

import (
	"context"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"paygate/client"
	"paygate/config"
)

// TestFindSaysThatItWaits has the client asked in vain before and after paygate begins to wait: it says so in either case.
func TestFindSaysThatItWaits(t *testing.T) {
	for _, asked := range []bool{false, true} {
		core, logs := observer.New(zap.InfoLevel)
		w, err := client.New(client.Config{URL: "http://127.0.0.1:1"}, client.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if asked && w.Ask(t.Context()) == nil {
			t.Fatal("something answers at port 1")
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		f := &front{file: &config.Config{}, log: zap.New(core), watcher: w}
		if f.find(ctx) != nil {
			t.Error("found a client that is not there")
		}
		if n := logs.FilterMessageSnippet("waits for the client").Len(); n != 1 {
			t.Errorf("asked before: %v; said %d times that it waits", asked, n)
		}
	}
}
