// Package ledger keeps the money: what buyers have paid and used, what we have paid to sellers and received for
// it, the free samples given away, and the caps that spending must respect. It is one SQLite file and the only
// writer of it.
//
// Every change is one transaction, on disk (fsync) before the method returns, and leaves a row in an append-only
// journal from which all other tables can be computed again; Verify does so. Amounts are whole millisatoshi.
//
// The ledger takes decisions on none of this: policy and pay do. It never touches the network, never logs, and
// starts no goroutine. All methods are safe for concurrent use. The caller owns the file's directory. Other processes
// may read the file meanwhile, and write single steps to it (Options.Existing); only one runs it.
package ledger
