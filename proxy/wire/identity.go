package wire

import (
	"crypto/sha256"

	"paygate/units"
)

// Roles in the text that a hello signs.
const (
	RoleSeller = 'S'
	RoleBuyer  = 'B'
)

const helloPrefix = "pg_pay/1"

// HelloText returns what the Sig of a Hello signs with Ed25519: the prefix "pg_pay/1", the SHA-256 of the initiator's and of the
// acceptor's pg_pay dictionary as they went over the wire, the info-hash that the initiator sent, the signer's key pk, the other
// side's key peer (zero in the seller's hello, which comes first), the role of the signer, and the seller's node (nothing if it is
// zero). So a signature counts for one connection, one direction and one pair only.
func HelloText(initiatorDict, acceptorDict []byte, ih units.InfoHash, pk, peer units.PeerKey, role byte, node units.NodeKey) []byte {
	initiator, acceptor := sha256.Sum256(initiatorDict), sha256.Sum256(acceptorDict)
	b := append([]byte(helloPrefix), initiator[:]...)
	b = append(b, acceptor[:]...)
	b = append(b, ih[:]...)
	b = append(b, pk[:]...)
	b = append(b, peer[:]...)
	b = append(b, role)
	if node.IsZero() {
		return b
	}
	return append(b, node[:]...)
}

// Binding returns the description hash (BOLT 11, h) of an invoice: the SHA-256 of the bencoded dictionary {b: buyer, buys, per,
// price, s: seller}. By it the seller's node signs what is sold to whom.
func Binding(buyer, seller units.PeerKey, buys units.Bytes, price units.Price) [32]byte {
	return sha256.Sum256(newDict(map[string][]byte{
		"b": text(buyer[:]), "buys": integer(buys), "per": integer(price.Per), "price": integer(price.Msat), "s": text(seller[:]),
	}))
}
