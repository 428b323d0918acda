package lnd

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// purse holds the key that every block pays to.
type purse struct {
	key     *btcec.PrivateKey
	address btcutil.Address
	script  []byte // that pays to address
	next    int64  // height of the first block whose coins are unspent
}

// newPurse draws keys until the address does not look like a bech32 one of simnet ("sb1..."), which btcd would then
// refuse to read.
func newPurse() (*purse, error) {
	for {
		p, err := drawPurse()
		if err != nil || !strings.HasPrefix(strings.ToLower(p.address.EncodeAddress()), "sb1") {
			return p, err
		}
	}
}

func drawPurse() (*purse, error) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return nil, err
	}
	hash := btcutil.Hash160(key.PubKey().SerializeCompressed())
	address, err := btcutil.NewAddressPubKeyHash(hash, &chaincfg.SimNetParams)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(address)
	return &purse{key: key, address: address, script: script, next: 1}, err
}

// minerFee is paid by each transaction of the purse, in satoshi.
const minerFee = 100_000

// spend returns a signed transaction that makes count coins of each satoshi at every address, out of one block's coins.
func (p *purse) spend(coinbase *wire.MsgTx, addresses []string, count int, each int64) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	hash := coinbase.TxHash()
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&hash, 0), nil, nil))
	rest := coinbase.TxOut[0].Value - minerFee
	for _, text := range addresses {
		address, err := btcutil.DecodeAddress(text, &chaincfg.SimNetParams)
		if err != nil {
			return nil, fmt.Errorf("read address: %w", err)
		}
		script, err := txscript.PayToAddrScript(address)
		if err != nil {
			return nil, fmt.Errorf("pay to address: %w", err)
		}
		for range count {
			tx.AddTxOut(wire.NewTxOut(each, script))
			rest -= each
		}
	}
	if rest < 0 {
		return nil, fmt.Errorf("one block's coins are not enough for %d nodes", len(addresses))
	}
	tx.AddTxOut(wire.NewTxOut(rest, p.script))
	signature, err := txscript.SignatureScript(tx, 0, p.script, txscript.SigHashAll, p.key, true)
	if err != nil {
		return nil, fmt.Errorf("sign transaction: %w", err)
	}
	tx.TxIn[0].SignatureScript = signature
	return tx, nil
}

// Coins that a node gets at first: each makes one channel, so that none waits for another's change.
const (
	coinsEach = 20_000_000 // satoshi; lnd's largest channel is 16,777,215
	coinCount = 8
)

// fund sends every address its coins. They are confirmed by the next block.
func (c *chain) fund(ctx context.Context, addresses []string) error {
	coinbase, err := c.coinbase(ctx, c.purse.next)
	if err != nil {
		return err
	}
	c.purse.next++
	tx, err := c.purse.spend(coinbase, addresses, coinCount, coinsEach)
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return fmt.Errorf("write transaction: %w", err)
	}
	return c.rpc.call(ctx, nil, "sendrawtransaction", hex.EncodeToString(raw.Bytes()))
}

// coinbase reads the transaction that made a block's coins.
func (c *chain) coinbase(ctx context.Context, height int64) (*wire.MsgTx, error) {
	var hash, text string
	if err := c.rpc.call(ctx, &hash, "getblockhash", height); err != nil {
		return nil, err
	}
	if err := c.rpc.call(ctx, &text, "getblock", hash, 0); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", height, err)
	}
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("read block %d: %w", height, err)
	}
	return block.Transactions[0], nil
}
