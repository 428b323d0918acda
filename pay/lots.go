package pay

import (
	"paygate/ledger"
	"paygate/units"
)

// held takes what was given up since, or was used elsewhere, off the oldest lots: they are worth the balance at most.
func held(lots []ledger.Bought, balance units.Msat) []ledger.Bought {
	var sum units.Msat
	for _, l := range lots {
		sum += l.Left
	}
	gone := sum - max(0, balance)
	out := lots[:0]
	for _, l := range lots {
		off := max(0, min(gone, l.Left))
		gone -= off
		l.Left -= off
		switch last := len(out) - 1; {
		case l.Left <= 0:
		case last >= 0 && out[last].Price == l.Price:
			out[last].Left += l.Left // rounded together
		default:
			out = append(out, l)
		}
	}
	return out
}

// deliverable is how many bytes the rest of a lot is good for, on top of what was charged at its price before.
func deliverable(l ledger.Bought) units.Bytes {
	return max(0, l.Price.Buys(l.Price.Charge(l.Bytes)+l.Left)-l.Bytes)
}

// priced splits received bytes by the price that they are counted at, as the seller does: what was bought for this
// torrent at its own price, the oldest first, and everything else at the current one. There is at least one part.
func (b *buyer) priced(n units.Bytes) (parts []ledger.Receipt) {
	for _, l := range b.lots {
		part := min(n, deliverable(l))
		if part <= 0 {
			continue
		}
		n -= part
		parts = append(parts, ledger.Receipt{Price: l.Price, Bytes: part})
	}
	price := b.due()
	switch last := len(parts) - 1; {
	case last >= 0 && (n <= 0 || parts[last].Price == price):
		parts[last].Bytes += max(0, n)
	default:
		parts = append(parts, ledger.Receipt{Price: price, Bytes: max(0, n)})
	}
	return parts
}

// due is the price of what comes now. We never agreed to more than agreed, so we never owe more.
func (b *buyer) due() units.Price {
	if b.terms.Price.Compare(b.agreed) > 0 {
		return b.agreed
	}
	return b.terms.Price
}
