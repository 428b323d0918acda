package e2e

import (
	"slices"
	"strings"
	"testing"

	"paygate/config"
)

// casesOf names a case for everything that rules and the settings beside them can do, by its key in the file. Conditions
// (match) are left out but for those that something else asks for: docs/policy.md has them, and runs what it shows.
func casesOf() map[string]string {
	return map[string]string{
		"observe": "action observe",

		"sell.sample_per_torrent_day":   "action legacy",
		"sell.sample_per_day":           "action legacy",
		"sell.on_lightning_down":        "action serve",
		"sell.on_lightning_down: hold":  "Lightning is away",
		"sell.on_lightning_down: serve": "action serve",
		"sell.serve_at_most":            "action serve",

		"sell.rules":                          "action legacy",
		"sell.rules.name":                     "action reload",
		"sell.rules.torrents":                 "action reload",
		"sell.rules.all_torrents":             "action tracker_agreed",
		"sell.rules.match":                    "action legacy",
		"sell.rules.deny":                     "action legacy",
		"sell.rules.price":                    "action price",
		"sell.rules.tiers":                    "action tiers",
		"sell.rules.tiers.after":              "action tiers",
		"sell.rules.tiers.price":              "action tiers",
		"sell.rules.sample":                   "action legacy",
		"sell.rules.legacy":                   "action legacy",
		"sell.rules.legacy: serve":            "action legacy",
		"sell.rules.legacy: sample":           "action legacy",
		"sell.rules.legacy: throttle":         "action legacy",
		"sell.rules.legacy: choke":            "action legacy",
		"sell.rules.throttle":                 "action legacy",
		"sell.rules.rights":                   "action legacy",
		"sell.rules.rights: own":              "action legacy",
		"sell.rules.rights: licensed":         "action legacy",
		"sell.rules.rights: creative-commons": "action legacy",
		"sell.rules.rights: public-domain":    "action legacy",
		"sell.rules.tracker_agreed":           "action tracker_agreed",
		"sell.rules.when":                     "action barter",
		"sell.rules.when: complete":           "action when complete",
		"sell.rules.when: always":             "action barter",
		"sell.rules.min":                      "action interval",
		"sell.rules.max":                      "action reload",
		"sell.rules.interval":                 "action interval",
		"sell.rules.credit":                   "action credit",
		"sell.rules.credit.percent":           "action credit",
		"sell.rules.credit.cap":               "action credit",
		"sell.rules.max_peers":                "action max_peers",
		"sell.rules.upload":                   "action max_peers",
		"sell.rules.free_share":               "action free_share",
		"sell.rules.auction":                  "auction",
		"sell.rules.floor_share":              "action free_share",

		"buy.per_torrent":  "action caps",
		"buy.per_peer":     "action caps",
		"buy.per_category": "action caps",
		"buy.per_day":      "action caps",
		"buy.per_week":     "action caps",
		"buy.per_month":    "action caps",
		"buy.total":        "action caps",
		"buy.time_zone":    "action caps",
		"buy.min":          "a cap holds",
		"buy.max":          "action interval",
		"buy.fee_max":      "action fees",
		"buy.fee_percent":  "action fees",

		"buy.rules":                     "action caps",
		"buy.rules.name":                "action reload",
		"buy.rules.torrents":            "action tiers",
		"buy.rules.match":               "action fees",
		"buy.rules.max_price":           "action fees",
		"buy.rules.bid":                 "auction",
		"buy.rules.when":                "action when",
		"buy.rules.when: always":        "action when",
		"buy.rules.when: slower_than":   "action when",
		"buy.rules.when: no_free_seeds": "action when",
		"buy.rules.when: rare":          "action stop_at",
		"buy.rules.stop_at":             "action stop_at",
	}
}

// TestEveryActionHasACase holds the schema against the cases: what a file can ask for has been seen to work.
func TestEveryActionHasACase(t *testing.T) {
	var names []string
	for _, s := range scenarios() {
		if slices.Contains(names, s.name) {
			t.Errorf("two cases are called %q", s.name)
		}
		names = append(names, s.name)
	}
	cases, keys := casesOf(), config.Keys()
	for _, key := range keys {
		section, _, _ := strings.Cut(key, ".")
		if section != "sell" && section != "buy" && section != "observe" || strings.Contains(key, ".match.") || !strings.Contains(key, ".") && section != "observe" {
			continue
		}
		if cases[key] == "" {
			t.Errorf("%s has no case: write one, and name it here", key)
		}
	}
	for key, name := range cases {
		if !slices.Contains(keys, key) {
			t.Errorf("there is no %s in the schema", key)
		}
		if !slices.Contains(names, name) {
			t.Errorf("%s: there is no case %q", key, name)
		}
	}
}
