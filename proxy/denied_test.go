package proxy

import (
	"testing"

	"paygate/units"
)

func TestDeniedTorrentIsClosedAndNotLetInAgain(t *testing.T) {
	for _, treatment := range []Treatment{Free, Watched, Gated} {
		t.Run(treatment.String(), func(t *testing.T) {
			desk := newDesk(treatment, 0)
			desk.charge = false
			r := newRig(t, desk, nil)
			remote, client := r.inbound()
			hash := testHash
			desk.denies.Store(&units.InfoHash{1})
			if n := r.proxy.Review(); n != 0 {
				t.Errorf("%d sessions of another torrent were closed", n)
			}
			desk.denies.Store(&hash)
			if n := r.proxy.Review(); n != 1 {
				t.Errorf("%d sessions were closed", n)
			}
			remote.expectEnd()
			client.expectEnd()
			again := r.dial()
			again.send(hand("remote", true, true))
			again.expectEnd()
			eventually(t, "no session left", func() bool { return len(r.proxy.Sessions()) == 0 })
			for _, l := range r.log.FilterMessage("session ended").All() {
				if l.ContextMap()["reason"] != blocked {
					t.Errorf("logged %v", l.ContextMap())
				}
			}
		})
	}
}

func TestDeniedTorrentIsNotDialled(t *testing.T) {
	desk := newDesk(Free, 0)
	hash := testHash
	desk.denies.Store(&hash)
	r, far := dialRig(t, desk)
	client := r.accept()
	client.expectLen(48)
	client.send(hand("client", true, true))
	client.expectEnd()
	if n := len(far.proxy.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestSessionThatSlippedInIsClosed blocks a torrent between the decision to let a connection in and its start.
func TestSessionThatSlippedInIsClosed(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	hash := testHash
	desk.opened = func() { desk.denies.Store(&hash) }
	remote := r.dial()
	remote.send(hand("remote", true, true))
	remote.expectEnd()
}

func TestReviewClosesWhatWouldBeGated(t *testing.T) {
	for was, want := range map[Treatment]int{Free: 1, Watched: 0, Gated: 0} {
		t.Run(was.String(), func(t *testing.T) {
			desk := newDesk(was, 0)
			r := newRig(t, desk, nil)
			remote, _ := r.inbound()
			if n := r.proxy.Review(); n != 0 {
				t.Errorf("%d closed before anything changed", n)
			}
			desk.treat = Gated
			if n := r.proxy.Review(); n != want {
				t.Errorf("%d closed, want %d", n, want)
			}
			if want > 0 {
				remote.expectEnd()
			}
		})
	}
}

// TestReviewClosesWhatWouldBeWatched spares a remote that gives: what comes for nothing need not be bought.
func TestReviewClosesWhatWouldBeWatched(t *testing.T) {
	for name, tc := range map[string]struct {
		was    Treatment
		brings int
		want   int
	}{
		"a free one that brings nothing": {Free, 0, 1},
		"a free one that brings blocks":  {Free, BroughtLittle, 0},
		"one that is sold":               {Gated, 0, 0},
		"one that is bought already":     {Watched, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(tc.was, 0)
			r := newRig(t, desk, nil)
			remote, client := r.inbound()
			for n := 0; n < tc.brings; n += 16384 {
				remote.send(piece(0, uint32(n), 16384))
				client.expectLen(16384 + 13)
			}
			desk.treat = Watched
			eventually(t, "all is counted", func() bool { return r.proxy.alive()[0].BytesIn() >= int64(tc.brings) })
			if n := r.proxy.Review(); n != tc.want {
				t.Errorf("%d closed, want %d", n, tc.want)
			}
		})
	}
}
