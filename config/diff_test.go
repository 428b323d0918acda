package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"paygate/units"
)

func TestDiffNamesWhatChanges(t *testing.T) {
	base := func() *Config {
		return &Config{
			DataDir: "/a", Listen: Listen{Peers: ":1"},
			Sell: Sell{Rules: []SellRule{{Name: "a", Line: 3}, {Name: "b", Line: 9}}},
			Buy:  Buy{PerDay: units.Sat, Rules: []BuyRule{{Name: "c"}}},
		}
	}
	for name, tc := range map[string]struct {
		change       func(*Config)
		now, restart string
	}{
		"nothing":      {func(*Config) {}, "", ""},
		"lines":        {func(c *Config) { c.Sell.Rules[0].Line = 4 }, "", ""},
		"notes":        {func(c *Config) { c.Notes = Problems{{}} }, "", ""},
		"a cap":        {func(c *Config) { c.Buy.PerDay++ }, "buy.per_day", ""},
		"samples":      {func(c *Config) { c.Sell.SampleDay++; c.Sell.GraceBytes++ }, "sell.sample_per_day, sell.serve_at_most", ""},
		"a price":      {func(c *Config) { c.Sell.Rules[1].Price = units.Price{Msat: 1, Per: 1} }, `sell.rules: "b" has changed`, ""},
		"a new rule":   {func(c *Config) { c.Buy.Rules = append([]BuyRule{{Name: "d"}}, c.Buy.Rules...) }, `buy.rules: "d" is new`, ""},
		"a rule less":  {func(c *Config) { c.Sell.Rules = c.Sell.Rules[1:] }, `sell.rules: "a" is gone`, ""},
		"the order":    {func(c *Config) { slices.Reverse(c.Sell.Rules) }, "sell.rules: the order has changed", ""},
		"a listener":   {func(c *Config) { c.Listen.SOCKS5Password = "x"; c.Listen.PublicPort = 7 }, "", "listen.public_port, listen.socks5_password"},
		"the node":     {func(c *Config) { c.Lightning.Macaroon = "x"; c.Lightning.PrivateHint = true }, "", "lightning.macaroon, lightning.private_hints"},
		"data":         {func(c *Config) { c.DataDir = "/b" }, "", "data_dir"},
		"more clients": {func(c *Config) { c.Clients = make([]Front, 2) }, "", "clients"},
		"all at once": {
			func(c *Config) { c.Log.Level = "debug"; c.Buy.Max++; c.Client.API.Password = "secret" },
			"buy.max", "log.level, client.api",
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := base()
			tc.change(is)
			now, restart := Diff(base(), is)
			if got := strings.Join(now, ", "); got != tc.now {
				t.Errorf("at once: %s", got)
			}
			if got := strings.Join(restart, ", "); got != tc.restart {
				t.Errorf("after a restart: %s", got)
			}
		})
	}
}

// TestDiffMissesNoGroup: a field at the top of Config without a key would never be told of.
func TestDiffMissesNoGroup(t *testing.T) {
	c := reflect.TypeOf(Config{})
	for i := range c.NumField() {
		name := c.Field(i).Name
		if key := keyOf(schema(&parser{}, &Config{}), name); key == "" && name != "Notes" {
			t.Errorf("%s has no key", name)
		}
	}
}
