package e2e

import "testing"

// scenario is one promise and its proof.
type proof struct {
	name   string
	proves string // the sentence, as the issue has it
	alone  bool   // measures time: nothing else may run meanwhile
	run    func(*testing.T)
}

// scenarios lists everything that is proved end to end.
func scenarios() []proof {
	var all []proof
	for _, some := range [][]proof{speeds(), auctions(), pairings(), vanilla(), caps(), crashes(), outages(), floods(), actions(), strangers(), limits(), prices(), whens(), drops(), sharing(), gossip(), encrypted(), twenty(), trackers()} {
		all = append(all, some...)
	}
	return all
}

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real clients are not started")
	}
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			if !s.alone {
				t.Parallel()
			}
			t.Logf("proves: %s", s.proves)
			s.run(t)
		})
	}
}
