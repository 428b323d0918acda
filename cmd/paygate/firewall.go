package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"paygate/firewall"
)

const firewallHelp = `Makes Linux bring the client's connections to paygate, for clients that have no proxy setting, or where nothing may
depend on one. The client is not changed, and needs no setting at all. Choose where it is:

  --user NAME       the client runs on this machine as a user of its own
  --cgroup PATH     the client runs on this machine in a control group of its own (v2), such as a systemd unit
  --client-if IF    the client is alone behind an interface of this machine: in a network namespace, a container or
                    a virtual machine whose default route is here

TCP that the client opens to the world goes to listen.redirect, or listen.tproxy; peers that come to the client's port
(client.address) go to listen.tproxy, or to listen.peers. Nothing else of the client leaves: no uTP, no DHT, no port
forwarding. Names are still looked up with the resolvers of /etc/resolv.conf (--dns), and web interfaces are still reached.

Everything stands in one nftables table (paygate), one routing table and one routing rule of its own; other rules are not
touched and no sysctl is set. Applying twice is applying once; remove leaves the machine as it was. The rules are
gone after a reboot: docs/firewall.md shows how to keep them, with pictures of the three forms.`

const firewallExample = `  # see what would be done, as a shell script that explains itself
  paygate firewall print --user debian-transmission -c paygate.yaml

  # a client with a user of its own, on this machine
  sudo paygate firewall apply --user debian-transmission -c paygate.yaml

  # a systemd unit
  sudo paygate firewall apply --cgroup system.slice/qbittorrent-nox.service -c paygate.yaml

  # a client in a network namespace behind veth0, with peers coming from eth0
  sudo paygate firewall apply --client-if veth0 --peers-if eth0 -c paygate.yaml

  # take it all away
  sudo paygate firewall remove -c paygate.yaml`

// firewallDir is where it is written down what was applied. It is gone after a reboot, as the rules are.
const firewallDir = "/run/paygate/firewall"

func newFirewallCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "firewall", Short: "Bring the client's connections here by nftables rules", Long: firewallHelp, Example: firewallExample}
	cmd.AddCommand(newFirewallPrint(), newFirewallApply(), newFirewallRemove())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func newFirewallPrint() *cobra.Command {
	cmd := &cobra.Command{
		Use: "print", Short: "Print what apply would do, as a shell script",
		Long:    "Prints a shell script that does what apply does, and says why. It changes nothing and needs no rights.\n\n" + formsHelp,
		Example: "  paygate firewall print --user debian-transmission -c paygate.yaml\n  paygate firewall print --client-if veth0 --peers-if eth0 | sudo sh",
	}
	f := firewallFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := f.plan()
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), p.Script())
		return err
	}
	return cmd
}

func newFirewallApply() *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply", Short: "Put the rules in place (root)",
		Long: "Puts rules and routes in place, replacing in one step those of an earlier apply. Restart the client afterwards if it\n" +
			"was connected before.\n\n" + formsHelp,
		Example: "  sudo paygate firewall apply --user debian-transmission -c paygate.yaml",
	}
	f := firewallFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := f.plan()
		if err != nil {
			return err
		}
		if err := needRoot("firewall apply"); err != nil {
			return err
		}
		if err := firewall.ThisHost(firewallDir).Apply(cmd.Context(), p); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "applied: %s\n", p.About)
		tellForwarding(cmd.OutOrStdout(), f.clientIf)
		return nil
	}
	return cmd
}

func newFirewallRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove", Short: "Take the rules away again (root)",
		Long: "Takes away what apply put in place, whichever form it was, and nothing else. The client is then on its own: stop it\n" +
			"first if it must not speak with peers directly.",
		Example: "  sudo paygate firewall remove -c paygate.yaml",
	}
	c := clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := needRoot("firewall remove"); err != nil {
			return err
		}
		return removeFirewall(cmd.Context(), cmd.OutOrStdout(), c)
	}
	return cmd
}

func removeFirewall(ctx context.Context, w io.Writer, c *whichClient) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	found, err := firewall.ThisHost(firewallDir).Remove(ctx, firewall.Trace(o))
	if err != nil {
		return err
	}
	word := "removed"
	if !found {
		word = "nothing to remove"
	}
	_, err = fmt.Fprintln(w, word)
	return err
}

// needRoot refuses what only root can do.
func needRoot(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("only root can change the firewall: sudo paygate %s ..., or let `paygate firewall print` write a script for root to run", command)
}

// tellForwarding warns an owner who may count on the machine not passing packets on.
func tellForwarding(w io.Writer, clientIf string) {
	if clientIf == "" {
		return
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if b, err := os.ReadFile("/proc/sys/" + name); err == nil && strings.TrimSpace(string(b)) != "0" {
			fmt.Fprintf(w, "note: this machine forwards packets (sysctl %s); the rules keep the client in, and without them it gets out\n",
				strings.ReplaceAll(name, "/", "."))
		}
	}
}

// underSudo makes "~" in a configuration the home of who called sudo, not root's.
func underSudo() error {
	name := os.Getenv("SUDO_USER")
	if os.Geteuid() != 0 || name == "" || name == "root" {
		return nil
	}
	u, err := lookUpUser(name)
	if err != nil {
		return err
	}
	return os.Setenv("HOME", u.HomeDir)
}

var errNoForm = errors.New("say where the client is: --user NAME, --cgroup PATH or --client-if IF")
