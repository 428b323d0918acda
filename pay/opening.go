package pay

import (
	"context"
	"time"

	"paygate/proxy/wire"
)

// move opens, holds and shuts the valve.
func (s *seller) move(ctx context.Context, now time.Time, f facts, grown bool) {
	funded := s.c.avail.Load() >= block
	switch s.mode {
	case closed, offered:
		s.moveClosed(now, f, funded)
	case opened:
		s.moveOpen(ctx, now, f, grown)
	}
}

func (s *seller) moveClosed(now time.Time, f facts, funded bool) {
	switch {
	case funded && f.remoteInterested && s.admitted(now):
		s.mode = opened
		s.heldSince = time.Time{}
		s.c.box.fed()
		s.c.link.Open()
		s.c.link.Resume()
		s.tell(wire.GateOpen)
	case s.mode == closed && s.ask != nil && s.ask.For == wire.ForBytes && s.takeSlot(now):
		s.mode = offered
		s.c.link.Offer()
	case s.mode == offered && now.Sub(s.slotSince) >= slotTime:
		s.mode = closed
		s.c.link.Withdraw()
		s.giveSlot(now.Add(slotRest))
		s.decline(wire.NoBusy, int64(slotRest/time.Second))
	}
}

// admitted takes what this peer needs to be served: one of the rule's places and, if it has only its sample, a slot. It takes
// both or none.
func (s *seller) admitted(now time.Time) bool {
	if !s.enters() {
		return false
	}
	if s.stock.left(sold, bartered, throttled, indulged) > 0 || s.takeSlot(now) {
		return true
	}
	if s.lane != nil {
		s.lane.exit(s.c)
	}
	return false
}

func (s *seller) moveOpen(ctx context.Context, now time.Time, f facts, grown bool) {
	if s.slot && s.stock.left(sold, bartered, indulged) > 0 {
		s.giveSlot(time.Time{})
	}
	overstays := s.slot && now.Sub(s.slotSince) >= slotTime
	switch {
	case overstays:
		s.shut(ctx, now)
	case !f.starved:
		s.heldSince = time.Time{}
		s.tellBusy(f)
	case grown:
		s.heldSince = time.Time{}
		s.c.box.fed()
		s.c.link.Resume()
		if s.told.Gate != wire.GateOpen { // a payment is told by itself
			s.tell(wire.GateOpen)
		}
	case s.lane != nil && s.c.avail.Load() >= block: // it waits for its turn
		s.heldSince = time.Time{}
		if !s.c.thirsty.Load() {
			s.c.box.fed()
			s.c.link.Resume()
		}
	case s.heldSince.IsZero():
		s.heldSince = now
	case now.Sub(s.heldSince) >= s.grace(now):
		s.shut(ctx, now)
	case now.Sub(s.heldSince) >= heldTold && s.told.Gate != wire.GateHeld:
		s.tell(wire.GateHeld)
	}
}

// tellBusy says whether the client itself chokes the peer, when that has changed.
func (s *seller) tellBusy(f facts) {
	s.servedOnce = s.servedOnce || f.clientUnchokes
	switch {
	case !f.clientUnchokes && s.servedOnce && s.told.Gate == wire.GateOpen:
		s.tell(wire.GateBusy)
	case f.clientUnchokes && s.told.Gate == wire.GateBusy:
		s.tell(wire.GateOpen)
	}
}

// shut chokes the peer until there is credit again.
func (s *seller) shut(ctx context.Context, now time.Time) {
	s.mode = closed
	s.heldSince = time.Time{}
	s.c.box.fed()
	s.c.link.Shut()
	if s.lane != nil {
		s.lane.exit(s.c)
	}
	rest := now.Add(slotRest)
	if s.watch.funded {
		rest = time.Time{} // its next payment is late, no more
	}
	s.giveSlot(rest)
	s.stock.settle(ctx)
	s.tell(wire.GateShut)
}

// grace is how long requests are held. A trickle lives on being held for a moment again and again.
func (s *seller) grace(now time.Time) time.Duration {
	if s.rule.Legacy == "throttle" && s.stock.buyer.IsZero() && s.c.legacy(now) {
		return 2 * slotTime
	}
	return holdGrace
}

func (s *seller) takeSlot(now time.Time) bool {
	switch {
	case s.slot:
		return true
	case now.Before(s.slotNext):
		return false
	case s.watch.funded: // who has bought before comes on top of the strangers, or these would keep it waiting
	case !s.c.desk.slots.take(s.stock.subnet):
		return false
	default:
		s.slot = true
	}
	s.slotSince = now
	return true
}

func (s *seller) giveSlot(next time.Time) {
	if s.slot {
		s.slot = false
		s.c.desk.slots.give(s.stock.subnet)
	}
	s.slotNext = next
}
