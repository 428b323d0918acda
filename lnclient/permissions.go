package lnclient

// The calls that the client makes, as lnd's macaroons name them.
const (
	uriGetInfo           = "/lnrpc.Lightning/GetInfo"
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
	return []string{uriGetInfo, uriAddInvoice, uriLookupInvoice, uriListInvoices, uriSubscribeInvoices, uriCancelInvoice}
}

// BuyPermissions are the calls that a macaroon for buying must allow, as URIs to bake it from.
func BuyPermissions() []string {
	return []string{uriGetInfo, uriSendPayment, uriTrackPayment}
}
