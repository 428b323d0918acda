package ledger

import (
	"encoding/hex"
	"fmt"
	"time"
)

// hexColumn scans a hexadecimal column into a fixed-size array's slice.
type hexColumn []byte

// Scan implements sql.Scanner.
func (c hexColumn) Scan(src any) error {
	s, ok := src.(string)
	if !ok || len(s) != 2*len(c) {
		return fmt.Errorf("column holds %T of the wrong size, want %d hexadecimal digits", src, 2*len(c))
	}
	_, err := hex.Decode(c, []byte(s))
	return err
}

// timeColumn scans milliseconds since 1970.
type timeColumn struct{ t *time.Time }

// Scan implements sql.Scanner.
func (c timeColumn) Scan(src any) error {
	ms, ok := src.(int64)
	if !ok {
		return fmt.Errorf("column holds %T, want a time", src)
	}
	*c.t = time.UnixMilli(ms)
	return nil
}
