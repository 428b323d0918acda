package wire

// EncodeMessage returns the canonical bencoding of one of this package's messages. It fails with ErrUnknownType for any other, and
// with a *SyntaxError for one that ParseMessage would refuse: nothing is sent that a peer could not read.
func EncodeMessage(m Message) ([]byte, error) {
	fields := fieldsOf(m)
	if fields == nil {
		return nil, ErrUnknownType
	}
	fields["t"] = text(m.Type())
	b := newDict(fields)
	if _, err := ParseMessage(b); err != nil {
		return nil, err
	}
	return b, nil
}

// fieldsOf returns the bencoded value of each key but t; nil for a foreign message.
func fieldsOf(m Message) map[string][]byte {
	switch m := m.(type) {
	case Hello:
		return m.fields()
	case Terms:
		return m.fields()
	case Buy:
		return m.fields()
	case Invoice:
		return map[string][]byte{"buys": integer(m.Buys), "for": text(m.For), "pr": text(m.Request)}
	case Paid:
		return map[string][]byte{"pre": text(m.Pre[:])}
	case State:
		return m.fields()
	case No:
		return map[string][]byte{"code": text(m.Code), "ttl": integer(m.TTL)}
	}
	return nil
}

func (m Hello) fields() map[string][]byte {
	f := map[string][]byte{"pk": text(m.PK[:]), "sig": text(m.Sig[:])}
	if !m.Node.IsZero() {
		f["node"] = text(m.Node[:])
	}
	return f
}

func (m Terms) fields() map[string][]byte {
	return map[string][]byte{
		"credit": integer(m.Credit), "free": integer(m.Free), "max": integer(m.Max), "min": integer(m.Min),
		"per": integer(m.Price.Per), "price": integer(m.Price.Msat), "ttl": integer(m.TTL),
	}
}

func (m Buy) fields() map[string][]byte {
	f := map[string][]byte{"amt": integer(m.Amt), "for": text(m.For)}
	if m.Left != -1 {
		f["left"] = integer(m.Left)
	}
	if m.Bid != 0 {
		f["price"] = integer(m.Bid)
	}
	return f
}

func (m State) fields() map[string][]byte {
	return map[string][]byte{
		"bal": integer(m.Bal), "charged": integer(m.Charged), "gate": text(m.Gate), "served": integer(m.Served),
	}
}

// Encode returns the canonical bencoding of the advert. What does not keep to the bounds of Advert is encoded all the same, and
// refused by ParseAdvert.
func (a Advert) Encode() []byte {
	methods := []byte{'l'}
	for _, m := range a.Methods {
		methods = appendText(methods, m)
	}
	return newDict(map[string][]byte{
		"methods": append(methods, 'e'), "net": text(a.Net), "nonce": text(a.Nonce[:]), "v": integer(a.V),
	})
}

func integer[T ~int64](n T) []byte { return appendInt(nil, int64(n)) }

func text[T string | []byte](s T) []byte { return appendText(nil, s) }
