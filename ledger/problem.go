package ledger

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// ProblemKind sorts what can be wrong with the ledger's file by what its owner must do.
type ProblemKind uint8

// The kinds of problem.
const (
	DiskFull  ProblemKind = iota + 1 // no room for another entry
	ReadOnly                         // the file, its directory or the file system cannot be written
	Disk                             // the disk refused to read or write
	Corrupted                        // the file is damaged
	Held                             // another process keeps the file locked
	Newer                            // a newer version of this program wrote it
	Older                            // an older version of this program wrote it, and it was not to be changed
	NoLedger                         // the file is none
	Missing                          // there is no file, and none was to be made
)

var remedies = map[ProblemKind]string{
	DiskFull: "free some space on the disk of data_dir; nothing is bought until then",
	ReadOnly: "let paygate's user write to data_dir and the files in it; if the whole file system turned read-only, " +
		"the kernel's log (dmesg) says why",
	Disk:      "look at the disk of data_dir: space, quota, the kernel's log (dmesg)",
	Corrupted: "stop paygate and restore the latest backup: paygate ledger restore FILE; the damaged file is kept aside",
	Held:      "find out which other program has the ledger open, and end it",
	Newer:     "run the paygate that wrote it, or a newer one",
	Older:     "start `paygate run` once: it brings the ledger up to date and keeps a copy of it",
	NoLedger:  "check data_dir, and the name of the file",
	Missing:   "check data_dir; `paygate run` makes the ledger when it first starts",
}

// Problem is what is wrong with the ledger's file, with what its owner can do. Every error that comes from the file
// and not from what was asked of it unwraps to one.
type Problem struct {
	Kind   ProblemKind
	Remedy string // one sentence without a full stop
	Err    error
}

// Error says what is wrong and what to do.
func (p *Problem) Error() string { return fmt.Sprintf("%v; %s", p.Err, p.Remedy) }

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

func newProblem(k ProblemKind, err error) error {
	return &Problem{Kind: k, Remedy: remedies[k], Err: err}
}

// explain makes a *Problem of an error of the file or of SQLite, and leaves every other one as it is.
func explain(err error) error {
	var known *Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	if k := kindOf(err); k != 0 {
		return newProblem(k, err)
	}
	return err
}

func kindOf(err error) ProblemKind {
	var s *sqlite.Error
	switch {
	case errors.As(err, &s):
		return sqliteKinds[s.Code()&0xff]
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ReadOnly
	case errors.Is(err, syscall.EFBIG), errors.Is(err, syscall.EIO):
		return Disk
	}
	return 0
}

// sqliteKinds goes by SQLite's primary result codes. That a file cannot be opened means, where its directory exists,
// that the files beside it (the write-ahead log) cannot be made.
var sqliteKinds = map[int]ProblemKind{
	lib.SQLITE_FULL:     DiskFull,
	lib.SQLITE_READONLY: ReadOnly,
	lib.SQLITE_PERM:     ReadOnly,
	lib.SQLITE_CANTOPEN: ReadOnly,
	lib.SQLITE_IOERR:    Disk,
	lib.SQLITE_CORRUPT:  Corrupted,
	lib.SQLITE_NOTADB:   NoLedger,
	lib.SQLITE_BUSY:     Held,
}
