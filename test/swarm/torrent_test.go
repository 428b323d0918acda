package swarm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/anacrolix/torrent/metainfo"

	"paygate/units"
)

func TestMakeIsDeterministicAndDescribesItself(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	one, err := Make(a, "film", 3*units.MiB+5)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Make(b, "film", 3*units.MiB+5)
	if err != nil {
		t.Fatal(err)
	}
	if one.InfoHash != two.InfoHash {
		t.Errorf("same name and size gave %s and %s", one.InfoHash, two.InfoHash)
	}
	if err := one.Verify(b); err != nil {
		t.Errorf("content differs: %v", err)
	}
	encoded, err := one.Metainfo("http://127.0.0.1:1/announce/x")
	if err != nil {
		t.Fatal(err)
	}
	mi, err := metainfo.Load(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		t.Fatal(err)
	}
	if got := units.Bytes(info.TotalLength()); got != one.Size {
		t.Errorf("the torrent holds %d bytes, want %d", got, one.Size)
	}
	if got := units.InfoHash(mi.HashInfoBytes()); got != one.InfoHash {
		t.Errorf("the .torrent's info-hash is %s, want %s", got, one.InfoHash)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	damage := map[string]func(path string) error{
		"one byte changed": func(path string) error { return patch(path, 1000, 'x') },
		"cut short":        func(path string) error { return os.Truncate(path, 10) },
		"missing":          os.Remove,
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			torrent, err := Make(dir, "film", units.MiB)
			if err != nil {
				t.Fatal(err)
			}
			if err := torrent.Verify(dir); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := do(filepath.Join(dir, "film", torrent.Files[0].Path)); err != nil {
				t.Fatal(err)
			}
			if torrent.Verify(dir) == nil {
				t.Error("the damage went unnoticed")
			}
		})
	}
}

// patch changes one byte to another one.
func patch(path string, offset int64, with byte) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if content[offset] == with {
		with++
	}
	content[offset] = with
	return os.WriteFile(path, content, 0o644)
}
