package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paygate/units"
)

// dataDir sees whether the directory can be written to, or made.
func dataDir(dir string) Finding {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missingDir(dir)
	case err != nil:
		return fail(CheckDataDir, "let this user into it, or name another data_dir", "cannot look at %s: %v", dir, cause(err))
	case !info.IsDir():
		return fail(CheckDataDir, "name a directory", "%s is not a directory", dir)
	}
	if err := tryWrite(dir); err != nil {
		return fail(CheckDataDir, "give this user the right to write there, mount it writable, or name another data_dir", "cannot write to %s: %v", dir, cause(err))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return warn(CheckDataDir, "chmod 700 "+dir, "other users can look into %s (mode %04o)", dir, mode)
	}
	return pass(CheckDataDir, "%s can be written to, and only by you", dir)
}

func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor")
	if err != nil {
		return err
	}
	_, err = f.WriteString("a few bytes, to see whether there is room for them\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// missingDir judges whether paygate could make the directory at its first start.
func missingDir(dir string) Finding {
	above := existing(dir)
	if err := unix.Access(above, unix.W_OK|unix.X_OK); err != nil {
		return fail(CheckDataDir, "give this user the right to write there, or name another data_dir", "%s does not exist, and cannot be made in %s: %v", dir, above, err)
	}
	return pass(CheckDataDir, "%s does not exist yet; paygate will make it", dir)
}

// existing is the path itself or the nearest directory above it that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// cause is an error without the path, which the sentence around it names.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

const (
	diskFail = 64 * units.MiB // the ledger needs far less, but a full disk stops all payments
	diskWarn = units.GiB
)

func disk(dir string, free units.Bytes, err error) Finding {
	const remedy = "make room: nothing is bought or sold that cannot be written down"
	switch {
	case err != nil:
		return skip(CheckDisk, "the free space at %s cannot be told: %v", dir, cause(err))
	case free < diskFail:
		return fail(CheckDisk, remedy, "only %s free at %s", free, dir)
	case free < diskWarn:
		return warn(CheckDisk, remedy, "%s free at %s", free, dir)
	}
	return pass(CheckDisk, "%s free at %s", free, dir)
}

// secretFiles are what data_dir holds that nobody else may read. Whoever reads the first can spend the owner's credit.
var secretFiles = []string{"identity.key", "ledger.sqlite"}

// secrets sees whether the files in data_dir are the user's own and closed to others. A directory that is closed
// protects all that is in it.
func secrets(dir string) Finding {
	var closed []string
	info, err := os.Stat(dir)
	open := err == nil && info.Mode().Perm()&0o077 != 0
	for _, name := range secretFiles {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err == nil {
			err = unix.Access(path, unix.R_OK|unix.W_OK)
		}
		if err != nil {
			return fail(CheckSecrets, "run paygate as the user that it has run as before, or chown the files in data_dir", "cannot read and write %s: %v", path, cause(err))
		}
		if mode := info.Mode().Perm(); open && mode&0o077 != 0 {
			return fail(CheckSecrets, "chmod 600 "+path, "other users can read %s (mode %04o)", path, mode)
		}
		closed = append(closed, name)
	}
	if closed == nil {
		return pass(CheckSecrets, "none yet; paygate makes them at its first start")
	}
	return pass(CheckSecrets, "%s can be read by you alone", strings.Join(closed, " and "))
}
