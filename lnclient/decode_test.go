package lnclient

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"pgregory.net/rapid"

	"paygate/units"
)

var testKey, testPub = btcec.PrivKeyFromBytes([]byte("a key that belongs to tests only"))

// request makes a signed request.
func request(t interface{ Fatal(...any) }, params *chaincfg.Params, hash [32]byte, opts ...func(*zpay32.Invoice)) string {
	opts = append(opts, zpay32.PaymentAddr([32]byte{7}))
	inv, err := zpay32.NewInvoice(params, hash, time.Unix(1_700_000_000, 0), opts...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(testKey, chainhash.HashB(msg), true), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func features(bits ...lnwire.FeatureBit) func(*zpay32.Invoice) {
	return zpay32.Features(lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(bits...), lnwire.Features))
}

func TestDecodeNetworks(t *testing.T) {
	networks := []string{"mainnet", "testnet", "signet", "simnet", "regtest"}
	for _, of := range networks {
		params, err := networkParams(of)
		if err != nil {
			t.Fatal(err)
		}
		for _, opts := range [][]func(*zpay32.Invoice){
			{zpay32.Description("x")},
			{zpay32.Description("x"), zpay32.Amount(12_000)},
		} {
			r := request(t, params, [32]byte{1}, opts...)
			for _, as := range networks {
				d, err := Decode(r, as)
				var wrong *WrongNetworkError
				var p *Problem
				switch {
				case as == of && (err != nil || d.Network != of):
					t.Errorf("%s: %v", of, err)
				case as != of && (!errors.As(err, &wrong) || wrong.Got != of || !errors.As(err, &p)):
					t.Errorf("%s read as %s: %v", of, as, err)
				}
			}
			if _, err := Decode(strings.ToUpper(r), of); err != nil {
				t.Errorf("%s in capitals: %v", of, err)
			}
		}
	}
	if _, err := Decode("", "moon"); err == nil {
		t.Error("an unknown network is read")
	}
}

func TestDecodeFields(t *testing.T) {
	mpp := features(lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional)
	payee := units.NodeKey(testPub.SerializeCompressed())
	for _, tt := range []struct {
		name string
		opts []func(*zpay32.Invoice)
		want Decoded
	}{
		{"plain", []func(*zpay32.Invoice){
			zpay32.Amount(25_000), zpay32.DescriptionHash([32]byte{5}), zpay32.Expiry(10 * time.Minute), zpay32.CLTVExpiry(80), mpp,
		}, Decoded{
			Msat: 25_000, HasMsat: true, DescriptionHash: [32]byte{5}, HasDescriptionHash: true,
			Expires: time.Unix(1_700_000_600, 0), FinalCLTV: 80,
		}},
		{"defaults of BOLT 11", []func(*zpay32.Invoice){zpay32.Description("tea")}, Decoded{
			Expires: time.Unix(1_700_003_600, 0), FinalCLTV: 24,
		}},
		{"AMP", []func(*zpay32.Invoice){
			zpay32.Description(""), features(lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.AMPRequired),
		}, Decoded{Expires: time.Unix(1_700_003_600, 0), FinalCLTV: 24, AMP: true}},
		{"longest expiry", []func(*zpay32.Invoice){zpay32.Description(""), zpay32.Expiry(1 << 62)}, Decoded{
			Expires: time.Unix(1_700_000_000, 0).Add(maxExpiry), FinalCLTV: 24,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode(request(t, &chaincfg.RegressionNetParams, [32]byte{1, 2}, tt.opts...), "regtest")
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Network, tt.want.Payee, tt.want.Hash = "regtest", payee, units.PaymentHash{1, 2}
			if !got.Expires.Equal(tt.want.Expires) {
				t.Errorf("expires at %s, want %s", got.Expires, tt.want.Expires)
			}
			got.Expires = tt.want.Expires
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := request(t, &chaincfg.RegressionNetParams, [32]byte{1}, zpay32.Description("x"), zpay32.Amount(5000))
	for name, r := range map[string]string{
		"empty":          "",
		"ln":             "ln",
		"prefix alone":   "lnbcrt",
		"cut":            good[:len(good)-1],
		"changed amount": strings.Replace(good, "lnbcrt50n", "lnbcrt51n", 1),
		"mixed case":     strings.ToUpper(good[:10]) + good[10:],
		"too long":       good + strings.Repeat("q", MaxRequest),
		"zeros":          strings.Repeat("\x00", 300),
		"too much money": request(t, &chaincfg.RegressionNetParams, [32]byte{1}, zpay32.Description("x"), zpay32.Amount(lnwire.MilliSatoshi(units.MaxMsat)+1000)),
	} {
		_, err := Decode(r, "regtest")
		var p *Problem
		if !errors.As(err, &p) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Decode(good, "regtest"); err != nil {
		t.Error(err)
	}
}

// TestDecodeReturns checks that what is put into a request is what is read from it.
func TestDecodeReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		desc := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "description"))
		msat := rapid.Int64Range(1, int64(units.MaxMsat)).Draw(t, "msat")
		expiry := time.Duration(rapid.Int64Range(1, 365*86400).Draw(t, "expiry")) * time.Second
		cltv := rapid.Uint64Range(1, 65535).Draw(t, "cltv")
		r := request(t, &chaincfg.SimNetParams, hash, zpay32.Amount(lnwire.MilliSatoshi(msat)),
			zpay32.DescriptionHash(desc), zpay32.Expiry(expiry), zpay32.CLTVExpiry(cltv))
		d, err := Decode(r, "simnet")
		if err != nil {
			t.Fatal(err)
		}
		if d.Hash != hash || d.DescriptionHash != desc || d.Msat != units.Msat(msat) || d.FinalCLTV != cltv ||
			!d.Expires.Equal(time.Unix(1_700_000_000, 0).Add(expiry)) {
			t.Fatalf("got %+v", d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(request(f, &chaincfg.RegressionNetParams, [32]byte{1}, zpay32.Description("x"), zpay32.Amount(5000)), uint8(4))
	f.Add(request(f, &chaincfg.MainNetParams, [32]byte{1}, zpay32.DescriptionHash([32]byte{2}), zpay32.Expiry(time.Hour)), uint8(0))
	f.Add("lntbs1", uint8(2))
	networks := []string{"mainnet", "testnet", "signet", "simnet", "regtest"}
	f.Fuzz(func(t *testing.T, r string, n uint8) {
		network := networks[int(n)%len(networks)]
		d, err := Decode(r, network)
		if err != nil {
			return
		}
		if d.Network != network || d.Msat < 0 || d.Msat > units.MaxMsat || d.HasMsat != (d.Msat > 0) && d.Msat > 0 {
			t.Fatalf("read %+v", d)
		}
		if d.Payee.IsZero() || d.Expires.Year() > 9999 {
			t.Fatalf("read %+v", d)
		}
	})
}
