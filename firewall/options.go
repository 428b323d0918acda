package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Options say where the client is and where paygate listens. Exactly one form is chosen: UID, Cgroup or ClientIf.
type Options struct {
	UID      uint32 // of the client's user on this machine; 0 = another form
	Cgroup   string // of the client on this machine, control groups v2: the path below the mount point
	ClientIf string // the interface behind which the client is alone
	PeersIf  string // with ClientIf: the interface from which peers come; "" = all others

	Redirect  uint16         // port of listen.redirect; 0 = none
	TProxy    uint16         // port of listen.tproxy; 0 = none
	Peers     uint16         // port of listen.peers, if it listens on all addresses; 0 = it does not
	Client    netip.AddrPort // where the client listens for peers; zero = nowhere
	ClientV6  netip.AddrPort // the same for IPv6; zero = nowhere
	FromPeer  bool           // client.source is peer
	Web       uint16         // port of the client's web interface, if it is known
	Resolvers []netip.Addr   // where the client on this machine may send DNS; loopback needs no mention

	NoIPv6 bool // this machine has none

	Name string // of one of several clients; "" = the only one
	Slot int    // its place among them, from 0
}

// Numbers that are ours. Each of several clients has those that follow.
const (
	// Mark is what paygate puts on the connections that it opens itself (SO_MARK), so that they are not redirected.
	Mark = 0x7067
	// tproxyMark is on packets that are for paygate whatever their address.
	tproxyMark = 0x70740000
	// base is the priority of our routing rules and the number of our routing table.
	base = 28775
	// maxSlots is how many clients can be told apart.
	maxSlots = 1000
)

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,15}$`)
	cgroupPath    = regexp.MustCompile(`^[A-Za-z0-9_.:@\\-]+(/[A-Za-z0-9_.:@\\-]+)*$`)
	clientName    = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)
)

// Elsewhere are the options of a configuration in the place where these found the client.
func (o Options) Elsewhere(configured Options) Options {
	configured.UID, configured.Cgroup, configured.ClientIf, configured.PeersIf = o.UID, o.Cgroup, o.ClientIf, o.PeersIf
	configured.Resolvers, configured.NoIPv6 = o.Resolvers, o.NoIPv6
	return configured
}

// check says what is wrong with the options, with the remedy.
func (o Options) check() error {
	forms := 0
	for _, chosen := range []bool{o.UID != 0, o.Cgroup != "", o.ClientIf != ""} {
		if chosen {
			forms++
		}
	}
	switch {
	case forms != 1:
		return errors.New("choose one form: the client's user, its control group, or the interface behind which it is")
	case o.Slot < 0 || o.Slot >= maxSlots || !clientName.MatchString(o.Name):
		return fmt.Errorf("client %q has no name or place that rules can have", o.Name)
	case o.ClientIf != "":
		return o.checkGateway()
	}
	return o.checkHost()
}

func (o Options) checkHost() error {
	switch {
	case o.Redirect == 0:
		return errors.New("listen.redirect is not set: write for example `redirect: \":17000\"` under listen")
	case o.Cgroup != "" && !cgroupPath.MatchString(o.Cgroup):
		return fmt.Errorf("%q is not the path of a control group, such as system.slice/transmission-daemon.service", o.Cgroup)
	case o.PeersIf != "":
		return errors.New("the peers' interface goes with the client's: name both, or a user or control group alone")
	case o.FromPeer && !o.Client.Addr().IsLoopback():
		return fmt.Errorf("client.source is peer, and the client is not on loopback but at %s: bind it to 127.0.0.1, or set client.source to alias", o.Client)
	}
	return nil
}

func (o Options) checkGateway() error {
	for _, name := range []string{o.ClientIf, o.PeersIf} {
		if name != "" && !interfaceName.MatchString(name) {
			return fmt.Errorf("%q is not the name of an interface, such as eth0", name)
		}
	}
	switch {
	case o.ClientIf == o.PeersIf:
		return fmt.Errorf("the client and its peers cannot both be behind %s", o.ClientIf)
	case o.Redirect == 0 && o.TProxy == 0:
		return errors.New("neither listen.redirect nor listen.tproxy is set: write for example `redirect: \":17000\"` under listen")
	}
	return nil
}

// table is the name of our nftables table.
func (o Options) table() string {
	if o.Name == "" {
		return "paygate"
	}
	return "paygate-" + o.Name
}

func (o Options) number() int { return base + o.Slot }

func (o Options) mark() string { return fmt.Sprintf("%#x", tproxyMark+o.Slot) }

// describe says in words where the client is.
func (o Options) describe() string {
	switch {
	case o.UID != 0:
		return fmt.Sprintf("a client that runs as user %d on this machine", o.UID)
	case o.Cgroup != "":
		return fmt.Sprintf("a client that runs in the control group %s on this machine", o.Cgroup)
	}
	return fmt.Sprintf("a client that is alone behind the interface %s", o.ClientIf)
}

// CgroupPath reads the path of a control group as people write it.
func CgroupPath(s string) string {
	return strings.Trim(strings.TrimPrefix(s, "/sys/fs/cgroup/"), "/")
}
