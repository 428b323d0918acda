// Package fault names the moments at which a crash would hurt most: before and after each write to the journal and
// each call that moves money. In an ordinary build Point does nothing and costs nothing. A build with the tag
// `faults`, which only the crash campaign in test/crash makes, kills its own process (SIGKILL) at the point that
// PAYGATE_FAULT names.
package fault
