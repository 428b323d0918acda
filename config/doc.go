// Package config turns the owner's YAML file into immutable values, strictly: an unknown key, a wrong unit, a
// missing right or a contradiction is a Problem with file:line:column and a remedy, and all of them are reported at
// once. Every option with its default stands in schema.go and nowhere else; what must hold between options is in
// check.go. It reads the file and the secret files that it names, once; it never watches, dials or writes.
package config
