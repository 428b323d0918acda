package fault

// Points at which a process can be killed, in the order in which a payment passes them.
const (
	IssueBefore   = "issue.before"   // seller: an invoice is about to be asked of the node
	IssueAfter    = "issue.after"    // the node has made it, the ledger does not know yet
	InvoiceAfter  = "invoice.after"  // the ledger knows it, the buyer does not yet
	ReserveBefore = "reserve.before" // buyer: an invoice was found good
	ReserveAfter  = "reserve.after"  // the intent is journalled
	SentBefore    = "sent.before"    // the intent is about to become a payment
	SentAfter     = "sent.after"     // journalled as sent, the node does not know yet
	PayAfter      = "pay.after"      // the node has said what became of it, the ledger does not know yet
	CloseAfter    = "close.after"    // the outcome is journalled, nobody has acted on it
	SettleBefore  = "settle.before"  // seller: the node has told of a settlement
	SettleAfter   = "settle.after"   // it is credited, the session does not know yet
	ChargeBefore  = "charge.before"  // served bytes are about to be charged
	ChargeAfter   = "charge.after"   // they are
	ReceiveBefore = "receive.before" // buyer: received bytes are about to be counted
	ReceiveAfter  = "receive.after"  // they are
	ReconBefore   = "recon.before"   // the seller's balance is about to be taken over
	ReconAfter    = "recon.after"    // it is
	TrackBefore   = "track.before"   // a payment of an earlier life is about to be asked for
	TrackAfter    = "track.after"    // the node has answered
)

// SellerPoints and BuyerPoints are the points that each side passes.
func SellerPoints() []string {
	return []string{IssueBefore, IssueAfter, InvoiceAfter, SettleBefore, SettleAfter, ChargeBefore, ChargeAfter}
}

// BuyerPoints are those that a buyer passes in a payment that goes well; the last two only after a crash.
func BuyerPoints() []string {
	return []string{
		ReserveBefore, ReserveAfter, SentBefore, SentAfter, PayAfter, CloseAfter, ReceiveBefore, ReceiveAfter,
		ReconBefore, ReconAfter, TrackBefore, TrackAfter,
	}
}
