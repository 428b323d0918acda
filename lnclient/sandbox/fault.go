package sandbox

import "time"

// FaultKind is what goes wrong.
type FaultKind string

// The faults of payments act on what Fault.Node sends, those of calls on what it is asked.
const (
	NoRoute             FaultKind = "no-route"             // payments fail at once
	InsufficientBalance FaultKind = "insufficient-balance" // payments fail at once
	IncorrectDetails    FaultKind = "incorrect-details"    // payments are turned down by the payee
	Slow                FaultKind = "slow"                 // payments take Delay longer
	StuckInFlight       FaultKind = "stuck-in-flight"      // payments stay in flight until Unstick, over restarts too
	DropConnection      FaultKind = "drop-connection"      // the payment is taken, then the caller's connection breaks
	DropUnheard         FaultKind = "drop-unheard"         // the connection breaks, and the payment is not taken
	RefuseAll           FaultKind = "refuse-all"           // every call is refused: the wallet is locked
	Starting            FaultKind = "starting"             // every call is refused: the node is starting
	NoWallet            FaultKind = "no-wallet"            // every call is refused: there is no wallet
	Unsynced            FaultKind = "unsynced"             // some calls block for ever, payments fail: never synced
)

// FaultKinds lists every fault, for menus.
func FaultKinds() []FaultKind {
	return []FaultKind{NoRoute, InsufficientBalance, IncorrectDetails, Slow, StuckInFlight, DropConnection, DropUnheard, RefuseAll, Starting, NoWallet, Unsynced}
}

// Fault is one thing that goes wrong.
type Fault struct {
	Kind  FaultKind
	Node  string        // alias; empty: any node
	Times int           // so many payments or calls; 0: until cleared
	Delay time.Duration // for Slow
}

// SetFault makes something go wrong from now on. It replaces a fault of the same kind on the same node.
func (n *Network) SetFault(f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.faults {
		if n.faults[i].Kind == f.Kind && n.faults[i].Node == f.Node {
			n.faults[i] = f
			return
		}
	}
	n.faults = append(n.faults, f)
}

// ClearFaults ends every fault. Payments that are stuck stay so: see Unstick.
func (n *Network) ClearFaults() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = nil
	n.broadcast()
}

// Faults returns the faults in force.
func (n *Network) Faults() []Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Fault(nil), n.faults...)
}

// Unstick ends every payment that is stuck in flight now, by settling it where the invoice still allows that, or by
// giving it back. It returns how many there were.
func (n *Network) Unstick(settle bool) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for p := range n.flying {
		if p.Stuck && p.released == nil {
			p.released = &settle
			count++
		}
	}
	n.broadcast()
	return count
}

// take uses a fault up, once. The lock is held.
func (n *Network) take(k FaultKind, alias string) (Fault, bool) {
	i := n.findFault(k, alias)
	if i < 0 {
		return Fault{}, false
	}
	f := n.faults[i]
	if f.Times > 0 {
		n.faults[i].Times--
		if n.faults[i].Times == 0 {
			n.faults = append(n.faults[:i:i], n.faults[i+1:]...)
		}
	}
	return f, true
}

func (n *Network) findFault(k FaultKind, alias string) int {
	for i, f := range n.faults {
		if f.Kind == k && (f.Node == "" || f.Node == alias) {
			return i
		}
	}
	return -1
}

// hit is take under the lock.
func (n *Network) hit(k FaultKind, alias string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.take(k, alias)
	return ok
}

// has looks without using up.
func (n *Network) has(k FaultKind, alias string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.findFault(k, alias) >= 0
}
