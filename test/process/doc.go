// Package process runs the programs under test, each in a process group of its own, and waits for what they do.
// It ends only what it started, by process id. A child does not outlive the program that started it (Linux).
package process
