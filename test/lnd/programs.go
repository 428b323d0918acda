package lnd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Programs are the paths of the programs that a network consists of.
type Programs struct {
	LND, BTCD string
}

// BinVariable is the environment variable that names the directory of the programs.
const BinVariable = "PAYGATE_LND_BIN"

// ErrNotBuilt says that lnd has not been built yet; test/lightning/build.sh does that.
var ErrNotBuilt = errors.New("lnd and btcd have not been built: run test/lightning/build.sh")

// Find returns the programs: in the directory that BinVariable names, or where build.sh puts them for this module, if
// the working directory is inside it. Without either the error is ErrNotBuilt; a variable that names a directory
// without the programs is an error of its own, so that nothing is left out in silence where they were promised.
func Find() (Programs, error) {
	if dir := os.Getenv(BinVariable); dir != "" {
		p, err := programsIn(dir)
		if err != nil {
			return Programs{}, fmt.Errorf("find programs by %s: %w", BinVariable, err)
		}
		return p, nil
	}
	dir, err := cacheDir()
	if err != nil {
		return Programs{}, fmt.Errorf("%w (%w)", ErrNotBuilt, err)
	}
	p, err := programsIn(dir)
	if err != nil {
		return Programs{}, fmt.Errorf("%w (%w)", ErrNotBuilt, err)
	}
	return p, nil
}

func programsIn(dir string) (Programs, error) {
	p := Programs{LND: filepath.Join(dir, "lnd"), BTCD: filepath.Join(dir, "btcd")}
	for _, path := range []string{p.LND, p.BTCD} {
		if _, err := os.Stat(path); err != nil {
			return Programs{}, err
		}
	}
	return p, nil
}

// cacheDir is where build.sh puts the programs.
func cacheDir() (string, error) {
	source, err := sourceDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "paygate-lnd", hex.EncodeToString(sum.Sum(nil)[:8])), nil
}

// sourceDir is test/lightning, looked for from the working directory upwards.
func sourceDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		source := filepath.Join(dir, "test", "lightning")
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the working directory is not inside paygate's sources")
		}
		dir = up
	}
}
