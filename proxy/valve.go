package proxy

// mode is how far the valve of a gated session stands open.
type mode uint8

const (
	closed   mode = iota // the client hears of no interest, the remote of no unchoke
	offered              // the client hears of the remote's interest; its unchoke stays hidden
	opened               // both pass
	shutting             // no request is passed; what the client was asked for drains
	released             // no gate any more
)

var modeNames = [...]string{"closed", "offered", "open", "shutting", "released"}

func (m mode) String() string { return modeNames[m] }

// valve keeps what each side of a gated session said about choking and interest, and what the other side was told.
// It is pure: say is the answer to every input. Requests are not its business; see turnstile.
//
// The invariants are: toldInterested = remoteInterested unless the mode is closed, then false.
// toldUnchoked = clientUnchoked if the mode is open or released, true if it is shutting, else false.
type valve struct {
	mode             mode
	remoteInterested bool
	clientUnchoked   bool
	toldInterested   bool
	toldUnchoked     bool
}

// input is something that happens to a valve.
type input uint8

const (
	remoteInterest input = iota
	remoteNoInterest
	clientUnchoke
	clientChoke
	doOffer
	doOpen
	doShut // stop at once if nothing is outstanding, which is then told by drained
	doWithdraw
	drained // the client owes nothing any more, or was given up on
	doRelease
)

// say is a set of things to do after an input, in the order of its bits.
type say uint8

const (
	sayChoke         say = 1 << iota // to the remote; held requests are dropped
	sayUnchoke                       // to the remote
	sayInterested                    // to the client
	sayNotInterested                 // to the client
	forgetAsked                      // the client will not serve what it was asked for
)

// apply takes an input and returns what must be said.
func (v *valve) apply(in input) say {
	var extra say
	switch in {
	case remoteInterest, remoteNoInterest:
		v.remoteInterested = in == remoteInterest
	case clientUnchoke:
		v.clientUnchoked = true
		if v.mode == closed {
			extra = sayNotInterested // stops the clock by which libtorrent drops an unchoked peer that asks for nothing
		}
	case clientChoke:
		v.clientUnchoked = false
		extra = forgetAsked
	}
	v.mode = v.next(in)
	return extra | v.tell()
}

// next is the mode after an input.
func (v *valve) next(in input) mode {
	switch {
	case v.mode == released || in == doRelease:
		return released
	case in == doOpen:
		return opened
	case in == doOffer && (v.mode == closed || v.mode == shutting):
		return offered
	case in == doWithdraw && v.mode == offered, in == doShut && v.mode == offered:
		return closed
	case in == doShut && v.mode == opened:
		return v.shut()
	case v.mode == shutting && (in == drained || in == clientChoke):
		return closed
	}
	return v.mode
}

// shut drains only if the remote believes itself unchoked, for otherwise the client owes it nothing.
func (v *valve) shut() mode {
	if v.toldUnchoked {
		return shutting
	}
	return closed
}

// tell brings what the sides were told in line with the mode.
func (v *valve) tell() say {
	var out say
	interested := v.remoteInterested && v.mode != closed
	unchoked := v.clientUnchoked && (v.mode == opened || v.mode == released || v.mode == shutting)
	if unchoked != v.toldUnchoked {
		out |= pick(unchoked, sayUnchoke, sayChoke)
	}
	if interested != v.toldInterested {
		out |= pick(interested, sayInterested, sayNotInterested)
	}
	v.toldInterested, v.toldUnchoked = interested, unchoked
	return out
}

func pick(yes bool, a, b say) say {
	if yes {
		return a
	}
	return b
}
