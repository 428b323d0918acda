package lnclient

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg"
)

// networkParams returns the chain of a network, by the names that lnd uses.
func networkParams(name string) (*chaincfg.Params, error) {
	switch name {
	case "mainnet":
		return &chaincfg.MainNetParams, nil
	case "testnet":
		return &chaincfg.TestNet3Params, nil
	case "signet":
		return &chaincfg.SigNetParams, nil
	case "simnet":
		return &chaincfg.SimNetParams, nil
	case "regtest":
		return &chaincfg.RegressionNetParams, nil
	}
	return nil, fmt.Errorf("%q is not a Lightning network", name)
}

// requestPrefixes are the networks by the letters after "ln" in a request (BOLT 11), longest first: "bcrt" and "tbs"
// begin like "bc" and "tb".
var requestPrefixes = []struct{ prefix, network string }{
	{"bcrt", "regtest"}, {"tbs", "signet"}, {"bc", "mainnet"}, {"tb", "testnet"}, {"sb", "simnet"},
}
