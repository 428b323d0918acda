package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"paygate/config"
	"paygate/firewall"
)

const formsHelp = `Say where the client is with --user, --cgroup or --client-if; ` + "`paygate firewall --help`" + ` explains them.`

// whichClient names one client of a configuration.
type whichClient struct{ config, name string }

func clientFlags(cmd *cobra.Command) *whichClient {
	var c whichClient
	cmd.Flags().StringVarP(&c.config, "config", "c", defaultConfig, "configuration `file`")
	cmd.Flags().StringVar(&c.name, "client", "", "`name` of the client, if the configuration has several")
	return &c
}

// firewallForm is where the client is, as the command line says.
type firewallForm struct {
	*whichClient
	user, cgroup, clientIf, peersIf string
	dns                             []string
}

func firewallFlags(cmd *cobra.Command) *firewallForm {
	f := &firewallForm{whichClient: clientFlags(cmd)}
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "the client runs on this machine as this user (`name` or number)")
	flags.StringVar(&f.cgroup, "cgroup", "", "the client runs on this machine in this control group, a `path` below /sys/fs/cgroup")
	flags.StringVar(&f.clientIf, "client-if", "", "the client is alone behind this `interface`")
	flags.StringVar(&f.peersIf, "peers-if", "", "with --client-if: peers come from this `interface` (default all others)")
	flags.Bool("gateway", false, "the form of --client-if, by its name")
	_ = flags.MarkHidden("gateway") // fails only for a flag that is not there
	flags.StringSliceVar(&f.dns, "dns", nil, "`addresses` where the client may look up names (default: those in /etc/resolv.conf)")
	return f
}

// plan is what to do for the configuration and the command line.
func (f *firewallForm) plan() (*firewall.Plan, error) {
	if f.user == "" && f.cgroup == "" && f.clientIf == "" {
		return nil, &exitError{exitConfiguration, errNoForm}
	}
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	o.Cgroup, o.ClientIf, o.PeersIf = firewall.CgroupPath(f.cgroup), f.clientIf, f.peersIf
	if f.user != "" {
		if o.UID, err = userID(f.user); err != nil {
			return nil, err
		}
	}
	if o.Resolvers, err = resolvers(f.dns); err != nil {
		return nil, err
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		o.NoIPv6 = true
	}
	p, err := firewall.New(o)
	if err != nil {
		return nil, &exitError{exitConfiguration, err}
	}
	return p, nil
}

// options are those that the configuration knows.
func (c *whichClient) options() (firewall.Options, error) {
	if err := underSudo(); err != nil {
		return firewall.Options{}, err
	}
	whole, err := loadConfig(c.config)
	if err != nil {
		return firewall.Options{}, err
	}
	one, err := c.pick(whole)
	if err != nil {
		return firewall.Options{}, &exitError{exitConfiguration, err}
	}
	return firewallOptions(whole, one), nil
}

// pick finds the client.
func (c *whichClient) pick(whole *config.Config) (*config.Config, error) {
	all := whole.PerClient()
	if len(all) == 1 && c.name == "" {
		return all[0], nil
	}
	var names []string
	for _, one := range all {
		if one.Client.Name == c.name && c.name != "" {
			return one, nil
		}
		names = append(names, one.Client.Name)
	}
	return nil, fmt.Errorf("say which client is meant with --client: %s", strings.Join(names, ", "))
}

// firewallOptions are those of one client's configuration out of the whole. Rules are named after the client only if
// there are several.
func firewallOptions(whole, cfg *config.Config) firewall.Options {
	l := cfg.Listen
	o := firewall.Options{
		Redirect: portOf(l.Redirect), TProxy: portOf(l.TProxy),
		FromPeer: cfg.Client.Source == "peer", Web: webPort(cfg.Client.API.URL),
	}
	o.Client, _ = netip.ParseAddrPort(cfg.Client.Address) // a name, or nothing, is the zero address
	o.ClientV6, _ = netip.ParseAddrPort(cfg.Client.IPv6)
	if host, _, err := net.SplitHostPort(l.Peers); err == nil {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			o.Peers = portOf(l.Peers)
		}
	}
	if len(whole.Clients) > 1 {
		o.Name = cfg.Client.Name
		o.Slot = slices.IndexFunc(whole.Clients, func(f config.Front) bool { return f.Client.Name == o.Name })
	}
	return o
}

func portOf(address string) uint16 {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(port, 10, 16) // the configuration has been checked
	return uint16(n)
}

func webPort(address string) uint16 {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return 0
	}
	if u.Port() == "" {
		return map[string]uint16{"http": 80, "https": 443}[u.Scheme]
	}
	return portOf(u.Host)
}

// userID is the number of a user, who need not have a name.
func userID(name string) (uint32, error) {
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		u, err := lookUpUser(name)
		if err != nil {
			return 0, &exitError{exitConfiguration, err}
		}
		if n, err = strconv.ParseUint(u.Uid, 10, 32); err != nil {
			return 0, err
		}
	}
	if n == 0 {
		return 0, &exitError{exitConfiguration, fmt.Errorf("the client must not run as root: give it a user of its own, or choose another form")}
	}
	return uint32(n), nil
}

func lookUpUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("there is no user %q on this machine: see `ps -o user= -C NAME-OF-THE-CLIENT`", name)
	}
	return u, nil
}

// resolvers are the addresses for DNS: as the command line says, or as the system has them.
func resolvers(said []string) ([]netip.Addr, error) {
	if len(said) == 0 {
		return systemResolvers("/etc/resolv.conf"), nil
	}
	var list []netip.Addr
	for _, s := range said {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, &exitError{exitConfiguration, fmt.Errorf("--dns %s: not an IP address", s)}
		}
		list = append(list, a)
	}
	return list, nil
}

// systemResolvers reads resolv.conf(5). One that cannot be read names none.
func systemResolvers(path string) []netip.Addr {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var list []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && !a.IsLoopback() {
			list = append(list, a)
		}
	}
	return list
}
