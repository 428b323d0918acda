package doctor

import "fmt"

// Verdict is what a check came to.
type Verdict string

// The verdicts. Only Fail means that something does not work.
const (
	Pass Verdict = "pass"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
	Skip Verdict = "skip" // could not be told, or does not matter here; the text says why
)

// The checks, in the order in which they are made.
const (
	CheckConfiguration = "configuration"
	CheckDataDir       = "data_dir"
	CheckDisk          = "disk"
	CheckSecrets       = "secrets"
	CheckFiles         = "open files"
	CheckNode          = "lnd"
	CheckVersion       = "lnd version"
	CheckNetwork       = "network"
	CheckMacaroon      = "macaroon"
	CheckClock         = "clock"
	CheckInbound       = "inbound"
	CheckOutbound      = "outbound"
	CheckPeers         = "public port"
	CheckSOCKS5        = "socks5 port"
	CheckHTTP          = "http port"
	CheckRedirect      = "redirect port"
	CheckTProxy        = "tproxy port"
	CheckCapability    = "capability"
	CheckFirewall      = "firewall"
	CheckClient        = "client"
	CheckAPI           = "client's api"
	CheckBypass        = "way around"
	CheckUTP           = "utp"
	CheckConnections   = "own peers"
	CheckAnnounce      = "announce"
	CheckTransport     = "transport"
	CheckOutgoing      = "outgoing"
	CheckSlots         = "upload slots"
	CheckCrowd         = "connections"
	CheckGossip        = "other ways"
	CheckLAN           = "rate limits"
)

// Finding is the outcome of one check, in the owner's words. A warning or a failure carries a remedy.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Remedy  string  `json:"remedy,omitempty"`
	Client  string  `json:"client,omitempty"` // which of several clients it is about
}

func pass(check, format string, args ...any) Finding {
	return Finding{Check: check, Verdict: Pass, Text: fmt.Sprintf(format, args...)}
}

func skip(check, format string, args ...any) Finding {
	return Finding{Check: check, Verdict: Skip, Text: fmt.Sprintf(format, args...)}
}

func warn(check, remedy, format string, args ...any) Finding {
	return Finding{Check: check, Verdict: Warn, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

func fail(check, remedy, format string, args ...any) Finding {
	return Finding{Check: check, Verdict: Fail, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}
