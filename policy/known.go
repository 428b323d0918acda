package policy

import (
	"strconv"
	"time"

	"paygate/units"
)

// Known is a fact that is known, for people.
type Known struct{ Name, Value string }

// List tells all that is known, in the order and under the names of the conditions that a rule can have. Of trackers it
// tells the host alone: an announce URL may hold a passkey.
func (f *Facts) List() (all []Known) {
	add := func(name, value string, known bool) {
		if known {
			all = append(all, Known{name, value})
		}
	}
	number := func(name string, value func() (int64, bool), text func(int64) string) {
		if n, known := value(); known {
			add(name, text(n), true)
		}
	}
	add("torrents", hashesText(f.InfoHashes), len(f.InfoHashes) > 0)
	category, known := f.category()
	add("category", quoteEmpty(category), known)
	add("tag", listText(f.tags()), len(f.tags()) > 0)
	add("tracker", listText(hostsOf(f.trackers())), len(f.trackers()) > 0)
	private, known := f.private()
	add("private", strconv.FormatBool(private), known)
	number("size", f.size, func(n int64) string { return units.Bytes(n).String() })
	number("age", f.age, ageText)
	number("seeds", f.seeds, func(n int64) string { return strconv.FormatInt(n, 10) })
	number("ratio", f.ratio, ratioText)
	add("peer", f.Remote.Unmap().String(), f.Remote.IsValid())
	add("country", f.Country, f.Country != "")
	add("client_id", strconv.QuoteToASCII(f.ClientID), f.ClientID != "")
	add("identity", f.Identity.String(), !f.Identity.IsZero())
	add("volume", f.Volume.String(), f.Volume > 0)
	add("time", f.Now.Format(time.RFC3339), !f.Now.IsZero())
	return all
}
