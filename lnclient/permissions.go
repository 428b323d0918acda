package lnclient

import "slices"

// The calls that the client makes, as lnd's macaroons name them.
const (
	uriGetInfo           = "/lnrpc.Lightning/GetInfo"
	uriListChannels      = "/lnrpc.Lightning/ListChannels"
	uriChannelBalance    = "/lnrpc.Lightning/ChannelBalance"
	uriAddInvoice        = "/lnrpc.Lightning/AddInvoice"
	uriLookupInvoice     = "/lnrpc.Lightning/LookupInvoice"
	uriListInvoices      = "/lnrpc.Lightning/ListInvoices"
	uriSubscribeInvoices = "/lnrpc.Lightning/SubscribeInvoices"
	uriCancelInvoice     = "/invoicesrpc.Invoices/CancelInvoice"
	uriSendPayment       = "/routerrpc.Router/SendPaymentV2"
	uriTrackPayment      = "/routerrpc.Router/TrackPaymentV2"
)

// SellPermissions are the calls that a macaroon for selling must allow, as URIs to bake it from. The state of the node
// needs no macaroon.
func SellPermissions() []string {
	return []string{
		uriGetInfo, uriListChannels, uriChannelBalance,
		uriAddInvoice, uriLookupInvoice, uriListInvoices, uriSubscribeInvoices, uriCancelInvoice,
	}
}

// BuyPermissions are the calls that a macaroon for buying must allow, as URIs to bake it from.
func BuyPermissions() []string {
	return []string{uriGetInfo, uriListChannels, uriChannelBalance, uriSendPayment, uriTrackPayment}
}

// LiquidityPermissions are those of them that only show what the node can send and receive.
func LiquidityPermissions() []string { return []string{uriListChannels, uriChannelBalance} }

// Permissions are the calls that a macaroon must allow for what its owner does, each once, as URIs to bake it from.
func Permissions(sell, buy bool) []string {
	var uris []string
	if sell {
		uris = SellPermissions()
	}
	if buy {
		for _, u := range BuyPermissions() {
			if !slices.Contains(uris, u) {
				uris = append(uris, u)
			}
		}
	}
	return uris
}

// neededRights are the rights by which lnd v0.21 allows those calls to a macaroon that names no single ones.
var neededRights = map[string]Right{
	uriGetInfo:           {"info", "read"},
	uriListChannels:      {"offchain", "read"},
	uriChannelBalance:    {"offchain", "read"},
	uriAddInvoice:        {"invoices", "write"},
	uriLookupInvoice:     {"invoices", "read"},
	uriListInvoices:      {"invoices", "read"},
	uriSubscribeInvoices: {"invoices", "read"},
	uriCancelInvoice:     {"invoices", "write"},
	uriSendPayment:       {"offchain", "write"},
	uriTrackPayment:      {"offchain", "read"},
}
