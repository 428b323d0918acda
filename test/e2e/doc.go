// Package e2e proves the promises of docs and issues with unmodified clients, the real paygate program and a sandboxed
// Lightning network. It holds tests only; `go test -short` skips them. One table (scenarios_test.go) lists them all,
// each with the sentence that it proves.
package e2e
