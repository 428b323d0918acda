// Startup measures how long paygate takes until it is ready with a ledger of a long life: a million journal entries of
// everyday kinds. `make startup` runs it.
package main
