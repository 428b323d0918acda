package wire

// BitfieldCheck finds out from a bitfield (BEP 3), fragment by fragment, whether its sender has every piece. The zero value
// is ready for use; take a new one for each bitfield message. It does not know the number of pieces: see Complete.
type BitfieldCheck struct {
	last  byte
	some  bool // at least one byte has come
	holes bool // a byte before the last one lacks a piece
}

// Add looks at the payload of the next fragment (Frame.Payload). It keeps nothing of it.
func (c *BitfieldCheck) Add(fragmentPayload []byte) {
	if len(fragmentPayload) == 0 {
		return
	}
	if c.some && c.last != 0xff {
		c.holes = true
	}
	c.some = true
	end := len(fragmentPayload) - 1
	c.last = fragmentPayload[end]
	for _, b := range fragmentPayload[:end] {
		if b != 0xff {
			c.holes = true
			return
		}
	}
}

// Complete reports whether every bit is one, but for up to seven zero bits at the end of the last byte: those are padding
// unless the torrent's number of pieces is a multiple of eight, so a sender that lacks nothing but some of the last
// seven pieces may pass as complete. An empty bitfield is not complete.
func (c BitfieldCheck) Complete() bool {
	padding := ^c.last // must be 0…01…1, shorter than the byte
	return c.some && !c.holes && padding&(padding+1) == 0 && padding != 0xff
}
