package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Diff tells what another configuration would change: what a running paygate can take over at once (everything below sell
// and buy), and what takes a restart. Each change is named by its key, and a rule by its name; values are not told. Where
// a rule stands in the file is no change, but its order among the others is.
func Diff(was, is *Config) (now, restart []string) {
	a, b := reflect.ValueOf(*was), reflect.ValueOf(*is)
	for i := range a.NumField() {
		key := keyOf(schema(&parser{}, &Config{}), a.Type().Field(i).Name)
		switch key {
		case "": // Notes
		case "sell", "buy":
			now = append(now, diffGroup(key, a.Field(i), b.Field(i))...)
		default:
			restart = append(restart, diffGroup(key, a.Field(i), b.Field(i))...)
		}
	}
	return now, restart
}

// diffGroup names what differs in a group of options, or the group where its fields have no keys of their own.
func diffGroup(path string, a, b reflect.Value) (changed []string) {
	if a.Kind() != reflect.Struct {
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			changed = append(changed, path)
		}
		return changed
	}
	options := optionsOf(path)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if name == "Rules" {
			changed = append(changed, diffRules(path+".rules", a.Field(i), b.Field(i))...)
			continue
		}
		if reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			continue
		}
		at := path
		if key := keyOf(options, name); key != "" {
			at += "." + key
		}
		if !slices.Contains(changed, at) {
			changed = append(changed, at)
		}
	}
	return changed
}

// diffRules compares two lists of rules, which have a Name and a Line.
func diffRules(path string, a, b reflect.Value) (changed []string) {
	was, is := ruleNames(a), ruleNames(b)
	kept := func(names, other []string) (out []string) {
		for _, n := range names {
			if slices.Contains(other, n) {
				out = append(out, n)
			}
		}
		return out
	}
	for _, n := range was {
		if !slices.Contains(is, n) {
			changed = append(changed, fmt.Sprintf("%s: %q is gone", path, n))
		}
	}
	for i, n := range is {
		j := slices.Index(was, n)
		switch {
		case j < 0:
			changed = append(changed, fmt.Sprintf("%s: %q is new", path, n))
		case !sameRule(a.Index(j), b.Index(i)):
			changed = append(changed, fmt.Sprintf("%s: %q has changed", path, n))
		}
	}
	if !slices.Equal(kept(was, is), kept(is, was)) {
		changed = append(changed, path+": the order has changed")
	}
	return changed
}

func ruleNames(rules reflect.Value) (names []string) {
	for i := range rules.Len() {
		names = append(names, rules.Index(i).FieldByName("Name").String())
	}
	return names
}

// sameRule compares two rules but for the line that they stand on.
func sameRule(a, b reflect.Value) bool {
	x, y := reflect.New(a.Type()).Elem(), reflect.New(b.Type()).Elem()
	x.Set(a)
	y.Set(b)
	x.FieldByName("Line").SetInt(0)
	y.FieldByName("Line").SetInt(0)
	return reflect.DeepEqual(x.Interface(), y.Interface())
}

// fieldKeys are the keys of fields that are not simply called like them.
var fieldKeys = map[string]string{
	"SampleTorrentDay": "sample_per_torrent_day", "SampleDay": "sample_per_day", "GraceBytes": "serve_at_most",
	"AllowAdmin": "allow_admin_macaroon", "PrivateHint": "private_hints", "Zone": "time_zone",
}

// keyOf finds the key of a field among options; "" if there is none.
func keyOf(options []option, field string) string {
	for _, o := range options {
		if o.key == fieldKeys[field] || strings.EqualFold(strings.ReplaceAll(o.key, "_", ""), field) {
			return o.key
		}
	}
	return ""
}

// optionsOf are the options of a group at the top of the file.
func optionsOf(group string) []option {
	for _, o := range schema(&parser{}, &Config{}) {
		if o.key == group {
			return o.options
		}
	}
	return nil
}
