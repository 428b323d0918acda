package pay

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"paygate/proxy/wire"
	"paygate/units"
)

const seedLen = 32

// Keys are this paygate's identities: one Ed25519 key as a seller, and a key of its own towards every seller it
// buys from, so that two sellers cannot link one buyer. All of them follow from one seed.
type Keys struct{ seed [seedLen]byte }

// LoadKeys reads the seed from a file that only its owner may read, and makes the file when there is none.
func LoadKeys(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return createKeys(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	k := new(Keys)
	if n, err := hex.Decode(k.seed[:], []byte(strings.TrimSpace(string(text)))); err != nil || n != seedLen {
		return nil, fmt.Errorf("identity file %s does not hold %d hexadecimal digits: restore it from your backup, "+
			"or remove it to begin with a new identity (credit under the old one is lost)", path, 2*seedLen)
	}
	return k, nil
}

func createKeys(path string) (*Keys, error) {
	k := new(Keys)
	if _, err := rand.Read(k.seed[:]); err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(k.seed[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	return k, nil
}

// Seller returns the key under which this paygate sells.
func (k *Keys) Seller() ed25519.PrivateKey { return k.derive("pg_pay seller", nil) }

// Buyer returns the key under which this paygate buys from one seller.
func (k *Keys) Buyer(seller units.PeerKey) ed25519.PrivateKey {
	return k.derive("pg_pay buyer", seller[:])
}

func (k *Keys) derive(purpose string, salt []byte) ed25519.PrivateKey {
	seed, err := hkdf.Key(sha256.New, k.seed[:], salt, purpose, ed25519.SeedSize)
	if err != nil {
		panic("pay: hkdf refused a constant length: " + err.Error())
	}
	return ed25519.NewKeyFromSeed(seed)
}

func publicKey(priv ed25519.PrivateKey) (pk units.PeerKey) {
	copy(pk[:], priv.Public().(ed25519.PublicKey))
	return pk
}

// introduction is what both hellos of one connection are signed over besides the keys.
type introduction struct {
	initiator, acceptor []byte // the two pg_pay dicts, as they stood on the wire
	infoHash            units.InfoHash
}

func (i introduction) text(pk, peer units.PeerKey, role byte, node units.NodeKey) []byte {
	return wire.HelloText(i.initiator, i.acceptor, i.infoHash, pk, peer, role, node)
}

// hello signs for the holder of key.
func (i introduction) hello(key ed25519.PrivateKey, peer units.PeerKey, role byte, node units.NodeKey) wire.Hello {
	h := wire.Hello{PK: publicKey(key), Node: node}
	copy(h.Sig[:], ed25519.Sign(key, i.text(h.PK, peer, role, node)))
	return h
}

var (
	errOwnKey  = errors.New("the peer says hello with our own key")
	errBadSign = errors.New("the peer's hello is not signed for this connection")
)

// verify checks a hello against the connection it came over.
func (i introduction) verify(h wire.Hello, own, peer units.PeerKey, role byte) error {
	if h.PK == own {
		return errOwnKey
	}
	if !ed25519.Verify(h.PK[:], i.text(h.PK, peer, role, h.Node), h.Sig[:]) {
		return errBadSign
	}
	return nil
}
