package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// Plan is what is to be done for some Options. It can be carried out as often as one likes.
type Plan struct {
	options Options
	About   string  `json:"about"`  // where the client is, in words
	Table   string  `json:"table"`  // name of the nftables table, family inet
	Rules   string  `json:"rules"`  // that table, in the language of nft
	Number  int     `json:"number"` // priority of the routing rules and number of the routing table
	Routes  []Route `json:"routes"` // none: no routing rule is needed
}

// Route delivers some packets to this machine whatever their address.
type Route struct {
	Family string `json:"family"` // -4 or -6, as ip wants it
	Select string `json:"select"` // which packets, as `ip rule` wants it
	About  string `json:"about"`
}

// New makes the plan. The error says what is wrong with the options, and the remedy.
func New(o Options) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &Plan{options: o, About: o.describe(), Table: o.table(), Number: o.number()}
	if o.ClientIf != "" {
		p.Rules, p.Routes = o.write(o.gatewayChains()), o.gatewayRoutes()
	} else {
		p.Rules, p.Routes = o.write(o.hostChains()), o.hostRoutes()
	}
	if o.NoIPv6 {
		p.Routes = slices.DeleteFunc(p.Routes, func(r Route) bool { return r.Family == "-6" })
	}
	return p, nil
}

// chain is a part of the table.
type chain struct {
	about []string // comment lines
	name  string
	hook  string // where packets enter; "" = other chains send them
	rules []string
}

// write renders the table. Each closing brace has a line of its own, which nft 1.0 wants.
func (o Options) write(chains []chain) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", o.table())
	first := true
	for _, c := range chains {
		if len(c.rules) == 0 {
			continue
		}
		if !first {
			b.WriteString("\n")
		}
		first = false
		for _, line := range c.about {
			fmt.Fprintf(&b, "\t# %s\n", line)
		}
		fmt.Fprintf(&b, "\tchain %s {\n", c.name)
		if c.hook != "" {
			fmt.Fprintf(&b, "\t\ttype %s; policy accept;\n", c.hook)
		}
		for _, rule := range c.rules {
			fmt.Fprintf(&b, "\t\t%s\n", rule)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// transaction replaces the table at once, whether or not it was there.
func (p *Plan) transaction() string { return p.removal() + p.Rules }

// removal deletes the table, whether or not it was there.
func (p *Plan) removal() string {
	return fmt.Sprintf("table inet %[1]s {\n}\ndelete table inet %[1]s\n", p.Table)
}

// ruleArgs are the arguments of ip that add the routing rule.
func (p *Plan) ruleArgs(r Route) []string {
	args := append([]string{r.Family, "rule", "add", "pref", fmt.Sprint(p.Number)}, strings.Fields(r.Select)...)
	return append(args, "lookup", fmt.Sprint(p.Number))
}

// routeArgs are the arguments of ip that fill the routing table.
func (p *Plan) routeArgs(r Route) []string {
	return []string{r.Family, "route", "replace", "local", "default", "dev", "lo", "table", fmt.Sprint(p.Number)}
}

// Script is the plan as a shell script that explains itself. Run by root it does what Host.Apply does, but for
// remembering it.
func (p *Plan) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# paygate firewall: %s.\n# It may be run again at any time: the rules are replaced as a whole.\nset -e\n", p.About)
	fmt.Fprintf(&b, "\n# Routing rules of priority %[1]d and routing table %[1]d are paygate's own.\n", p.Number)
	for _, family := range families {
		fmt.Fprintf(&b, "while ip %s rule delete pref %d 2>/dev/null; do :; done\n", family, p.Number)
		fmt.Fprintf(&b, "ip %s route flush table %d 2>/dev/null || :\n", family, p.Number)
	}
	for _, r := range p.Routes {
		fmt.Fprintf(&b, "# %s\n", r.About)
		fmt.Fprintf(&b, "ip %s\n", strings.Join(p.routeArgs(r), " "))
		fmt.Fprintf(&b, "ip %s\n", strings.Join(p.ruleArgs(r), " "))
	}
	fmt.Fprintf(&b, "\n# The table %s is replaced in one transaction.\nnft -f - <<'END'\n%sEND\n", p.Table, p.transaction())
	return b.String()
}

var families = []string{"-4", "-6"}

// Trace is a plan that names what an earlier one of the same client may have left, for Host.Remove.
func Trace(o Options) *Plan { return &Plan{About: "nothing", Table: o.table(), Number: o.number()} }
